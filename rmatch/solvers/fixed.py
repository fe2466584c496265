"""Solvers that take a fixed number of equal steps."""

from __future__ import annotations

from abc import abstractmethod

from rmatch._errors import OptionError
from rmatch.solvers._checks import State, require_finite
from rmatch.solvers._system import System
from rmatch.solvers.base import Integration, Solver
from rmatch.solvers.tableaux import EULER, MIDPOINT, RUNGE_KUTTA_4, Tableau


class FixedStep(Solver):
    """A solver that takes a fixed number of equal steps; a member supplies the method.

    Args:
        steps: Number of steps from start to end.

    Raises:
        OptionError: `steps` is less than 1.
    """

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise OptionError(f"a fixed-step solver takes at least one step, got steps={steps}")
        self.steps = steps

    @abstractmethod
    def tableau(self) -> Tableau:
        """The coefficients of the method."""

    def _integrate(self, system: System, state: State, t0: float, t1: float) -> Integration:
        tableau, h = self.tableau(), (t1 - t0) / self.steps
        for n in range(self.steps):
            system.accept(tableau, t0 + n * h, h, state)
            state, slopes = system.step(tableau, t0 + n * h, h, state)
            require_finite(system.manifold, state, slopes)
        return Integration(state, self.steps, 0)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"{type(self).__name__}(steps={self.steps})"


class Euler(FixedStep):
    """Euler's method: one evaluation a step, order 1.

    Args:
        steps: Number of steps from start to end.

    Example:
        >>> import torch, rmatch as rm
        >>> growth = lambda t, x: x
        >>> rm.Euler(steps=2).solve(rm.Euclidean(1), growth, torch.tensor([1.0]), 0.0, 1.0).point
        tensor([2.2500])
    """

    def tableau(self) -> Tableau:
        """Euler's tableau."""
        return EULER


class Midpoint(FixedStep):
    """The explicit midpoint rule: two evaluations a step, order 2.

    Args:
        steps: Number of steps from start to end.

    Example:
        >>> import torch, rmatch as rm
        >>> growth = lambda t, x: x
        >>> rm.Midpoint(steps=1).solve(rm.Euclidean(1), growth, torch.tensor([1.0]), 0.0, 1.0).point
        tensor([2.5000])
    """

    def tableau(self) -> Tableau:
        """The tableau of the midpoint rule."""
        return MIDPOINT


class RK4(FixedStep):
    """The classical Runge–Kutta method: four evaluations a step, order 4.

    Args:
        steps: Number of steps from start to end.

    Example:
        >>> import torch, rmatch as rm
        >>> growth = lambda t, x: x
        >>> rm.RK4(steps=1).solve(rm.Euclidean(1), growth, torch.tensor([1.0]), 0.0, 1.0).point
        tensor([2.7083])
    """

    def tableau(self) -> Tableau:
        """The tableau of the classical method."""
        return RUNGE_KUTTA_4
