"""The sphere S^n of any radius in R^{n+1}."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError
from rmatch._numerics import cos_and_sinc, dot
from rmatch.manifolds._round import Dist, Exp, Log, Project, Transport
from rmatch.manifolds.base import Quadrature
from rmatch.manifolds.embedded import EmbeddedManifold


class Sphere(EmbeddedManifold):
    """The sphere S^n of vectors of one length in R^{n+1}, with the round metric.

    Distances keep full relative precision from tiny angles to π, and no gradient is infinite. From a point to its
    antipode, where every direction minimises, `log` is half a great circle long, in the direction of
    `rmatch._numerics.perpendicular`.

    Args:
        n: Dimension, at least 1; S² is the surface of the globe.
        radius: Length of the vectors. Distances and tangent vectors are in its unit: angles for the unit sphere.

    Raises:
        OptionError: `n` is less than 1, or the radius is not a positive number.

    Example:
        >>> import math, torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> north, x = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
        >>> round(float(M.dist(north, x)), 6)
        1.570796
        >>> math.isclose(M.volume, 4 * math.pi)
        True
        >>> earth = rm.Sphere(2, radius=6371.0)
        >>> round(float(earth.dist(6371.0 * north, 6371.0 * x)))  # from the pole to the equator, in kilometres
        10008
    """

    def __init__(self, n: int, radius: float = 1.0) -> None:
        if n < 1:
            raise OptionError(f"a sphere has dimension 1 or more, got Sphere({n})")
        if not (radius > 0 and math.isfinite(radius)):
            raise OptionError(f"the radius of a sphere is a positive number, got radius={radius}")
        self.dim = n
        self.radius = float(radius)
        self.point_shape = (n + 1,)
        self.volume = 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2) * self.radius**n
        self._square = None if self.radius == 1 else self.radius**2  # None: the unit sphere does without a division
        self._exp, self._log, self._dist = Exp(self.radius), Log(self.radius), Dist(self.radius)
        self._project, self._transport = Project(self.radius), Transport(self.radius)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The point `cos θ x + sin θ / θ v` with the angle θ = |v| / radius."""
        return self._exp(x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` of length `dist(x, y)` that points to `y`; half a great circle at the antipode."""
        return self._log(x, y)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The radius times `2 atan2(|x - y|, |x + y|)` (Kahan, "How futile are mindless assessments", 2006)."""
        return self._dist(x, y)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `cos(tθ) x + sin(tθ) e` and its velocity `θ (cos(tθ) e - sin(tθ) x)`.

        Here e is the direction to y, of the length of x.
        """
        s = self._over_points(t)
        c, sine, cosine = self._log.departure(x, y, False)
        if self._log.is_delicate(sine):
            v = self.log(x, y)
            square = self._dot(v, v)
            cos_t, sinc_t = cos_and_sinc(s * s * square)
            return torch.addcmul(cos_t * x, s * sinc_t, v), torch.addcmul(cos_t * v, s * square * sinc_t, x, value=-1)
        angle = torch.atan2(sine, cosine)
        e = c / sine
        phase = s * angle
        cos_t, sin_t = phase.cos(), phase.sin()
        velocity = torch.addcmul((angle * cos_t) * e, angle * sin_t, x, value=-1)
        return torch.addcmul(cos_t * x, sin_t, e), velocity

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The north pole: the radius on the last coordinate axis."""
        point = torch.zeros(self.dim + 1, dtype=dtype, device=device)
        point[-1] = self.radius
        return point

    def project(self, x: Tensor) -> Tensor:
        """`x` scaled to the radius; the centre, from which all points are equally far, goes to the origin."""
        return self._project(x)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The part `v - <x, v> x / radius²` that is orthogonal to `x`."""
        return torch.addcmul(v, self._dot(x, v), x, value=-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport `v - 2 <s, v>/|s|² s` along the great circle, with s = x + y.

        From a point to its antipode s is the direction of `log`.
        """
        return self._transport(x, y, v)

    def frame(self, x: Tensor) -> Tensor:
        """The first n columns of the Householder reflection that takes the last axis to ∓x: `(*batch, n, n + 1)`."""
        unit = self._over_radius(x)
        rest, last = unit[..., :-1], unit[..., -1:]
        mirror = torch.cat([rest, last + torch.copysign(torch.ones_like(last), last)], -1)
        columns = (rest / (1 + last.abs())).unsqueeze(-1) * mirror.unsqueeze(-2)
        return torch.eye(self.dim, self.dim + 1, dtype=x.dtype, device=x.device) - columns

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The radius times the tangent part of an ambient array: a network need not know how large its sphere is."""
        tangent = self.to_tangent(x, coefficients)
        return tangent if self._square is None else self.radius * tangent

    def features(self, x: Tensor) -> Tensor:
        """The unit vector of the point."""
        return self._over_radius(x)

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume `det[x / radius, v_1, ..., v_n]`."""
        there = self._over_radius(x).unsqueeze(-2).expand(*vectors.shape[:-2], 1, self.dim + 1)
        return torch.linalg.det(torch.cat([there, vectors], -2))

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`(n - 1) log |sin θ / θ|` with θ = |v| / radius: Jacobi fields across the geodesic shrink as sin θ."""
        batch = torch.broadcast_shapes(x.shape, v.shape)[:-1]
        return ((self.dim - 1) * cos_and_sinc(self._dot(v, v))[1].abs().log().squeeze(-1)).expand(batch)

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Where |v| is less than half a great circle."""
        return (self._dot(v, v) < math.pi**2).squeeze(-1).expand(torch.broadcast_shapes(x.shape, v.shape)[:-1])

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Gauss–Gegenbauer rules in the polar angles and the trapezoid rule in the azimuth, exact up to `degree`.

        Where that product would be too large (from S⁴ on, at degree 60), scrambled Sobol points mapped by the normal
        quantile function to R^{n+1} and projected, in 8 independent blocks.
        """
        rule = _quadrature.sphere_rule if self.quadrature_is_exact(degree) else _quadrature.sphere_sequence
        nodes, weights = rule(self.dim, degree, dtype, device)
        return Quadrature(self.radius * nodes, self.radius**self.dim * weights)

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the product rule is used: always up to S², beyond while it has at most a million nodes."""
        return self.dim <= 2 or _quadrature.sphere_rule_size(self.dim, degree) <= _quadrature.LARGEST_RULE

    @property
    def cube_size(self) -> int:
        """`n + 1`: a point is a normal vector, projected."""
        return self.dim + 1

    def from_cube(self, u: Tensor) -> Quadrature:
        """Normal vectors, projected: all have the same weight."""
        nodes = self.project(torch.special.ndtri(u))
        return Quadrature(nodes, nodes.new_full(nodes.shape[:-1], self.volume))

    def magnitude(self, x: Tensor) -> Tensor:
        """The radius."""
        return torch.full_like(x, self.radius)

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as a tensor of points, or None; the tolerance is relative to the radius."""
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        unit, wanted = self._over_radius(x), self._over_radius(self.project(x))
        what = "is {gap:.2g} off the manifold" + ("" if self._square is None else " in units of the radius")
        return self._check_gap(x, unit, wanted, what, "use project(x)", tolerance)

    def _dot(self, u: Tensor, v: Tensor) -> Tensor:
        """`<u, v> / radius²`, the last axis kept."""
        product = dot(u, v)
        return product if self._square is None else product / self._square

    def _over_radius(self, x: Tensor) -> Tensor:
        return x if self._square is None else x / self.radius

    def __repr__(self) -> str:
        """The constructor call."""
        radius = "" if self._square is None else f", radius={self.radius}"
        return f"{type(self).__name__}({self.dim}{radius})"
