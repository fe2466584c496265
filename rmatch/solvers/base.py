"""What a solver is, and what it returns."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch._errors import OptionError, PointError, ShapeError
from rmatch._typing import TimeField
from rmatch.manifolds import Manifold
from rmatch.solvers._checks import State, largest
from rmatch.solvers._recompute import Walk
from rmatch.solvers._system import System
from rmatch.solvers.status import Status

__all__ = ["Integration", "Solution", "Solver"]

_START_TOLERANCE = 1e-3  # points this close are taken to the manifold; farther ones are a mistake of the caller


@dataclass(frozen=True)
class Solution:
    """Where a flow carried points, with the price and the quality.

    Args:
        point: The points at the end, `(*batch, *point_shape)`.
        log_density_change: `log q_{t1}(x(t1)) - log q_{t0}(x(t0)) = -∫ Div V_t(x(t)) dt` in nats, `(*batch)`; None
            where it was not asked for.
        time: The end time.
        status: How it ended. A solve that fails raises `SolverError`, so this is `SUCCESS`.
        evaluations: Calls of the field; one with its divergence counts once.
        steps: Accepted steps.
        rejected: Steps that an adaptive solver took back.
        constraint_violation: The largest distance of a coordinate of the returned points to their projection (NaN
            inside `torch.vmap`, where values cannot be read; so too the next).
        normal_part: The largest coordinate of the part of the field that is not tangent, at the start; the flow is that
            of the tangent part to first order only.
        differential: The differential of `log q_{t1}` at the end, a covector `(*batch, *point_shape)` whose `sharp` is
            the score; None where it was not asked for.
    """

    point: Tensor
    log_density_change: Tensor | None
    time: float
    status: Status
    evaluations: int
    steps: int
    rejected: int
    constraint_violation: float
    normal_part: float
    differential: Tensor | None = None


class Integration(NamedTuple):
    """What a member returns from `_integrate`: the final state, accepted and rejected steps."""

    state: State
    steps: int
    rejected: int


class Solver(ABC):
    """Integrates `dx/dt = V_t(x)` on a manifold, and the log-density along with it.

    All members are Runge–Kutta methods in the coordinates, for the field extended off the manifold as `V_t ∘ project`:
    every stage is taken at `project(x + h Σ a_ij k_j)`, and every step ends with `project`. The extended field is
    smooth near the manifold and the flow of a tangent field stays on it, so the method has its classical order there,
    and moving the result by its distance to the manifold, which is no larger than its error, keeps that order.

    References:
        Hairer, Lubich and Wanner, "Geometric Numerical Integration", 2nd ed., section IV.4 (projection methods).
        Mathieu and Nickel, "Riemannian continuous normalizing flows", NeurIPS 2020, proposition 2 (the log-density).
    """

    def solve(
        self,
        manifold: Manifold,
        field: TimeField,
        x0: Tensor,
        t0: float,
        t1: float,
        *,
        divergence: str | None = None,
        probes: int = 1,
        generator: torch.Generator | None = None,
        differential: Tensor | None = None,
        parameters: Sequence[Tensor] | None = None,
    ) -> Solution:
        """Carry points along a field from time `t0` to `t1`, back in time where `t1 < t0`.

        The result is differentiable in `x0` and in what the field depends on, if gradients are enabled; step sizes
        count as constants.

        Args:
            manifold: Where the points live.
            field: Tangent vectors `field(t, x)`; `t` is a 0-dimensional tensor of the points' dtype and device.
            x0: Points `(*batch, *point_shape)`; they are projected first.
            t0: Start time.
            t1: End time.
            divergence: None to leave the log-density out, `"exact"` for `dim` vector-Jacobian products in each
                evaluation, `"hutchinson"` for an unbiased estimate from `probes` of them.
            probes: Tangent probes of the Hutchinson estimate, the same ones during the whole solve.
            generator: Source of the probes.
            differential: The differential of `log q_{t0}` at `x0`, a covector `(*batch, *point_shape)`, to carry it
                along too; it needs `divergence="exact"`.
            parameters: What the field depends on, for gradients in memory that does not grow with the number of steps:
                each step is computed again in the backward pass. Then the result can be differentiated once, in these
                and in `x0` only.

        Returns:
            The solution.

        Raises:
            PointError: `x0` does not hold points of the manifold.
            OptionError: An option is unknown or a time is not finite.
            ShapeError: The field returns an array of the wrong shape.
            SolverError: The end cannot be reached; the text says where the integration stopped and what to do.

        Example:
            >>> import math, torch, rmatch as rm
            >>> axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
            >>> east = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
            >>> rotation = lambda t, x: torch.linalg.cross(axis.expand_as(x), x)
            >>> solution = rm.RK4(steps=20).solve(rm.Sphere(2), rotation, east, 0.0, math.pi / 2)
            >>> solution.point.round(decimals=4).abs()
            tensor([0., 1., 0.], dtype=torch.float64)
            >>> solution.evaluations
            80
        """
        t0, t1 = float(t0), float(t1)
        if not (math.isfinite(t0) and math.isfinite(t1)):
            raise OptionError(f"start and end times must be finite, got t0={t0} and t1={t1}")
        if divergence not in (None, "exact", "hutchinson"):
            raise OptionError(f"unknown divergence method {divergence!r}; use None, 'exact' or 'hutchinson'")
        if probes < 1:
            raise OptionError(f"the Hutchinson estimate needs at least one probe, got probes={probes}")
        if differential is not None and (divergence != "exact" or parameters is not None):
            raise OptionError(
                "the differential of the log-density is carried along with the exact divergence only, and not with "
                f"parameters, got divergence={divergence!r}"
            )
        if differential is not None and differential.shape != x0.shape:
            raise ShapeError(
                f"a differential has the shape {tuple(x0.shape)} of the points, got {tuple(differential.shape)}"
            )
        _require_start(manifold, x0)
        system = System(manifold, field, divergence, probes, generator)  # pyright: ignore[reportArgumentType]
        start = manifold.project(x0)
        batch = start.shape[: start.dim() - len(manifold.point_shape)]
        state = State(start, None if divergence is None else start.new_zeros(batch), differential)
        result = Integration(state, 0, 0)
        if t0 != t1 and start.numel():
            if parameters is None:
                result = self._integrate(system, state, t0, t1)
            else:
                walk = Walk(system, lambda state: self._integrate(system, state, t0, t1))
                result = Integration(*walk(state, parameters))
        end = result.state.point
        return Solution(
            point=end,
            log_density_change=result.state.log_density,
            time=t1,
            status=Status.SUCCESS,
            evaluations=system.evaluations,
            steps=result.steps,
            rejected=result.rejected,
            constraint_violation=largest(end - manifold.project(end)),
            normal_part=system.normal_part,
            differential=result.state.differential,
        )

    def trajectory(self, manifold: Manifold, field: TimeField, x0: Tensor, times: Sequence[float] | Tensor) -> Tensor:
        """The points at each of the given times: `(len(times), *batch, *point_shape)`.

        Each interval is one `solve`; a fixed-step solver takes its number of steps in each.

        Args:
            manifold: Where the points live.
            field: Tangent vectors `field(t, x)`.
            x0: Points at the first time.
            times: At least one time, in any order.

        Raises:
            OptionError: There are no times.
            SolverError: See `solve`.
        """
        instants = [float(t) for t in times]
        if not instants:
            raise OptionError("a trajectory needs at least one time, got none")
        points = [manifold.project(x0)]
        for start, end in pairwise(instants):
            points.append(self.solve(manifold, field, points[-1], start, end).point)
        return torch.stack(points)

    @abstractmethod
    def _integrate(self, system: System, state: State, t0: float, t1: float) -> Integration:
        """Advance a state with at least one point from `t0` to another time `t1`."""


def _require_start(manifold: Manifold, x0: Tensor) -> None:
    try:
        manifold.require_point(x0, tolerance=_START_TOLERANCE)
    except PointError:
        raise
    except RuntimeError:  # inside vmap, where values cannot be read
        return
    inside = manifold.contains(x0)  # what lies just outside an open set has no nearest point in it
    if inside is not None and not bool(inside.all()):
        row = ", ".join(map(str, (~inside).nonzero()[0].tolist())) or "0"
        raise PointError(
            f"row {row} of the points to start from lies outside {manifold!r}; use project(x) if it is meant"
        )
