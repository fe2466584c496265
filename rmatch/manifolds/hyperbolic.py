"""What the two models of hyperbolic space share, and the isometry between them."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

import rmatch.manifolds._hyperbolic as _hyperbolic
import rmatch.manifolds._radial as _radial
from rmatch._errors import OptionError
from rmatch._numerics import dot, log_sinhc, standard_normal, tanhc_and_sech_square
from rmatch.manifolds.base import Manifold, Quadrature

__all__ = ["HyperbolicSpace", "lorentz_to_poincare", "poincare_to_lorentz"]


class HyperbolicSpace(Manifold):
    """Hyperbolic space H^n of curvature -1/R², in coordinates that a member chooses.

    Its `exp` is a diffeomorphism from every point, so there is no cut locus; volumes grow like `exp((n - 1) r / R)`.

    Args:
        n: Dimension, at least 1.
        curvature: Sectional curvature, a negative number; the radius R of curvature is `1/sqrt(-curvature)`.

    Raises:
        OptionError: `n` is less than 1, or the curvature is not a negative number.
    """

    def __init__(self, n: int, curvature: float = -1.0) -> None:
        if n < 1:
            raise OptionError(f"a hyperbolic space has dimension 1 or more, got {type(self).__name__}({n})")
        self.dim = n
        self.curvature = float(curvature)
        self.radius = radius_of(curvature)
        self.volume = math.inf

    @abstractmethod
    def polar(self, r: Tensor, direction: Tensor) -> Tensor:
        """The points at the distances `r`, `(*batch)`, from the origin in the unit directions `(*batch, n)`."""

    @abstractmethod
    def half_chord(self, x: Tensor, y: Tensor) -> Tensor:
        """The number `sinh²(d(x, y) / 2R)`, smooth also at x = y, shape `(*batch)`; `cosh(d/R)` is 1 plus twice it."""

    @abstractmethod
    def height(self, x: Tensor) -> Tensor:
        """The time component on the hyperboloid, `R cosh(r/R)` at the distance r from the origin: `(*batch)`."""

    @abstractmethod
    def normal_coordinates(self, x: Tensor) -> Tensor:
        """The coordinates of `log_origin x` on the frame at the origin, `(*batch, n)`: direction times distance."""

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor | float) -> Tensor:
        """The point of `geodesic_with_velocity`, a mean of the ends; `exp_x` would magnify the errors of `log_x y`."""
        return self.geodesic_with_velocity(x, y, t)[0]

    def features(self, x: Tensor) -> Tensor:
        """The direction from the origin times r and times tanh(r/2), r the distance in units of R: `(*batch, 2n)`.

        The first half grows as slowly as the distance, and the second stays below 1: neither blows up far out, as the
        hyperboloid's coordinates do, and both are smooth at the origin.
        """
        normal = self.normal_coordinates(x) / self.radius
        tanhc, _ = tanhc_and_sech_square(dot(normal, normal) / 4)
        return torch.cat([normal, normal * (tanhc / 2)], -1)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal vector in the tangent space: independent N(0, 1) coefficients on `frame(x)`."""
        return self.span(x, standard_normal((*x.shape[:-1], self.dim), x, generator))

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`(n - 1) log(sinh r / r)` with r = |v|/R: Jacobi fields across the geodesic grow as sinh r."""
        square = (self.inner(x, v, v) / self.radius**2).expand(torch.broadcast_shapes(x.shape, v.shape)[:-1])
        return (self.dim - 1) * log_sinhc(square)

    def resolution(self, x: Tensor) -> Tensor:
        """A hundred roundings of the coordinates, `100 eps R cosh(r/R)` at the distance r from the origin."""
        return 100 * torch.finfo(x.dtype).eps * self.height(x)

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Geodesic polar coordinates at the origin, up to H³: a double exponential rule in r, a sphere's in the angles.

        It converges spectrally for smooth functions that decay faster than the volume grows; `degree` has to resolve
        how they vary over the angle, which is faster the farther out their mass lies. From H⁴ on it is importance
        sampling by the wrapped normal law at the origin.
        """
        if not self.quadrature_is_exact(degree):
            return super().quadrature(degree, dtype=dtype, device=device)
        r, direction, weights = _radial.hyperbolic_rule(self.dim, degree)
        nodes = self.polar(self.radius * r, direction)
        return Quadrature(nodes.to(device, dtype), (self.radius**self.dim * weights).to(device, dtype))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the polar rule is used: for n <= 3."""
        del degree
        return self.dim <= 3

    def _unit(self, x: Tensor) -> Tensor:
        """Coordinates in units of R."""
        return x if self.radius == 1 else x / self.radius

    def _scaled(self, x: Tensor) -> Tensor:
        """Back from units of R."""
        return x if self.radius == 1 else self.radius * x

    def __repr__(self) -> str:
        """The constructor call."""
        curvature = "" if self.curvature == -1.0 else f", curvature={self.curvature!r}"
        return f"{type(self).__name__}({self.dim}{curvature})"


def radius_of(curvature: float) -> float:
    """The radius `1/sqrt(-curvature)`; raises `OptionError` where the curvature is not a negative number."""
    if not (curvature < 0 and math.isfinite(curvature)):
        raise OptionError(
            f"the curvature of a hyperbolic space is a negative number, got {curvature!r}; "
            "use Sphere for positive curvature and Euclidean for none"
        )
    return 1 / math.sqrt(-curvature)


def poincare_to_lorentz(x: Tensor, curvature: float = -1.0) -> Tensor:
    """The point of the hyperboloid that is the point `x` of the ball: an isometry.

    With |x| in units of R, it is `R (1 + |x|², 2x) / (1 - |x|²)`.

    Args:
        x: Points of `PoincareBall(n, curvature)`, `(*batch, n)`.
        curvature: Of both models.

    Returns:
        Points of `Lorentz(n, curvature)`, `(*batch, n + 1)`, time first.

    Raises:
        OptionError: The curvature is not a negative number.

    References:
        Cannon, Floyd, Kenyon and Parry, "Hyperbolic geometry", in Flavors of Geometry, 1997, section 7.

    Example:
        >>> import torch, rmatch as rm
        >>> rm.poincare_to_lorentz(torch.tensor([0.5, 0.0], dtype=torch.float64))
        tensor([1.6667, 1.3333, 0.0000], dtype=torch.float64)
    """
    radius = radius_of(curvature)
    (unit,) = _hyperbolic.first(x / radius)
    gap = _hyperbolic.ball_gap(unit)
    return _hyperbolic.last((radius * (2 - gap) / gap).unsqueeze(0), (2 * radius / gap) * unit)


def lorentz_to_poincare(x: Tensor, curvature: float = -1.0) -> Tensor:
    """The point of the ball that is the point `x` of the hyperboloid: the inverse of `poincare_to_lorentz`.

    It is `R x' / (R + x_0)` with x' the spatial part: the projection from the point (-R, 0) to the disc at time 0.

    Args:
        x: Points of `Lorentz(n, curvature)`, `(*batch, n + 1)`, time first.
        curvature: Of both models.

    Returns:
        Points of `PoincareBall(n, curvature)`, `(*batch, n)`.

    Raises:
        OptionError: The curvature is not a negative number.

    Example:
        >>> import torch, rmatch as rm
        >>> rm.lorentz_to_poincare(rm.poincare_to_lorentz(torch.tensor([0.5, 0.0])))
        tensor([0.5000, 0.0000])
    """
    radius = radius_of(curvature)
    return x[..., 1:] * (radius / (radius + x[..., :1]))
