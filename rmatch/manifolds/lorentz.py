"""Hyperbolic space as the hyperboloid in Minkowski space."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import rmatch.manifolds._calculus as _calculus
import rmatch.manifolds._hyperbolic as _hyperbolic
from rmatch._numerics import asinhc, cosh_and_sinhc, dot
from rmatch._typing import TangentFunction
from rmatch.manifolds._hyperboloid import Dist, Exp, Inner, Log, Project, Transport
from rmatch.manifolds.base import DivergenceMethod
from rmatch.manifolds.hyperbolic import HyperbolicSpace

_INNER, _DIST, _EXP, _LOG, _PROJECT, _TRANSPORT = Inner(), Dist(), Exp(), Log(), Project(), Transport()


class Lorentz(HyperbolicSpace):
    """The hyperboloid `-x_0² + x_1² + ... + x_n² = 1/curvature`, x_0 > 0, with the metric of Minkowski space.

    The time component comes first. A point is known by its spatial part; the time component is taken to belong to it.
    Distances keep their relative precision from tiny separations to the far side of the space, and no derivative is
    infinite. Points reach to a distance of 354 R from the origin (44 R in float32), where the squares of coordinates
    overflow; what lies across the radius is known out there to `eps cosh r` only, as the coordinates are.

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
        return _INNER(self._unit(x), u, v)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance `2 R asinh h`, with h² = sinh²(θ/2) as a sum of squares."""
        return self._scaled(_DIST(self._unit(x), self._unit(y)))

    def half_chord(self, x: Tensor, y: Tensor) -> Tensor:
        """The number `sinh²(d/2R)` as a sum of squares."""
        return _hyperbolic.chord(*_hyperbolic.first(self._unit(x), self._unit(y))).square

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The point `cosh r x + (sinh r / r) v`, r = |v|/R, with the time component of its spatial part."""
        return self._scaled(_EXP(self._unit(x), self._unit(v)))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The vector `(θ / sinh θ) (y - x - (cosh θ - 1) x)`, tangent at `x`."""
        return self._scaled(_LOG(self._unit(x), self._unit(y)))

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `(sinh((1-t)θ) x + sinh(tθ) y) / sinh θ` and its derivative in t.

        The velocity is the difference of two multiples of x and y; for near points it is taken from y - x, so that
        they keep their digits.
        """
        p, q = _hyperbolic.first(x, y, time=t)
        square = _hyperbolic.chord(*_hyperbolic.first(self._unit(x), self._unit(y), time=t)).square
        half = asinhc(square)  # θ/2 = h asinhc(h²)
        angle = 4 * square * half * half  # θ²
        cosh = (1 + square).sqrt()
        ratio = half / cosh  # θ / sinh θ
        xs, ys = p[1:], q[1:]
        cosh_x, sinhc_x = cosh_and_sinhc((1 - t) ** 2 * angle)
        cosh_y, sinhc_y = cosh_and_sinhc(t * t * angle)
        spatial = torch.addcmul(((1 - t) * ratio * sinhc_x) * xs, t * ratio * sinhc_y, ys)
        cosh_x, cosh_y = ratio * cosh_x, ratio * cosh_y  # before anything else: far out a product would overflow
        far = torch.addcmul(cosh_y * ys, cosh_x, xs, value=-1)
        # cosh(tθ) - cosh((1-t)θ) = 2 sinh(θ/2) sinh((t - 1/2)θ)
        rest = (4 * (t - 0.5)) * (half * (square / cosh)) * (half * cosh_and_sinhc((t - 0.5) ** 2 * angle)[1])
        near = torch.addcmul(cosh_y * (ys - xs), rest, xs)
        velocity = torch.where(square < 1, near, far)
        time = (self.radius**2 + _hyperbolic.dot(spatial, spatial)).sqrt()
        slope = _hyperbolic.dot(spatial, velocity) / time
        point = _hyperbolic.last(time.unsqueeze(0), spatial)
        return point, _hyperbolic.last(slope.unsqueeze(0), velocity)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport `v + <y, v> (x + y) / (R² - <x, y>)` in Minkowski products.

        R² - <x, y> is 2 R² (1 + h²), and <y, v> = <y - x, v> is a sum of the parts across and along `x`.
        """
        return _TRANSPORT(self._unit(x), self._unit(y), v)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The lowest point (R, 0, ..., 0)."""
        point = torch.zeros(self.dim + 1, dtype=dtype, device=device)
        point[0] = self.radius
        return point

    def project(self, x: Tensor) -> Tensor:
        """The point with the same spatial part: its time component becomes `sqrt(R² + |xs|²)`."""
        return self._scaled(_PROJECT(self._unit(x)))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The part `v + <x, v> x / R²` that is orthogonal to `x` in Minkowski space."""
        p, w = _hyperbolic.first(x, v)
        product = _hyperbolic.dot(p[1:], w[1:]) - p[0] * w[0]
        tangent = torch.addcmul(w[1:], product, p[1:], value=1 / self.radius**2)
        return _hyperbolic.last(_hyperbolic.time_of_tangent(p, tangent), tangent)

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

    def value_and_divergence(
        self,
        field: TangentFunction,
        *,
        method: DivergenceMethod = "exact",
        probes: int = 1,
        generator: torch.Generator | None = None,
    ) -> _calculus.ValueAndScalar:
        """The field and its divergence `Σ_i e_i(c_i) + (n - 1) <p, c> / R` from its coefficients c on the frame e.

        Here p is the point in the unit ball, where the frame is `(1 - |p|²)/2` times the coordinate vectors. The trace
        in Minkowski space, of derivatives of the vectors themselves, would cancel numbers of the size `exp(2r)`. What
        is left is an error of `exp(r)` roundings from taking c off the vectors, and none of it for a field that has a
        function `coefficients` of the point beside itself: a network does.
        """
        known: Callable[[Tensor], Tensor] | None = getattr(field, "coefficients", None)  # as networks and solvers give

        def vectors_and_coefficients(x: Tensor) -> tuple[Tensor, Tensor]:
            if known is not None:
                c = known(x)
                return self.span(x, c), c
            v = field(x)
            return v, self._coefficients(x, v)

        evaluate = _calculus.value_and_trace(
            self, vectors_and_coefficients, method=method, probes=probes, generator=generator
        )

        def value_and_divergence(x: Tensor) -> tuple[Tensor, Tensor]:
            value, c, trace = evaluate(x)
            p = x[..., 1:] / (self.radius + x[..., :1])
            return value, trace + (self.dim - 1) / self.radius * dot(p, c).squeeze(-1)

        return value_and_divergence

    def _coefficients(self, x: Tensor, v: Tensor) -> Tensor:
        """The coefficients of tangent vectors on `frame(x)`, `(*batch, n)`."""
        return torch.addcmul(v[..., 1:], v[..., :1] / (self.radius + x[..., :1]), x[..., 1:], value=-1)

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

    def height(self, x: Tensor) -> Tensor:
        """The time component."""
        return x[..., 0]

    def error_size(self, x: Tensor, y: Tensor, v: Tensor, *, rtol: float, atol: float) -> Tensor:
        """As everywhere, for the tangent vector with the spatial part of `v`: that is what `project` leaves of it."""
        del y
        time = dot(x[..., 1:], v[..., 1:]) / x[..., :1]
        length = self.norm(x, torch.cat([time, v[..., 1:]], -1))
        return length / (self.dim**0.5 * (atol + rtol + self.resolution(x)))

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
        p, w = _hyperbolic.first(x, v)
        tangent = _hyperbolic.last(_hyperbolic.time_of_tangent(p, w[1:]), w[1:])
        return self._check_gap(
            v,
            v / scale,
            tangent / scale,
            "has a normal part: its time component is off by {gap:.2g}",
            "use to_tangent(x, v)",
            tolerance,
        )
