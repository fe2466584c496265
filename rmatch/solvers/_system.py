"""The differential equation of a point and its log-density, and one Runge–Kutta step of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch._errors import InputError, ShapeError
from rmatch._numerics import vjp
from rmatch._typing import TimeField
from rmatch.manifolds import Manifold
from rmatch.manifolds.base import DivergenceMethod
from rmatch.solvers._checks import Slope, State, largest, require_inside
from rmatch.solvers.tableaux import Tableau


class Step(NamedTuple):
    """The state after a step and the slopes of all its stages."""

    state: State
    slopes: list[Slope]


class Move(NamedTuple):
    """An accepted step: where it started, and how long it was."""

    tableau: Tableau
    t: float
    h: float
    state: State


class System:
    """The equations of a point, of its log-density and of the differential of that, and a count of their evaluations.

        dx/dt = V_t(x),   d log q_t(x)/dt = -Div V_t(x),   dλ/dt = -(DV_t)ᵀ λ - d(Div V_t),  λ = d log q_t at x.

    The last is the derivative of the second along the flow. Its λ is a covector of the coordinates: the differential of
    `log q_t ∘ project`, with V extended off the manifold as `V_t ∘ project`. Applied to tangent vectors it is what it
    is on the manifold, however the first λ was extended.

    Hutchinson probes come from the same seed at every evaluation, so that the integrand is a function of t and x: an
    adaptive solver could not tell fresh noise from an error of its own.
    """

    def __init__(
        self,
        manifold: Manifold,
        field: TimeField,
        divergence: DivergenceMethod | None,
        probes: int,
        generator: torch.Generator | None,
    ) -> None:
        self.manifold = manifold
        self.field = field
        self.divergence: DivergenceMethod | None = divergence
        self.probes = probes
        self.evaluations = 0
        self.normal_part = 0.0
        self.trace: list[Move] | None = None
        self._seed = _draw_seed(generator) if divergence == "hutchinson" else 0

    def slope(self, t: float, x: Tensor, differential: Tensor | None = None) -> Slope:
        """The right-hand side at time `t`, the points `x` and the differential there."""
        self.evaluations += 1
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        if self.divergence is None:
            velocity, divergence = self.field(time, x), None
        else:
            probes = torch.Generator().manual_seed(self._seed) if self.divergence == "hutchinson" else None
            evaluate = self.manifold.value_and_divergence(
                _Snapshot(self, time),
                method=self.divergence,
                probes=self.probes,
                generator=probes,
            )
            if differential is not None:
                return self._slope_with_differential(evaluate, t, x, differential)
            velocity, divergence = evaluate(x)
        velocity = self.checked(velocity, x)
        if self.evaluations == 1:
            self.normal_part = largest(velocity - self.manifold.to_tangent(x, velocity))
        return Slope(t, velocity, divergence)

    def _slope_with_differential(
        self, evaluate: Callable[[Tensor], tuple[Tensor, Tensor]], t: float, x: Tensor, differential: Tensor
    ) -> Slope:
        """The vector-Jacobian product of field and divergence together, with λ and 1, is what λ loses."""

        def extended(y: Tensor) -> tuple[Tensor, Tensor]:
            return evaluate(self.manifold.project(y))

        (velocity, divergence), pull = vjp(extended, x)
        (loss,) = pull((differential, torch.ones_like(divergence)))
        return Slope(t, velocity, divergence, -loss)

    def accept(self, tableau: Tableau, t: float, h: float, state: State) -> None:
        """Take note of a step from a state, where someone wants to walk back."""
        if self.trace is not None:
            self.trace.append(Move(tableau, t, h, state))

    def step(self, tableau: Tableau, t: float, h: float, state: State, first: Slope | None = None) -> Step:
        """One step of length `h`: every stage is taken at a point of the manifold, and so is the result.

        Args:
            tableau: The method.
            t: Time at the start.
            h: Length, negative to go back in time.
            state: Where the step starts.
            first: The slope there, where it is known.

        Raises:
            LeftDomainError: A stage leaves the open set of coordinates that the manifold is.
        """
        slopes: list[Slope] = []
        point, differential = state.point, state.differential
        for node, row in zip(tableau.nodes, tableau.stages, strict=True):
            if not slopes and first is not None:
                slopes.append(first)
                continue
            if row:
                point = self.move(t, h, state.point, row, slopes)
                differential = self._differential(h, state, row, slopes)
            slopes.append(self.slope(t + node * h, point, differential))
        if not tableau.first_same_as_last:  # else the last stage was taken at the result
            point = self.move(t, h, state.point, tableau.weights, slopes)
        log_density = self._log_density(tableau, h, state, slopes)
        return Step(State(point, log_density, self._differential(h, state, tableau.weights, slopes)), slopes)

    def move(self, t: float, h: float, start: Tensor, weights: Sequence[float], slopes: Sequence[Slope]) -> Tensor:
        """The point of the manifold at `start + h Σ w_i k_i`, on a step of length `h` from time `t`.

        Raises:
            LeftDomainError: No projection can take those coordinates to the manifold.
        """
        point = combine(start, h, weights, [k.velocity for k in slopes])
        require_inside(self.manifold, point, t, h)
        return self.manifold.project(point)

    def _log_density(self, tableau: Tableau, h: float, state: State, slopes: list[Slope]) -> Tensor | None:
        if state.log_density is None:
            return None
        return combine(state.log_density, -h, tableau.weights, [k.divergence for k in slopes])

    @staticmethod
    def _differential(h: float, state: State, weights: Sequence[float], slopes: list[Slope]) -> Tensor | None:
        if state.differential is None:
            return None
        return combine(state.differential, h, weights, [k.differential for k in slopes])

    @staticmethod
    def checked(velocity: Tensor, x: Tensor) -> Tensor:
        """The velocity, if it is one vector for each point in the dtype of the points; else an error that says so."""
        if velocity.shape != x.shape:
            raise ShapeError(
                f"the field returned shape {tuple(velocity.shape)} at points of shape {tuple(x.shape)}; "
                "it must return one tangent vector for each point"
            )
        if velocity.dtype != x.dtype:
            raise InputError(
                f"the field returned {velocity.dtype} at points of {x.dtype}; convert the points or the field"
            )
        return velocity


class _Snapshot:
    """The field at one time, with the coefficients of its vectors on `span` where it knows them."""

    def __init__(self, system: System, time: Tensor) -> None:
        self.system, self.time = system, time
        known = getattr(system.field, "coefficients", None)
        self.coefficients: Callable[[Tensor], Tensor] | None = None
        if known is not None:
            self.coefficients = lambda x: known(time, x)

    def __call__(self, x: Tensor) -> Tensor:
        return self.system.checked(self.system.field(self.time, x), x)


def combine(start: Tensor, h: float, weights: Sequence[float], slopes: Sequence[Tensor | None]) -> Tensor:
    """`start + h Σ w_i k_i`; terms of weight 0 are left out."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight != 0.0 and slope is not None:
            start = torch.add(start, slope, alpha=h * weight)
    return start


def _draw_seed(generator: torch.Generator | None) -> int:
    """A seed for this solve, drawn from the caller's generator: two solves in a row use different probes."""
    device = None if generator is None else generator.device
    return int(torch.randint(1 << 62, (), generator=generator, device=device))
