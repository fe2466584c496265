"""The path that a vector field generates: a continuous normalizing flow."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._typing import Shape
from rmatch.distributions import Distribution
from rmatch.fields import VectorField
from rmatch.paths.base import ProbabilityPath
from rmatch.solvers import DormandPrince, Solution, Solver


class FlowPath(ProbabilityPath):
    """The law q_t of the points that a vector field W carries from a base distribution, `dx/dt = W_t(x)`, x_0 ~ base.

    `log q_t(x_t) = log q_0(x_0) - ∫_0^t Div W_s(x_s) ds` along the trajectory, with the Riemannian divergence, in one
    solve with the trajectory itself. This is the trained model.

    Args:
        field: The field, `field(t, x)`.
        base: The law at t = 0; its manifold is the path's.
        solver: How to integrate; an adaptive 5(4) pair with tolerance 1e-5 by default.

    References:
        Mathieu and Nickel, "Riemannian continuous normalizing flows", NeurIPS 2020, proposition 2.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> q = rm.FlowPath(lambda t, x: torch.ones_like(x), base=rm.Uniform(M))
        >>> q.log_prob(1.0, torch.tensor([0.5], dtype=torch.float64))  # a rotation leaves the density at -log 2π
        tensor(-1.8379, dtype=torch.float64)
    """

    def __init__(self, field: VectorField, base: Distribution, solver: Solver | None = None) -> None:
        self.field = field
        self.base = base
        self.manifold = base.manifold
        self.solver = DormandPrince() if solver is None else solver

    def sample(
        self,
        t: float = 1.0,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Base samples carried to time `t`: `(*shape, *point_shape)`."""
        x0 = self.base.sample(shape, generator=generator, dtype=dtype, device=device)
        return self.solve(x0, 0.0, t).point

    def velocity(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The field at `x`."""
        return self.field(torch.as_tensor(t, dtype=x.dtype, device=x.device), x)

    def log_prob(self, t: float, x: Tensor) -> Tensor:
        """The log-density of q_t at `x`, in nats with respect to dV_g, by carrying `x` back to the base."""
        back = self.solve(x, t, 0.0, divergence="exact")
        if back.log_density_change is None:
            raise OptionError(f"{self.solver!r} returned no log-density although it was asked for one")
        return self.base.log_prob(back.point) - back.log_density_change

    def solve(self, x: Tensor, start: float, end: float, *, divergence: str | None = None) -> Solution:
        """Carry points along the field from one time to another; the solution tells the cost and the accuracy too.

        Args:
            x: Points `(*batch, *point_shape)`.
            start: The time that they are at, in [0, 1].
            end: The time to carry them to, in [0, 1]; before `start` to go back.
            divergence: `"exact"` or `"hutchinson"` to follow the log-density as well.

        Raises:
            OptionError: A time lies outside [0, 1].
            SolverError: The integration does not reach its end.
        """
        for time in (start, end):
            if not 0.0 <= time <= 1.0:
                raise OptionError(f"a path has times from 0 to 1, got t={time}")
        return self.solver.solve(self.manifold, self.field, x, start, end, divergence=divergence)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"FlowPath({type(self.field).__name__}, {self.base!r}, {self.solver!r})"
