"""The flat torus T^d."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError
from rmatch._numerics import possibly_reaches
from rmatch.manifolds.base import Quadrature
from rmatch.manifolds.euclidean import FlatManifold

_PERIOD = 2 * math.pi
# A tensor without axes multiplies in half the time of a Python number, and takes the dtype and device of the other.
_FREQUENCY = torch.tensor(1 / _PERIOD, dtype=torch.float64, device="cpu")


class Torus(FlatManifold):
    """The torus T^d = (R / 2πZ)^d of angles in [0, 2π), with the flat product metric.

    Differences are taken modulo the real number 2π, not its rounding, so two angles on either side of 0 are as accurate
    as any other pair. At the cut locus, half a turn away, `log` is +π or -π as the plain difference of the angles is.

    Args:
        d: Number of angles, at least 1.

    Raises:
        OptionError: `d` is less than 1.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> M.log(torch.tensor([0.25]), torch.tensor([6.25]))
        tensor([-0.2832])
    """

    def __init__(self, d: int) -> None:
        if d < 1:
            raise OptionError(f"a torus has dimension 1 or more, got Torus({d})")
        self.dim = d
        self.point_shape = (d,)
        self.volume = _PERIOD**d

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The angles `x + v`, brought back to [0, 2π)."""
        return self.project(x + v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The differences `y - x - 2πk` in [-π, π].

        A turn is taken off the angle that is ahead, which is exact (Sterbenz' lemma) where the result is small, and the
        rounding error of 2π is subtracted last.
        """
        turns = torch.round((y - x) * _FREQUENCY)
        ahead = torch.sub(y, turns.relu(), alpha=_PERIOD)
        behind = torch.add(x, turns.clamp_max(0.0), alpha=_PERIOD)
        return torch.sub(ahead - behind, turns, alpha=_rounding_of_period(x.dtype))

    def project(self, x: Tensor) -> Tensor:
        """The angles modulo 2π, in [0, 2π): a negative number too small to tell from a full turn goes to 0."""
        wrapped = torch.remainder(x, _PERIOD)
        if not possibly_reaches(wrapped, _PERIOD):
            return wrapped
        return torch.add(wrapped, wrapped >= _PERIOD, alpha=-_PERIOD)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The angles `x + t log_x y` and the constant velocity `log_x y`.

        The difference is reduced by the rounded 2π, cheaper than in `log` and as exact as the point can be: an angle
        near 2π is itself known to that rounding only.
        """
        v = y - x
        v = torch.sub(v, torch.round(v * _FREQUENCY), alpha=_PERIOD)
        s = self._over_points(t)
        return self.project(torch.addcmul(x, s, v) if isinstance(s, Tensor) else torch.add(x, v, alpha=s)), v

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Where every angle turns by less than π."""
        return (v.abs() < math.pi).all(-1).expand(torch.broadcast_shapes(x.shape, v.shape)[:-1])

    def features(self, x: Tensor) -> Tensor:
        """Cosine and sine of every angle: `(*batch, 2d)`."""
        return torch.cat([x.cos(), x.sin()], -1)

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """The trapezoid rule in every angle, exact for trigonometric polynomials up to `degree` in each.

        For d > 3, scrambled Sobol points in 8 independent blocks.
        """
        rule = _quadrature.torus_rule if self.quadrature_is_exact(degree) else _quadrature.torus_sequence
        return Quadrature(*rule(self.dim, degree, dtype, device))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the trapezoid rule is used: for d <= 3."""
        del degree
        return self.dim <= 3

    def from_cube(self, u: Tensor) -> Quadrature:
        """The cube itself, stretched: all points have the same weight."""
        return Quadrature(self.project(_PERIOD * u), u.new_full(u.shape[:-1], self.volume))

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as angles, or None: its shape, a value that is not finite, one outside [0, 2π)."""
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        slack = 0.0 if tolerance is None else tolerance
        low, high = float(x.detach().amin()), float(x.detach().amax())
        if low >= -slack and high < _PERIOD + slack:
            return None
        return f"angles on {self!r} lie in [0, 2π), but these span [{low:.6g}, {high:.6g}]; use project(x)"


def _rounding_of_period(dtype: torch.dtype) -> float:
    """2π minus its rounding to `dtype`: 2π = 6.28318530717958647692528676655900576839..."""
    if dtype == torch.float64:
        return 2.4492935982947064e-16
    return _PERIOD - float(torch.tensor(_PERIOD, dtype=dtype))
