"""Hyperbolic space as the Poincaré ball."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch.manifolds._hyperbolic as _hyperbolic
from rmatch._numerics import (
    asinhc,
    cosh_and_sinhc,
    dot,
    norm,
    possibly_reaches,
    sqrt,
)
from rmatch.manifolds._ball import Dist, Exp, Inner, Log, Transport
from rmatch.manifolds.hyperbolic import HyperbolicSpace

_INNER, _DIST, _EXP, _LOG, _TRANSPORT = Inner(), Dist(), Exp(), Log(), Transport()


class PoincareBall(HyperbolicSpace):
    """The ball `|x| < R` with the conformal metric `(2 / (1 - |x|²/R²))² dx²`, of curvature -1/R².

    Everything hangs on the gap `1 - |x|²/R²`, which for R = 1 is known to the last digit however near the boundary the
    point lies; distances are as exact as the floats of the points. Floats themselves are dense at the centre and coarse
    near the boundary: there are none beyond a distance of about 36 R from the centre in float64 and 15 R in float32,
    and `exp` of a longer vector ends on that last shell. `Lorentz` reaches farther.

    Args:
        n: Dimension, at least 1.
        curvature: Sectional curvature, a negative number.

    Raises:
        OptionError: `n` is less than 1, or the curvature is not a negative number.

    References:
        Ungar, "A Gyrovector Space Approach to Hyperbolic Geometry", 2009 (addition and gyration).
        Ganea, Bécigneul and Hofmann, "Hyperbolic neural networks", NeurIPS 2018, section 2 (exp, log and transport).

    Example:
        >>> import math, torch, rmatch as rm
        >>> M = rm.PoincareBall(2)
        >>> x = torch.tensor([math.tanh(0.75), 0.0], dtype=torch.float64)
        >>> round(float(M.dist(M.origin(dtype=torch.float64), x)), 12)
        1.5
    """

    def __init__(self, n: int, curvature: float = -1.0) -> None:
        super().__init__(n, curvature)
        self.point_shape = (n,)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The product `λ² <u, v>` with the conformal factor λ = 2 / (1 - |x|²/R²)."""
        return _INNER(self._unit(x), u, v)

    def norm(self, x: Tensor, u: Tensor) -> Tensor:
        """The length `λ |u|`."""
        return (2 / self._gap(x) * sqrt(dot(u, u))).squeeze(-1)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance `2 R asinh(|x - y| / sqrt(gap(x) gap(y)))`, lengths in units of R."""
        return self._scaled(_DIST(self._unit(x), self._unit(y)))

    def half_chord(self, x: Tensor, y: Tensor) -> Tensor:
        """The number `sinh²(d/2R) = |x - y|² / (gap(x) gap(y))`, lengths in units of R."""
        return _hyperbolic.ball_chord(*_hyperbolic.first(self._unit(x), self._unit(y)))[0]

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The Möbius sum of `x` and `tanh(λ|v|/2) v/|v|`.

        With a = gap(x), w = v/a, r = |w| (half the length of v), T = tanh r / r and z = x + T w, it is
        `x + a T (w + T |w|² x) / (|z|² + a / cosh² r)`, where nothing cancels in the denominator.
        """
        return self.project(self._scaled(_EXP(self._unit(x), self._unit(v))))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The vector `(θ / sinh θ) (gap(x) d - |d|² x) / gap(y)`, d = y - x, in units of R."""
        return self._scaled(_LOG(self._unit(x), self._unit(y)))

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport: the gyration by y and -x, a rotation in their plane, times `gap(y) / gap(x)`.

        With d = y - x, a and b the gaps, everything in units of R, and Q = |d|² + ab, the rotation takes v to

            v + 2/Q { (a <d, v> - |d|² <x, v>) x - (|x|² <d, v> + (b + |d|²) <x, v>) d },

        whose terms are all of the size of v: it is the reflection along `a d - |d|² x`, the direction in which the
        geodesic leaves `x`, followed by the one along its chord d.
        """
        return _TRANSPORT(self._unit(x), self._unit(y), v)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `exp_x(t log_x y)`, from the hyperboloid's formula, and `log_x y` transported there.

        With A = sinh((1-t)θ) / sinh θ, B = sinh(tθ) / sinh θ, α = A/gap(x) and β = B/gap(y), the point is
        `(α x + β y) / (α + β + (1 - A - B)/2)`.
        """
        p, q = _hyperbolic.first(self._unit(x), self._unit(y), time=t)
        half_chord, a, b, d, square = _hyperbolic.ball_chord(p, q)
        half = asinhc(half_chord)
        angle = 4 * half_chord * half * half
        ratio = half / (1 + half_chord).sqrt()
        first = (1 - t) * ratio * cosh_and_sinhc((1 - t) ** 2 * angle)[1]
        second = t * ratio * cosh_and_sinhc(t * t * angle)[1]
        alpha, beta = first / a, second / b
        point = torch.addcmul(alpha * p, beta, q) / (alpha + beta + (1 - first - second) / 2)
        start = (self.radius * ratio / b) * torch.addcmul(a * d, square, p, value=-1)
        velocity = _hyperbolic.gyrate(p, point, start)
        return _hyperbolic.last(point if self.radius == 1 else self.radius * point), _hyperbolic.last(velocity)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The centre."""
        return torch.zeros(self.dim, dtype=dtype, device=device)

    def project(self, x: Tensor) -> Tensor:
        """`x` itself inside the ball; what lies outside is drawn to the last shell of floats inside, 1 - 4 eps of R."""
        eps = torch.finfo(x.dtype).eps
        limit = self.radius * (1 - 4 * eps)
        inside = limit * limit * (1 - (self.dim + 4) * eps)  # whatever the rounding of the square
        if not possibly_reaches(dot(x.detach(), x.detach()), inside):
            return x
        r = norm(x)
        return x * (limit / r.clamp_min(limit)) if possibly_reaches(r, limit) else x

    def contains(self, x: Tensor) -> Tensor:
        """Where |x| < R."""
        return torch.linalg.vector_norm(x, dim=-1) < self.radius

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """`v` itself, with the batch of the points: every array is tangent."""
        return v if v.shape == x.shape else v.expand(torch.broadcast_shapes(x.shape, v.shape))

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The covector divided by λ²."""
        half = self._gap(x) / 2
        return half * half * df

    def metric(self, x: Tensor) -> Tensor:
        """The matrix λ² I: `(*batch, n, n)`."""
        factor = (2 / self._gap(x)).square().unsqueeze(-1)
        return factor * torch.eye(self.dim, dtype=x.dtype, device=x.device)

    def frame(self, x: Tensor) -> Tensor:
        """The unit coordinate vectors divided by λ: `(*batch, n, n)`."""
        return (self._gap(x) / 2).unsqueeze(-1) * torch.eye(self.dim, dtype=x.dtype, device=x.device)

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The coefficients divided by λ: a combination of `frame(x)`."""
        return self._gap(x) / 2 * coefficients

    def log_volume_density(self, x: Tensor) -> Tensor:
        """`n log λ`: dV_g = λ^n dx."""
        return self.dim * (math.log(2) - self._gap(x).log()).squeeze(-1)

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor:
        """`v(log ρ) = n λ <x, v> / R²`."""
        return (self.dim / self.radius**2 * (2 / self._gap(x)) * dot(x, v)).squeeze(-1)

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume `λ^n det[v_1, ..., v_n]`."""
        return torch.linalg.det((2 / self._gap(x)).unsqueeze(-1) * vectors)

    def polar(self, r: Tensor, direction: Tensor) -> Tensor:
        """The points `R tanh(r/2R) ω`."""
        return self.radius * (r / (2 * self.radius)).tanh().unsqueeze(-1) * direction

    def height(self, x: Tensor) -> Tensor:
        """`R (2 - gap) / gap`."""
        gap = self._gap(x).squeeze(-1)
        return self.radius * (2 - gap) / gap

    def normal_coordinates(self, x: Tensor) -> Tensor:
        """`2 artanh(p)/p x` with p = |x|/R, from the gap: artanh p = asinh(p / sqrt(1 - p²))."""
        gap = self._gap(x)
        return 2 * asinhc((1 - gap) / gap) / gap.sqrt() * x

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as points, or None: its shape, a value that is not finite, a row outside the ball.

        Args:
            x: The tensor to look at.
            tolerance: How far outside a row may lie; by default it has to be inside.
        """
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        r = torch.linalg.vector_norm(x.detach(), dim=-1)
        outside = r > self.radius + tolerance if tolerance is not None else r >= self.radius
        if not bool(outside.any()):
            return None
        index = outside.nonzero()[0].tolist()
        row, length = ", ".join(map(str, index)) or "0", float(r[tuple(index)])
        return (
            f"points on {self!r} lie inside the ball of radius {self.radius:.6g}, but row {row} has the norm "
            f"{length:.6g}; divide by a scale that brings the rows inside, or use project(x) to draw them to the edge"
        )

    def _gap(self, x: Tensor) -> Tensor:
        """`1 - |x|²/R²`, shape `(*batch, 1)`."""
        return _hyperbolic.ball_gap(*_hyperbolic.first(self._unit(x))).unsqueeze(-1)
