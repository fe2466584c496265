"""The von Mises–Fisher law: the normal law of directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch._numerics import dot
from rmatch._typing import Shape
from rmatch.distributions._von_mises_fisher import log_normaliser, sample_on_sphere, sample_on_torus
from rmatch.distributions.base import Distribution, require_shape
from rmatch.manifolds import Manifold, Sphere, Torus

__all__ = ["VonMisesFisher"]


class VonMisesFisher(Distribution):
    """The law with density `C exp(κ <x, m>)` of unit vectors, the most random law with a given mean direction.

    On `Sphere(n)`, `C = κ^ν / ((2π)^{ν+1} I_ν(κ))` with ν = (n - 1)/2; on S² this is `κ / (4π sinh κ)`. On `Torus(d)`
    it is the product of the laws `exp(κ cos(x_i - m_i)) / (2π I_0(κ))` of von Mises, one for each angle. For large κ it
    approaches a normal law of standard deviation κ^{-1/2} around m, times the radius. The density is evaluated as
    `C e^κ exp(-κ |x - m|²/2)`, which keeps all digits where the law is concentrated.

    Args:
        manifold: `Sphere` or `Torus`.
        mean: The most likely point m, shape `point_shape`.
        concentration: κ > 0.

    Raises:
        OptionError: The manifold is neither of the two, or the concentration is not a positive number.
        PointError: The mean is not a point of the manifold.
        ShapeError: The mean is a batch of points.

    References:
        Mardia and Jupp, "Directional Statistics", 2000, sections 3.5.4 and 9.3.2.

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.VonMisesFisher(rm.Sphere(2), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 10.0)
        >>> p.log_prob(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64))  # log(10 / 2π) - 2
        tensor(-1.5353, dtype=torch.float64)
        >>> p.sample((5,), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 3])
    """

    def __init__(self, manifold: Manifold, mean: Tensor, concentration: float) -> None:
        if not isinstance(manifold, Sphere | Torus):
            raise OptionError(
                f"a von Mises–Fisher law lives on a Sphere or a Torus, got {manifold!r}; use WrappedNormal there"
            )
        manifold.require_point(mean, tolerance=1e-5)
        if tuple(mean.shape) != manifold.point_shape:
            raise ShapeError(f"the mean is one point of shape {manifold.point_shape}, got {tuple(mean.shape)}")
        if not (concentration > 0 and math.isfinite(concentration)):
            raise OptionError(
                f"the concentration of a von Mises–Fisher law is a positive number, got {concentration}; "
                "the law of concentration 0 is Uniform(manifold)"
            )
        self.manifold = self._place = manifold
        self.mean = manifold.project(mean)
        self.concentration = float(concentration)

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`, by default of the mean's type."""
        dtype = self.mean.dtype if dtype is None else dtype
        device = self.mean.device if device is None else device
        manifold = self._place
        centres = manifold.project(self.mean.to(device, dtype)).expand(*shape, *manifold.point_shape)
        if isinstance(manifold, Sphere):
            return sample_on_sphere(manifold, centres, self.concentration, generator)
        return sample_on_torus(manifold, centres, [self.concentration] * manifold.dim, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`."""
        require_shape(self.manifold, x)
        manifold, mean = self._place, self._mean_like(x)
        if isinstance(manifold, Sphere):
            gap = x - mean
            constant = log_normaliser(manifold.dim, self.concentration) - manifold.dim * math.log(manifold.radius)
            return constant - self.concentration / (2 * manifold.radius**2) * dot(gap, gap).squeeze(-1)
        half = manifold.to_angles(manifold.log(mean, x)) / 2
        constant = manifold.dim * log_normaliser(1, self.concentration) - math.log(math.prod(manifold.radii))
        return constant - 2 * self.concentration * half.sin().square().sum(-1)

    def score(self, x: Tensor) -> Tensor:
        """The tangent part of κ m on the unit sphere, and -κ sin(x_i - m_i) on the torus."""
        require_shape(self.manifold, x)
        manifold, mean = self._place, self._mean_like(x)
        if isinstance(manifold, Sphere):  # of m - x, which has the same tangent part and no rounding error near m
            return self.concentration / manifold.radius**2 * manifold.to_tangent(x, mean - x)
        slope = -self.concentration * manifold.to_angles(manifold.log(mean, x)).sin()
        return manifold.to_angles(slope)  # per unit of the coordinate

    def _mean_like(self, x: Tensor) -> Tensor:
        return self.manifold.project(self.mean.to(x.device, x.dtype))

    def __repr__(self) -> str:
        """The constructor call."""
        return f"VonMisesFisher({self.manifold!r}, {self.mean.tolist()}, {self.concentration})"
