"""The flat torus T^d."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError
from rmatch._numerics import MANY, possibly_any, possibly_reaches, surely_within
from rmatch.manifolds.base import Quadrature
from rmatch.manifolds.euclidean import FlatManifold

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TURN = 2 * math.pi
_ROUNDING_OF_TURN = 2.4492935982947064e-16  # 2π = 6.28318530717958647692528676655900576839... minus its float64


class Torus(FlatManifold):
    """The torus T^d = R^d / (periods Z)^d of angles in [0, 2π), or of other periodic coordinates, with the flat metric.

    Differences are taken modulo the real number 2π, not its rounding, so two angles on either side of 0 are as accurate
    as any other pair. At the cut locus, half a turn away, `log` is +π or -π as the plain difference of the angles is.

    Args:
        d: Number of angles, at least 1.
        periods: The period of every coordinate, or one for each; 2π by default. Coordinates lie in [0, period), and
            distances are in their unit. 2π times a power of two means that real number, any other period the float
            that it is.

    Attributes:
        periods: The d periods.
        radii: The radii of the d circles, `period / 2π`.

    Raises:
        OptionError: `d` is less than 1, a period is not a positive number, or there are not d of them.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> M.log(torch.tensor([0.25]), torch.tensor([6.25]))
        tensor([-0.2832])
        >>> clock = rm.Torus(1, periods=24.0)
        >>> clock.log(torch.tensor([23.5]), torch.tensor([1.0]))
        tensor([1.5000])
    """

    def __init__(self, d: int, periods: float | Sequence[float] | None = None) -> None:
        if d < 1:
            raise OptionError(f"a torus has dimension 1 or more, got Torus({d})")
        self.dim = d
        self.point_shape = (d,)
        self.periods = _as_periods(d, periods)
        self.volume = math.prod(self.periods)
        self.radii = tuple(period / _TURN for period in self.periods)
        # One period for all is a Python number, with which torch works faster than with a tensor; else it is None.
        self._period = self.periods[0] if len(set(self.periods)) == 1 else None
        self._roundings = {dtype: _rounding(self.periods[0], dtype) for dtype in _DTYPES}
        # A tensor without axes multiplies in half the time of a number, and takes the dtype and device of the other.
        self._frequency = torch.tensor(1 / self.periods[0], dtype=torch.float64, device="cpu")

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The angles `x + v`, brought back to [0, 2π)."""
        return self.project(x + v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The differences `y - x - 2πk` in [-π, π].

        A turn is taken off the angle that is ahead, which is exact (Sterbenz' lemma) where the result is small, and the
        rounding error of 2π is subtracted last.
        """
        if self._period is None:
            periods = x.new_tensor(self.periods)
            turns = torch.round((y - x) / periods)
            apart = (y - turns.relu() * periods) - (x + turns.clamp_max(0.0) * periods)
            return apart - turns * x.new_tensor([_rounding(period, x.dtype) for period in self.periods])
        turns = torch.round((y.detach() - x.detach()) * self._frequency)  # a step function: nothing to differentiate
        ahead = torch.sub(y, turns.relu(), alpha=self._period)
        behind = torch.add(x, turns.clamp_max(0.0), alpha=self._period)
        return torch.sub(ahead - behind, turns, alpha=self._roundings[x.dtype])

    def project(self, x: Tensor) -> Tensor:
        """The angles modulo 2π, in [0, 2π): a negative number too small to tell from a full turn goes to 0."""
        if self._period is None:
            periods = x.new_tensor(self.periods)
            wrapped = torch.remainder(x, periods)
            whole = wrapped >= periods
            return wrapped - whole * periods if possibly_any(whole) else wrapped
        if x.numel() >= MANY:
            wrapped = self._wrap_nearby(x, self._period)
            if wrapped is not None:
                return wrapped
        wrapped = torch.remainder(x, self._period)
        if not possibly_reaches(wrapped, self._period):
            return wrapped
        return torch.add(wrapped, wrapped >= self._period, alpha=-self._period)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The angles `x + t log_x y` and the constant velocity `log_x y`.

        The difference is reduced by the rounded 2π, cheaper than in `log` and as exact as the point can be: an angle
        near 2π is itself known to that rounding only.
        """
        if self._period is None:
            v = self.log(x, y)
        else:
            v = y - x
            v = torch.sub(v, torch.round(v * self._frequency), alpha=self._period)
        s = self._over_points(t)
        return self.project(torch.addcmul(x, s, v) if isinstance(s, Tensor) else torch.add(x, v, alpha=s)), v

    def to_angles(self, x: Tensor) -> Tensor:
        """The coordinates as angles, `2π x / period`: a turn is 2π for each."""
        if self._period is None:
            return x / x.new_tensor(self.radii)
        return x if self._period == _TURN else x / self.radii[0]

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The coefficients as velocities in radians: a network need not know how long a turn is."""
        velocity = self.to_tangent(x, coefficients)
        if self._period is None:
            return velocity * x.new_tensor(self.radii)
        return velocity if self._period == _TURN else velocity * self.radii[0]

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Where every angle turns by less than half its period."""
        half = x.new_tensor(self.periods) / 2 if self._period is None else self._period / 2
        return (v.abs() < half).all(-1).expand(torch.broadcast_shapes(x.shape, v.shape)[:-1])

    def features(self, x: Tensor) -> Tensor:
        """Cosine and sine of every angle: `(*batch, 2d)`."""
        angle = self.to_angles(x)
        return torch.cat([angle.cos(), angle.sin()], -1)

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """The trapezoid rule in every angle, exact for trigonometric polynomials up to `degree` in each.

        For d > 3, scrambled Sobol points in 8 independent blocks.
        """
        rule = _quadrature.torus_rule if self.quadrature_is_exact(degree) else _quadrature.torus_sequence
        angles, weights = rule(self.dim, degree, dtype, device)
        return Quadrature(angles * angles.new_tensor(self.radii), weights * math.prod(self.radii))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the trapezoid rule is used: for d <= 3."""
        del degree
        return self.dim <= 3

    def from_cube(self, u: Tensor) -> Quadrature:
        """The cube itself, stretched: all points have the same weight."""
        return Quadrature(self.project(u * u.new_tensor(self.periods)), u.new_full(u.shape[:-1], self.volume))

    def magnitude(self, x: Tensor) -> Tensor:
        """The radius of each circle."""
        return x.new_tensor(self.radii).expand(x.shape)

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as angles, or None: its shape, a value that is not finite, one outside [0, period)."""
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        slack = 0.0 if tolerance is None else tolerance
        groups = x.detach().unbind(-1) if self._period is None else (x.detach(),)
        for group, period in zip(groups, self.periods, strict=False):
            low, high = float(group.amin()), float(group.amax())
            if not (low >= -slack and high < period + slack):
                end = "2π" if period == _TURN else f"{period:.6g}"
                return f"angles on {self!r} lie in [0, {end}), but these span [{low:.6g}, {high:.6g}]; use project(x)"
        return None

    def _wrap_nearby(self, x: Tensor, period: float) -> Tensor | None:
        """The remainder, bit for bit, in a third of the time where all is within two periods of 0; else None.

        There the multiple of the period is exact and its difference to x is rounded once, as torch rounds it. Only the
        quotient next to a whole number can be on the wrong side of it, and then the result is outside.
        """
        if not surely_within(x, -2 * period, 2 * period):
            return None
        wrapped = torch.sub(x, torch.floor(x.detach() * self._frequency), alpha=period)
        return wrapped if surely_within(wrapped, 0.0, period) else None

    def __repr__(self) -> str:
        """The constructor call."""
        periods = f", periods={self.periods if self._period is None else self._period}"
        return f"{type(self).__name__}({self.dim}{'' if self._period == _TURN else periods})"


def _as_periods(d: int, periods: float | Sequence[float] | None) -> tuple[float, ...]:
    """One period for each of d angles, checked."""
    if periods is None:
        return (_TURN,) * d
    given = tuple(map(float, periods)) if isinstance(periods, Sequence) else (float(periods),) * d
    if len(given) != d:
        raise OptionError(f"a torus of {d} angles has one period or {d} of them, got {len(given)}: periods={periods}")
    if not all(period > 0 and math.isfinite(period) for period in given):
        raise OptionError(f"the periods of a torus are positive numbers, got periods={periods}")
    return given


def _rounding(period: float, dtype: torch.dtype) -> float:
    """The real period minus its rounding to `dtype`, where 2π times a power of two means that real number."""
    if dtype != torch.float64:
        return period - float(torch.tensor(period, dtype=dtype))
    if math.frexp(period)[0] == math.frexp(_TURN)[0]:
        return _ROUNDING_OF_TURN * (period / _TURN)
    return 0.0
