"""Rotations of three-dimensional space, SO(3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
import rmatch.manifolds._rotations as _rotations
from rmatch._errors import OptionError
from rmatch._numerics import cos_and_sinc, sqrt, standard_normal
from rmatch.manifolds.base import Manifold, Quadrature


class SpecialOrthogonal(Manifold):
    """The rotation matrices of R³ with the bi-invariant metric `g(u, v) = ½ tr(uᵀv)`.

    A tangent vector at x is `x [ω]` with a rotation vector ω, `[ω] z = ω × z`; its length is |ω|, so the distance of
    two rotations is the angle in radians from one to the other. Geodesics turn at a constant rate about a fixed axis.

    Everything keeps full precision from tiny angles to π. From a rotation to one that is half a turn away there are two
    shortest geodesics: `log` takes the axis whose largest entry is positive (where rounding leaves the angle less than
    π, the one that is shorter).

    Args:
        n: 3; there are no others yet.

    Raises:
        OptionError: `n` is not 3.

    References:
        Murray, Li and Sastry, "A Mathematical Introduction to Robotic Manipulation", 1994, section 2.2.

    Example:
        >>> import math, torch, rmatch as rm
        >>> M = rm.SpecialOrthogonal(3)
        >>> quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> round(float(M.dist(M.origin(), quarter)) / math.pi, 6)
        0.5
        >>> math.isclose(M.volume, 8 * math.pi**2)
        True
    """

    def __init__(self, n: int = 3) -> None:
        if n != 3:
            raise OptionError(f"rotations are there for three dimensions only: SpecialOrthogonal(3), got n={n}")
        self.dim = 3
        self.point_shape = (3, 3)
        self.volume = 8 * math.pi**2

    def from_quaternions(self, q: Tensor) -> Tensor:
        """The rotations of quaternions (w, x, y, z) of any length but zero: `(*batch, 4) -> (*batch, 3, 3)`."""
        w, v = q.movedim(-1, 0).contiguous().split((1, 3))
        return _rotations.assemble(_rotations.to_matrix(w.squeeze(0), v))

    def to_quaternions(self, x: Tensor) -> Tensor:
        """The unit quaternions (w, x, y, z) with w >= 0 of rotations: `(*batch, 3, 3) -> (*batch, 4)`."""
        (difference,) = _rotations.components(x - self.origin(dtype=x.dtype, device=x.device))
        w, v = _rotations.quaternion(difference)
        q = torch.cat([w.unsqueeze(0), v]) / (v.square().sum(0) + w * w).sqrt()
        return q.movedim(0, -1).contiguous()

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Half the Euclidean inner product of the two arrays, shape `(*batch)`."""
        product = (u * v).sum((-2, -1)) / 2
        batch = x.shape[:-2]
        return product if product.shape == batch else product.expand(torch.broadcast_shapes(product.shape, batch))

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The rotation `x (1 + sinc θ Ω + ½ sinc²(θ/2) Ω²)` with Ω = xᵀv and θ = |v| (Rodrigues' formula)."""
        x, v = _rotations.components(x, v)
        cosine, sinc = cos_and_sinc(v.square().sum((0, 1)) / 8)
        twice = _rotations.product(v, _rotations.product(x.transpose(0, 1), v))
        return _rotations.assemble(torch.addcmul(x, sinc, torch.addcmul(cosine * v, sinc / 2, twice)))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` of length `dist(x, y)` that points to `y`; for half a turn it is π long."""
        x, y = _rotations.components(x, y)
        return _rotations.assemble(_rotations.product(x, _rotations.hat(_rotation_vector(x, y))))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The angle `2 atan2(|v|, w)` in [0, π] of the quaternion (w, v) of xᵀy."""
        w, v = _quaternion(*_rotations.components(x, y))
        return 2 * torch.atan2(sqrt(v.square().sum(0)), w)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The rotation `x exp(tΩ)` and its velocity `x exp(tΩ) Ω`, Ω = xᵀ log_x y."""
        if isinstance(t, Tensor) and t.dim():
            x = x.expand(*torch.broadcast_shapes(x.shape[:-2], t.shape), 3, 3)
        x, y = _rotations.components(x, y)
        omega = _rotation_vector(x, y)
        half = t / 2 * omega
        cosine, sinc = cos_and_sinc(half.square().sum(0))
        point = _rotations.product(x, _rotations.to_matrix(cosine, sinc * half))
        velocity = _rotations.product(point, _rotations.hat(omega))
        return _rotations.assemble(point), _rotations.assemble(velocity)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The identity."""
        return torch.eye(3, dtype=dtype, device=device)

    def project(self, x: Tensor) -> Tensor:
        """The nearest rotation in the Euclidean norm: U diag(1, 1, ±1) Vᵀ from the singular value decomposition."""
        return _rotations.assemble(_rotations.nearest(*_rotations.components(x)))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The part `x skew(xᵀv)`."""
        return self.sharp(x, v) / 2

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport `y [Hᵀω]` of `v = x [ω]`, with H half the rotation from `x` to `y`.

        Along `x exp(tΞ)` it is `x exp(tΞ) Ad(exp(-tΞ/2)) Ω`: the connection of a bi-invariant metric is
        ∇_A B = ½ [A, B] on left-invariant fields (Milnor, "Curvatures of left invariant metrics on Lie groups", 1976).
        """
        x, y, v = _rotations.components(x, y, v)
        half = _rotations.half_rotation(*_quaternion(x, y))
        omega = _rotations.axial(_rotations.product(x.transpose(0, 1), v)) / 2
        turned = (half * omega.unsqueeze(1)).sum(0)
        return _rotations.assemble(_rotations.product(y, _rotations.hat(turned)))

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """Twice the tangent part of the covector: the metric is half the Euclidean one."""
        x, df = _rotations.components(x, df)
        m = _rotations.product(x.transpose(0, 1), df)
        return _rotations.assemble(_rotations.product(x, m - m.transpose(0, 1)))

    def frame(self, x: Tensor) -> Tensor:
        """The left-invariant frame `x [e_i]`, smooth on the whole manifold: `(*batch, 3, 3, 3)`."""
        return self.span(x.unsqueeze(-3), torch.eye(3, dtype=x.dtype, device=x.device))

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """The frame: the reference measure is the Riemannian volume."""
        return self.frame(x)

    def coordinate_covector(self, v: Tensor) -> Tensor:
        """Half the vector: the metric is half the Euclidean one."""
        return v / 2

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The tangent vector `x [ω]` of the rotation vector ω."""
        generator = _rotations.assemble(_rotations.hat(coefficients.movedim(-1, 0)))
        x, generator = _rotations.components(x, generator)
        return _rotations.assemble(_rotations.product(x, generator))

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal rotation vector, as a tangent vector at `x`."""
        return self.span(x, standard_normal((*x.shape[:-2], 3), x, generator))

    def random_probe(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal tangent vector, smooth in `x`."""
        return self.random_tangent(x, generator=generator)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """Zero: the reference measure is the Riemannian volume."""
        return x.new_zeros(x.shape[:-2])

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor | None:
        """None: the density is constant."""
        del x, v
        return None

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume `det[ω_1, ω_2, ω_3]` of the rotation vectors."""
        x, vectors = _rotations.components(x.unsqueeze(-3), vectors)
        omega = _rotations.axial(_rotations.product(x.transpose(0, 1), vectors)) / 2
        return torch.linalg.det(omega.movedim(0, -1))

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`2 log |sin(θ/2) / (θ/2)|` with θ = |v|."""
        sinc = cos_and_sinc((v * v).sum((-2, -1)).unsqueeze(-1) / 8)[1].squeeze(-1)
        return (2 * sinc.abs().log()).expand(torch.broadcast_shapes(x.shape, v.shape)[:-2])

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Where |v| < π."""
        return self.inner(x, v, v) < math.pi**2

    def features(self, x: Tensor) -> Tensor:
        """The nine entries of the matrix."""
        return x.flatten(-2)

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Gauss–Legendre and trapezoid rules in the Euler angles, exact for Wigner's D functions up to `degree`."""
        return Quadrature(*_quadrature.rotation_rule(degree, dtype, device))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Always."""
        del degree
        return True

    def from_cube(self, u: Tensor) -> Quadrature:
        """Uniform unit quaternions, two points of circles: all have the same weight.

        Shoemake, "Uniform random rotations", Graphics Gems III, 1992.
        """
        first, second, third = u.unbind(-1)
        circles = [torch.polar(size.sqrt(), 2 * math.pi * turn) for size, turn in ((1 - first, second), (first, third))]
        q = torch.view_as_real(torch.stack(circles, -1)).flatten(-2)
        return Quadrature(self.from_quaternions(q), u.new_full(u.shape[:-1], self.volume))

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as rotation matrices, or None: its shape, a value, a row that is not a rotation."""
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        allowed = (1e-8 if x.dtype == torch.float64 else 1e-5) if tolerance is None else tolerance
        matrices = x.detach()
        gap = (matrices.mT @ matrices - self.origin(dtype=x.dtype, device=x.device)).abs().amax((-2, -1)) / 2
        determinant = torch.linalg.det(matrices)
        bad = (gap > allowed) | (determinant < 0)
        if not bool(bad.any()):
            return None
        index = tuple(bad.nonzero()[0].tolist())
        row = ", ".join(map(str, index)) or "0"
        return (
            f"on {self!r}, row {row} is no rotation matrix: it is {float(gap[index]):.2g} off orthogonal "
            f"(allowed {allowed:.0e}) with determinant {float(determinant[index]):.3g}; use project(x) if that is meant"
        )


def _quaternion(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The quaternion of xᵀy, components first, from the difference y - x, which is exact where the two are close."""
    return _rotations.quaternion(_rotations.product(x.transpose(0, 1), y - x))


def _rotation_vector(x: Tensor, y: Tensor) -> Tensor:
    """The vector ω with `y = x exp [ω]`, components first."""
    w, v = _quaternion(x, y)
    return _rotations.angle_over_length(w, v) * v
