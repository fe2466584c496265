"""Hyperbolic space as the hyperboloid in Minkowski space."""

from __future__ import annotations

import torch
from torch import Tensor

import rmatch.manifolds._hyperbolic as _hyperbolic
from rmatch._numerics import asinh, asinhc, cosh_and_sinhc, dot, sqrt
from rmatch.manifolds.hyperbolic import HyperbolicSpace


class Lorentz(HyperbolicSpace):
    """The hyperboloid `-x_0² + x_1² + ... + x_n² = 1/curvature`, x_0 > 0, with the metric of Minkowski space.

    The time component comes first. A point is known by its spatial part; the time component is taken to belong to it.
    Distances keep their relative precision from tiny separations to the far side of the space, at any radius that the
    floats can hold, and no derivative is infinite.

    Args:
        n: Dimension, at least 1; points have n + 1 coordinates.
        curvature: Sectional curvature, a negative number.

    Raises:
        OptionError: `n` is less than 1, or the curvature is not a negative number.

    References:
        Cannon, Floyd, Kenyon and Parry, "Hyperbolic geometry", in Flavors of Geometry, 1997.

    Example:
        >>> import math, torch, rmatch as rm
        >>> M = rm.Lorentz(2)
        >>> x = torch.tensor([math.cosh(1.5), math.sinh(1.5), 0.0], dtype=torch.float64)
        >>> round(float(M.dist(M.origin(dtype=torch.float64), x)), 12)
        1.5
    """

    def __init__(self, n: int, curvature: float = -1.0) -> None:
        super().__init__(n, curvature)
        self.point_shape = (n + 1,)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The Minkowski product `-u_0 v_0 + Σ u_i v_i` of tangent vectors, as a sum in which nothing cancels.

        With `u' = u - (u_0/x_0) x` and v' alike, whose time components vanish, it is
        `<u', v'> + R² (u_0/x_0)(v_0/x_0)`.
        """
        a, s = _hyperbolic.across(x, u)
        b, t = (a, s) if v is u else _hyperbolic.across(x, v)
        return torch.addcmul(dot(a, b), s, t, value=self.radius**2).squeeze(-1)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance `2 R asinh h`, with h² = sinh²(θ/2) as a sum of squares."""
        return 2 * self.radius * asinh(sqrt(self._half_chord(x, y))).squeeze(-1)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The point `cosh r x + (sinh r / r) v`, r = |v|/R, with the time component of its spatial part."""
        a, s = _hyperbolic.across(x, v)
        square = torch.addcmul(dot(a, a) / self.radius**2, s, s)
        cosh, sinhc = cosh_and_sinhc(square)
        return self._over(torch.addcmul(cosh * x[..., 1:], sinhc, v[..., 1:]))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The vector `(θ / sinh θ) (y - x - (cosh θ - 1) x)`, tangent at `x`."""
        square = self._half_chord(x, y)
        xs = x[..., 1:]
        ratio = asinhc(square) / (1 + square).sqrt()
        return _hyperbolic.with_time_of_tangent(x, ratio * torch.addcmul(y[..., 1:] - xs, square, xs, value=-2))

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `(sinh((1-t)θ) x + sinh(tθ) y) / sinh θ` and its derivative in t.

        The velocity is the difference of two multiples of x and y; it is taken from y - x, so that near points keep
        their digits.
        """
        s = self._over_points(t)
        square = self._half_chord(x, y)
        root = (1 + square).sqrt()
        half = asinhc(square)  # θ/2 = h asinhc(h²)
        angle = 4 * square * half * half  # θ²
        ratio = half / root  # θ / sinh θ
        xs, ys = x[..., 1:], y[..., 1:]
        cosh_x, sinhc_x = cosh_and_sinhc((1 - s) ** 2 * angle)
        cosh_y, sinhc_y = cosh_and_sinhc(s * s * angle)
        point = self._over(torch.addcmul((1 - s) * ratio * sinhc_x * xs, s * ratio * sinhc_y, ys))
        # cosh(tθ) - cosh((1-t)θ) = 2 sinh(θ/2) sinh((t - 1/2)θ)
        middle = (s - 0.5) ** 2 * angle
        rest = (8 * (s - 0.5)) * square * half * cosh_and_sinhc(middle)[1]
        near = torch.addcmul(cosh_y * (ys - xs), rest / 2, xs)
        far = torch.addcmul(cosh_y * ys, cosh_x, xs, value=-1)
        velocity = ratio * torch.where(square < 1, near, far)
        return point, _hyperbolic.with_time_of_tangent(point, velocity)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport `v + <y, v> (x + y) / (R² - <x, y>)` in Minkowski products.

        R² - <x, y> is 2 R² (1 + h²), and <y, v> = <y - x, v> is a sum of the parts across and along `x`.
        """
        xs, ys = x[..., 1:], y[..., 1:]
        d = ys - xs
        square = self._half_chord(x, y)
        a, s = _hyperbolic.across(x, v)
        rise = _hyperbolic.rise(x, d, y) / x[..., :1]
        along = dot(torch.addcmul(d, rise, xs, value=-1), a) / self.radius**2 + s * (rise - 2 * square)
        moved = torch.addcmul(v[..., 1:], along / (2 * (1 + square)), xs + ys)
        return _hyperbolic.with_time_of_tangent(y, moved)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The lowest point (R, 0, ..., 0)."""
        point = torch.zeros(self.dim + 1, dtype=dtype, device=device)
        point[0] = self.radius
        return point

    def project(self, x: Tensor) -> Tensor:
        """The point with the same spatial part: its time component becomes `sqrt(R² + |xs|²)`."""
        return self._over(x[..., 1:])

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The part `v + <x, v> x / R²` that is orthogonal to `x` in Minkowski space."""
        product = dot(x[..., 1:], v[..., 1:]) - x[..., :1] * v[..., :1]
        return _hyperbolic.with_time_of_tangent(
            x, torch.addcmul(v[..., 1:], product, x[..., 1:], value=1 / self.radius**2)
        )

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The vector `J df + (Σ x_i df_i) x / R²`, with J the sign change of the time component."""
        pairing = dot(x, df)
        return torch.addcmul(self.coordinate_covector(df), pairing, x, value=1 / self.radius**2)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """Zero: the reference measure is the volume itself, as on every submanifold with the induced metric."""
        return x.new_zeros(x.shape[:-1])

    def density_drift(self, x: Tensor, v: Tensor) -> None:
        """None: the density is constant."""

    def metric(self, x: Tensor) -> Tensor:
        """The matrix `J + (J x)(J x)ᵀ / R²`, J = diag(-1, 1, ..., 1): `(*batch, n + 1, n + 1)`, of rank n."""
        flipped = self.coordinate_covector(self._unit(x))
        signs = self.coordinate_covector(x.new_ones(self.dim + 1)).diag()
        return signs + flipped.unsqueeze(-1) * flipped.unsqueeze(-2)

    def frame(self, x: Tensor) -> Tensor:
        """The images of the unit vectors under the boost from the origin to `x`, smooth everywhere: `(*batch, n, n+1)`.

        The i-th is `(x_i, e_i + x_i xs / (1 + x_0))` with `x` in units of R.
        """
        unit = self._unit(x)
        x0, xs = unit[..., :1], unit[..., 1:]
        spatial = (xs / (1 + x0)).unsqueeze(-1) * xs.unsqueeze(-2)
        spatial = spatial + torch.eye(self.dim, dtype=x.dtype, device=x.device)
        return torch.cat([xs.unsqueeze(-1), spatial], -1)

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The combination of `frame(x)` with these coefficients, without building the frame."""
        unit = self._unit(x)
        x0, xs = unit[..., :1], unit[..., 1:]
        time = dot(xs, coefficients)
        return torch.cat([time, torch.addcmul(coefficients, time / (1 + x0), xs)], -1)

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """The metric's own orthonormal frame: metric and reference measure agree."""
        return self.frame(x)

    def coordinate_covector(self, v: Tensor) -> Tensor:
        """The vector with the sign of its time component changed: the trace is taken in Minkowski space."""
        return torch.cat([-v[..., :1], v[..., 1:]], -1)

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume: the determinant of the vectors' coefficients on `frame(x)`."""
        unit = self._unit(x).unsqueeze(-2)
        return torch.linalg.det(
            torch.addcmul(vectors[..., 1:], vectors[..., :1] / (1 + unit[..., :1]), unit[..., 1:], value=-1)
        )

    def polar(self, r: Tensor, direction: Tensor) -> Tensor:
        """The points `R (cosh(r/R), sinh(r/R) ω)`."""
        unit = (r / self.radius).unsqueeze(-1)
        return self.radius * torch.cat([unit.cosh(), unit.sinh() * direction], -1)

    def normal_coordinates(self, x: Tensor) -> Tensor:
        """The spatial part times `asinh(p)/p`, p its length in units of R."""
        xs = x[..., 1:]
        return asinhc(dot(xs, xs) / self.radius**2) * xs

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as points, or None: its shape, a value that is not finite, its time component.

        Args:
            x: The tensor to look at.
            tolerance: Allowed error of the time component relative to its size; by default 1e-8 in float64 and 1e-5 in
                float32.
        """
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        wanted = self.project(x)
        scale = wanted[..., :1]
        return self._check_gap(
            x,
            x / scale,
            wanted / scale,
            "is off the hyperboloid: its time component, which comes first, is wrong by {gap:.2g} of its size",
            "use project(x)",
            tolerance,
        )

    def check_tangent(self, x: Tensor, v: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `v` as tangent vectors at `x`, or None; the tolerance is relative to the vector's size."""
        problem = self._check_array(v, "tangent vectors")
        if problem is not None or v.numel() == 0:
            return problem
        scale = 1.0 + v.detach().abs().amax()
        tangent = _hyperbolic.with_time_of_tangent(x, v[..., 1:])
        return self._check_gap(
            v,
            v / scale,
            tangent / scale,
            "has a normal part: its time component is off by {gap:.2g}",
            "use to_tangent(x, v)",
            tolerance,
        )

    def _half_chord(self, x: Tensor, y: Tensor) -> Tensor:
        return _hyperbolic.half_chord(self._unit(x), self._unit(y))

    def _over(self, spatial: Tensor) -> Tensor:
        """The point over a spatial part."""
        return torch.cat([(self.radius**2 + dot(spatial, spatial)).sqrt(), spatial], -1)
