"""The unit sphere S^n in R^{n+1}."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError
from rmatch._numerics import cos_and_sinc, dot, norm, perpendicular, possibly_any
from rmatch.manifolds.base import Quadrature
from rmatch.manifolds.embedded import EmbeddedManifold


class Sphere(EmbeddedManifold):
    """The sphere S^n of unit vectors in R^{n+1}, with the round metric.

    Distances keep full relative precision from tiny angles to π, and no gradient is infinite. From a point to its
    antipode, where every direction minimises, `log` has length π and the direction of
    `rmatch._numerics.perpendicular`.

    Args:
        n: Dimension, at least 1; S² is the surface of the globe.

    Raises:
        OptionError: `n` is less than 1.

    Example:
        >>> import math, torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> north, x = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
        >>> round(float(M.dist(north, x)), 6)
        1.570796
        >>> math.isclose(M.volume, 4 * math.pi)
        True
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise OptionError(f"a sphere has dimension 1 or more, got Sphere({n})")
        self.dim = n
        self.point_shape = (n + 1,)
        self.volume = 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The point `cos|v| x + sin|v| v/|v|`."""
        cosine, sinc = cos_and_sinc(dot(v, v))
        return torch.addcmul(cosine * x, sinc, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` of length `dist(x, y)` that points to `y`; length π at the antipode."""
        c, r, cosine = self._departure(x, y)
        if not possibly_any(self._is_delicate(r)):
            return c * (torch.atan2(r, cosine) / r)
        c = self.to_tangent(x, c)  # what is left of c may be mostly round-off: once more is enough
        r = norm(c)
        zero = r == 0
        ratio = torch.where(zero, 1.0, torch.atan2(r, cosine) / (r + zero))
        return torch.where(zero & (cosine < 0), math.pi * perpendicular(x), ratio * c)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The angle `2 atan2(|x - y|, |x + y|)` in [0, π] (Kahan, "How futile are mindless assessments", 2006)."""
        return 2 * torch.atan2(norm(x - y), norm(x + y)).squeeze(-1)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `cos(tθ) x + sin(tθ) e` and its velocity `θ (cos(tθ) e - sin(tθ) x)`, e the unit direction to y."""
        s = self._over_points(t)
        c, r, cosine = self._departure(x, y)
        if possibly_any(self._is_delicate(r)):
            v = self.log(x, y)
            square = dot(v, v)
            cos_t, sinc_t = cos_and_sinc(s * s * square)
            return torch.addcmul(cos_t * x, s * sinc_t, v), torch.addcmul(cos_t * v, s * square * sinc_t, x, value=-1)
        angle = torch.atan2(r, cosine)
        e = c / r
        phase = s * angle
        cos_t, sin_t = phase.cos(), phase.sin()
        velocity = torch.addcmul((angle * cos_t) * e, angle * sin_t, x, value=-1)
        return torch.addcmul(cos_t * x, sin_t, e), velocity

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The last unit coordinate vector, the north pole."""
        point = torch.zeros(self.dim + 1, dtype=dtype, device=device)
        point[-1] = 1.0
        return point

    def project(self, x: Tensor) -> Tensor:
        """The point `x/|x|`; the centre, from which all points are equally far, goes to the origin."""
        r = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        zero = r == 0
        if not possibly_any(zero):
            return x / r
        return torch.where(zero, self.origin(dtype=x.dtype, device=x.device), x / (r + zero))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The part `v - <x, v> x` that is orthogonal to `x`."""
        return torch.addcmul(v, dot(x, v), x, value=-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport along the great circle: the part along it turns with it, the part across stays.

        With u = log_x y, θ = |u|, it is `v - <u, v> (½ sinc²(θ/2) u + sinc(θ/2) cos(θ/2) x)`, entire in u.
        """
        u = self.log(x, y)
        cos_half, sinc_half = cos_and_sinc(dot(u, u) / 4)
        along = dot(u, v) * sinc_half
        return v - along * (sinc_half / 2 * u + cos_half * x)

    def frame(self, x: Tensor) -> Tensor:
        """The first n columns of the Householder reflection that takes the last axis to ∓x: `(*batch, n, n + 1)`."""
        rest, last = x[..., :-1], x[..., -1:]
        mirror = torch.cat([rest, last + torch.copysign(torch.ones_like(last), last)], -1)
        columns = (rest / (1 + last.abs())).unsqueeze(-1) * mirror.unsqueeze(-2)
        return torch.eye(self.dim, self.dim + 1, dtype=x.dtype, device=x.device) - columns

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume `det[x, v_1, ..., v_n]`."""
        there = x.unsqueeze(-2).expand(*vectors.shape[:-2], 1, self.dim + 1)
        return torch.linalg.det(torch.cat([there, vectors], -2))

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`(n - 1) log |sin r / r|` with r = |v|: Jacobi fields across the geodesic shrink as sin r."""
        batch = torch.broadcast_shapes(x.shape, v.shape)[:-1]
        return ((self.dim - 1) * cos_and_sinc(dot(v, v))[1].abs().log().squeeze(-1)).expand(batch)

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Where |v| < π."""
        return (dot(v, v) < math.pi**2).squeeze(-1).expand(torch.broadcast_shapes(x.shape, v.shape)[:-1])

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Gauss–Gegenbauer rules in the polar angles and the trapezoid rule in the azimuth, exact up to `degree`.

        Where that product would be too large (from S⁴ on, at degree 60), scrambled Sobol points mapped by the normal
        quantile function to R^{n+1} and projected, in 8 independent blocks.
        """
        rule = _quadrature.sphere_rule if self.quadrature_is_exact(degree) else _quadrature.sphere_sequence
        return Quadrature(*rule(self.dim, degree, dtype, device))

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

    def _departure(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The part of `y` tangent at `x`, its length sin θ, and cos θ.

        The tangent part is taken of y - x in the near half and of y + x in the far half: there these differences are
        exact, so the direction keeps full relative precision next to x and next to its antipode.
        """
        cosine = dot(x, y)
        c = torch.addcmul(y, cosine.sign(), x, value=-1)
        c = torch.addcmul(c, dot(c, x), x, value=-1)
        return c, torch.linalg.vector_norm(c, dim=-1, keepdim=True), cosine

    @staticmethod
    def _is_delicate(sine: Tensor) -> Tensor:
        """Where x and ±y agree to a few roundings, so that a direction must be purified or chosen."""
        return sine < 1e3 * torch.finfo(sine.dtype).eps
