"""The path that a vector field generates: a continuous normalizing flow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._numerics import vjp
from rmatch._typing import Shape
from rmatch.distributions import Distribution
from rmatch.fields import VectorField
from rmatch.fields.base import require_field_on
from rmatch.paths.base import ProbabilityPath, require_time
from rmatch.solvers import DormandPrince, Solution, Solver


class FlowPath(ProbabilityPath):
    """The law q_t of the points that a vector field W carries from a base distribution, `dx/dt = W_t(x)`, x_0 ~ base.

    `log q_t(x_t) = log q_0(x_0) - ∫_0^t Div W_s(x_s) ds` along the trajectory, with the Riemannian divergence, in one
    solve with the trajectory itself. This is the trained model.

    Args:
        field: The field, `field(t, x)`.
        base: The law at t = 0; its manifold is the path's.
        solver: How to integrate; an adaptive 5(4) pair with tolerance 1e-5 by default.

    Raises:
        OptionError: The field is a network on another manifold than the base.

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
        require_field_on(field, base.manifold)
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
        require_time(t)
        return self.field(torch.as_tensor(t, dtype=x.dtype, device=x.device), x)

    def log_prob(self, t: float, x: Tensor) -> Tensor:
        """The log-density of q_t at `x`, in nats with respect to dV_g, by carrying `x` back to the base."""
        back = self.solve(x, t, 0.0, divergence="exact")
        if back.log_density_change is None:
            raise OptionError(f"{self.solver!r} returned no log-density although it was asked for one")
        return self.base.log_prob(back.point) - back.log_density_change

    def log_prob_and_score(self, t: float, x: Tensor) -> tuple[Tensor, Tensor]:
        """The log-density and the score, carried along the trajectory through `x` by their own equations.

        With λ_t the differential of log q_t at x_t, `dλ/dt = -(DW_t)ᵀ λ - d(Div W_t)`, and the score is its `sharp`: no
        graph of a whole solve is kept, as differentiating `log_prob` would need. Nothing is differentiable here.
        """
        with torch.no_grad():
            start = self.solve(x, t, 0.0).point
            log_base, pull = vjp(self.base.log_prob, start)
            (differential,) = pull(torch.ones_like(log_base))
            there = self.solve(start, 0.0, t, divergence="exact", differential=differential)
            if there.log_density_change is None or there.differential is None:
                raise OptionError(f"{self.solver!r} returned no log-density although it was asked for one")
            return log_base + there.log_density_change, self.manifold.sharp(x, there.differential)

    def score(self, t: float, x: Tensor) -> Tensor:
        """The score of q_t; see `log_prob_and_score`."""
        return self.log_prob_and_score(t, x)[1]

    def solve(
        self,
        x: Tensor,
        start: float,
        end: float,
        *,
        divergence: str | None = None,
        differential: Tensor | None = None,
        parameters: Sequence[Tensor] | None = None,
    ) -> Solution:
        """Carry points along the field from one time to another; the solution tells the cost and the accuracy too.

        Args:
            x: Points `(*batch, *point_shape)`.
            start: The time that they are at, in [0, 1].
            end: The time to carry them to, in [0, 1]; before `start` to go back.
            divergence: `"exact"` or `"hutchinson"` to follow the log-density as well.
            differential: The differential of the log-density at the start, to follow it as well; see `Solver.solve`.
            parameters: What the field depends on, for gradients in little memory; see `Solver.solve`.

        Raises:
            OptionError: A time lies outside [0, 1].
            SolverError: The integration does not reach its end.
        """
        require_time(start)
        require_time(end)
        return self.solver.solve(
            self.manifold,
            self.field,
            x,
            start,
            end,
            divergence=divergence,
            differential=differential,
            parameters=parameters,
        )

    def __repr__(self) -> str:
        """The constructor call."""
        return f"FlowPath({type(self.field).__name__}, {self.base!r}, {self.solver!r})"
