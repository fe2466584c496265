"""Solvers that choose their steps from an estimate of the error."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._errors import OptionError, SolverError
from rmatch.solvers._checks import LeftDomainError, Slope, State, not_finite
from rmatch.solvers._system import Step, System, combine
from rmatch.solvers.base import Integration, Solver
from rmatch.solvers.status import Status
from rmatch.solvers.tableaux import DORMAND_PRINCE

# The constants of DOPRI5 (Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I", 2nd ed., IV.2).
_SAFETY, _SMALLEST_FACTOR, _LARGEST_FACTOR = 0.9, 0.2, 10.0
_BETA = 0.04  # weight of the previous error in the PI controller
_FLOOR = 1e-4  # smallest previous error that it looks at
_NOT_FINITE_FACTOR = 0.1  # a step into a region where the field is not finite is tried again with this much of it
_CLOSE_ENOUGH = 1e-5  # of the interval: so close to where the field stops to be finite, the search for it ends
_TABLEAU = DORMAND_PRINCE
_SMALLEST_STEP = 4.0  # in roundings of the time


class DormandPrince(Solver):
    """The pair 5(4) of Dormand and Prince with steps from a PI controller; six evaluations a step, order 5.

    The error estimate of a step is held below the tolerance for every point on its own: its size, as the manifold's
    `error_size` measures it, and the error of its log-density, divided by `atol + rtol` times the larger of its values
    before and after the step, are at most 1. On Euclidean space the size is the root mean square over the coordinates,
    each divided by `atol + rtol max(|x|, |x_new|)`. Elsewhere it is the length of the error in the metric, per
    dimension, in units of `atol + rtol`: coordinates that are angles or entries of unit vectors say nothing by their
    size, and near the boundary of a ball or a cone a small change of them is a large one. Hence the result for a point
    hardly depends on the rest of its batch, and all points of a batch share the steps of the hardest one.

    The last stage of a step lies at its projected result and is the first stage of the next one.

    Args:
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        max_steps: Most steps to try, rejected ones included.

    Raises:
        OptionError: A tolerance or the number of steps is not positive.

    References:
        Dormand and Prince, "A family of embedded Runge-Kutta formulae", J. Comput. Appl. Math. 6 (1980).
        Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I", 2nd ed., II.4 (starting step, error
        norm) and "Solving Ordinary Differential Equations II", IV.2 (PI controller).

    Example:
        >>> import torch, rmatch as rm
        >>> growth = lambda t, x: x
        >>> solver = rm.DormandPrince(rtol=1e-8, atol=1e-8)
        >>> solver.solve(rm.Euclidean(1), growth, torch.tensor([1.0], dtype=torch.float64), 0.0, 1.0).point
        tensor([2.7183], dtype=torch.float64)
    """

    def __init__(self, rtol: float = 1e-5, atol: float = 1e-5, max_steps: int = 1000) -> None:
        if not (rtol >= 0.0 and math.isfinite(rtol) and atol > 0.0 and math.isfinite(atol)):
            raise OptionError(f"tolerances must be positive numbers, got rtol={rtol} and atol={atol}")
        if max_steps < 1:
            raise OptionError(f"max_steps must be at least 1, got {max_steps}")
        self.rtol = rtol
        self.atol = atol
        self.max_steps = max_steps

    def _integrate(self, system: System, state: State, t0: float, t1: float) -> Integration:
        smallest = _SMALLEST_STEP * torch.finfo(state.point.dtype).eps * max(abs(t0), abs(t1))
        t, accepted, rejected = t0, 0, 0
        previous, retried = _FLOOR, False
        first = system.slope(t0, state.point, state.differential)
        h = self._starting_step(system, state, first, t1 - t0)
        while t != t1:
            if accepted + rejected == self.max_steps:
                raise SolverError(
                    f"{self!r} stopped at t={t:.6g} on the way from {t0:g} to {t1:g} after {self.max_steps} steps; "
                    f"{Status.MAX_STEPS.value}"
                )
            last = abs(t1 - t) <= h * (1 + 1e-6)
            signed = t1 - t if last else math.copysign(h, t1 - t0)
            try:
                step = system.step(_TABLEAU, t, signed, state, first)
            except LeftDomainError:
                h, retried = abs(signed) * _NOT_FINITE_FACTOR, True
                rejected += 1
                if h < _CLOSE_ENOUGH * abs(t1 - t0):
                    raise
                continue
            error = self._error(system, signed, state, step)
            if error <= 1.0:
                h = abs(signed) * _growth(error, previous, 1.0 if retried else _LARGEST_FACTOR)
                previous, retried = max(error, _FLOOR), False
                system.accept(_TABLEAU, t, signed, state)
                t, state, first = t1 if last else t + signed, step.state, step.slopes[-1]
                accepted += 1
            else:
                h, retried = abs(signed) * _shrinkage(error), True
                rejected += 1
                if h < (smallest if math.isfinite(error) else _CLOSE_ENOUGH * abs(t1 - t0)):
                    raise SolverError(self._too_small(system, t, h, error, step))
        return Integration(state, accepted, rejected)

    def _too_small(self, system: System, t: float, h: float, error: float, step: Step) -> str:
        if not math.isfinite(error):
            return not_finite(system.manifold, step.slopes)
        return f"{self!r} would need a step of {h:.2g} at t={t:.6g}; {Status.STEP_TOO_SMALL.value}"

    def _starting_step(self, system: System, state: State, first: Slope, span: float) -> float:
        """A step that would change the slope by a hundredth of what the tolerance allows, guessed from one more slope.

        Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I", 2nd ed., II.4.
        """
        size = self._position_size(system, state)
        slope = self._norm(system, state, state, first.velocity, first.divergence)
        if not math.isfinite(slope):
            raise SolverError(not_finite(system.manifold, [first]))
        h = 0.01 * size / slope if size > 1e-5 and slope > 1e-5 else 1e-6
        h = min(h, abs(span))
        signed = math.copysign(h, span)
        try:
            second = system.slope(first.time + signed, system.move(first.time, signed, state.point, (1.0,), [first]))
        except LeftDomainError:
            return h
        change = None
        if first.divergence is not None and second.divergence is not None:
            change = second.divergence - first.divergence
        curvature = self._norm(system, state, state, second.velocity - first.velocity, change) / h
        if not math.isfinite(curvature):
            return h
        steepest = max(slope, curvature)
        if steepest <= 1e-15:  # the field vanishes as far as it was seen: try the whole interval
            return abs(span)
        return min(100 * h, (0.01 / steepest) ** (1 / _TABLEAU.order), abs(span))

    def _error(self, system: System, h: float, state: State, step: Step) -> float:
        """The estimated error of a step in units of the tolerance."""
        weights = _TABLEAU.error_weights or ()
        zero = torch.zeros_like(state.point)
        point = combine(zero, h, weights, [k.velocity for k in step.slopes])
        log_density = None
        if state.log_density is not None:
            log_density = combine(torch.zeros_like(state.log_density), h, weights, [k.divergence for k in step.slopes])
        size = self._norm(system, state, step.state, point, log_density)
        if state.differential is None or step.state.differential is None:
            return size
        with torch.no_grad():
            change = combine(torch.zeros_like(state.point), h, weights, [k.differential for k in step.slopes])
            parts = (change / self._scale(state.differential, step.state.differential)).square()
            worst = parts.flatten(-len(system.manifold.point_shape)).mean(-1).amax().sqrt()
            return self._read(worst.clamp_min(size))  # keeps a NaN in either

    @torch.no_grad()
    def _norm(self, system: System, before: State, after: State, point: Tensor, log_density: Tensor | None) -> float:
        """The size of a change of the state in units of the tolerance: the largest over the rows."""
        sizes = system.manifold.error_size(before.point, after.point, point, rtol=self.rtol, atol=self.atol)
        largest = sizes.amax()
        if log_density is not None and before.log_density is not None and after.log_density is not None:
            scale = self._scale(before.log_density, after.log_density) + system.manifold.resolution(before.point)
            parts = log_density.detach().abs() / scale
            largest = torch.maximum(largest, parts.amax())
        return self._read(largest)

    @torch.no_grad()
    def _position_size(self, system: System, state: State) -> float:
        """The size of the coordinates in units of the tolerance: the largest over the rows."""
        magnitude = system.manifold.magnitude(state.point)
        squares = (magnitude / (self.atol + self.rtol * magnitude)).square()
        return self._read(squares.flatten(-len(system.manifold.point_shape)).mean(-1).amax().sqrt())

    def _read(self, value: Tensor) -> float:
        try:
            return float(value)
        except RuntimeError as error:
            raise SolverError(
                f"{self!r} cannot choose its steps inside torch.vmap, where values are hidden; hand it the whole batch "
                "at once, or use a fixed-step solver such as RK4"
            ) from error

    def _scale(self, before: Tensor, after: Tensor) -> Tensor:
        return self.atol + self.rtol * torch.maximum(before.detach().abs(), after.detach().abs())

    def __repr__(self) -> str:
        """The constructor call."""
        return f"DormandPrince(rtol={self.rtol:g}, atol={self.atol:g}, max_steps={self.max_steps})"


def _growth(error: float, previous: float, most: float) -> float:
    """The factor of the next step after an accepted one: proportional to the error, integral to its history."""
    exponent = 1 / _TABLEAU.order - 0.75 * _BETA
    factor = _SAFETY * previous**_BETA / max(error, 1e-10) ** exponent
    return min(max(factor, _SMALLEST_FACTOR), most)


def _shrinkage(error: float) -> float:
    """The factor of the next attempt after a rejected one."""
    if not math.isfinite(error):
        return _NOT_FINITE_FACTOR
    return max(_SAFETY / error ** (1 / _TABLEAU.order), _SMALLEST_FACTOR)
