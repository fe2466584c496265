"""The wrapped normal law: a normal vector in a tangent space, carried to the manifold by `exp`."""

from __future__ import annotations

import torch
from torch import Tensor

import rmatch.distributions._preimages as _preimages
from rmatch._errors import OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions.base import Distribution, require_shape
from rmatch.manifolds import FlatManifold, Manifold, Product

__all__ = ["WrappedNormal"]


class WrappedNormal(Distribution):
    """The law of `exp_mean(scale Z)`, Z standard normal in the tangent space at the mean.

    The density is the sum over all tangent vectors v that `exp` takes to the point,

        p(y) = Σ_v N(v; 0, scale²) / |det d(exp_mean)_v|,

    so it integrates to 1. With θ = dist(mean, y) and n = dim it is

    * on `Sphere(n)`: `Σ_{k ∈ Z} N_n(|θ + 2πk|) (|θ + 2πk| / sin θ)^{n-1}` (and the like in the unit of any radius);
    * on `Torus(d)`: a product over the angles of `Σ_k N(δ + 2πk)`, with δ the difference to the mean;
    * on `SpecialOrthogonal(3)`: `Σ_{k ∈ Z} N_3(|θ + 2πk|) (|θ + 2πk| / 2 sin(θ/2))²`;
    * on `Product` the product over the factors;
    * elsewhere a single term, right where `exp` at the mean is a diffeomorphism (`Euclidean`, hyperbolic spaces, SPD).

    On the sphere with n >= 2 whole spheres of tangent vectors collapse to the antipode and, from the next turn on, to
    the mean. There the density has integrable poles of order n - 1: it is very large but finite at the antipode in
    floating point, and at the mean itself the collapsed shells, which have weight `exp(-2π²/scale²)`, are left out. On
    rotations there is no pole but the one at the mean.

    Args:
        manifold: Where the points live.
        mean: The point where the tangent space is, shape `point_shape`.
        scale: Standard deviation in the tangent space, in the units of `dist`; on `Torus` and `Euclidean` also one for
            each coordinate, shape `(dim,)`, and on `Product` one for each factor, shape `(len(factors),)`.

    Raises:
        PointError: The mean is not a point of the manifold.
        ShapeError: The mean is a batch of points, or the scale has the wrong shape.
        OptionError: A scale is not a positive number, or the manifold is compact and its preimages are not known.

    References:
        Mardia and Jupp, "Directional Statistics", 2000, section 3.5.7 (the circle).
        Mathieu and Nickel, "Riemannian continuous normalizing flows", NeurIPS 2020 (the change of variables).

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.WrappedNormal(rm.Sphere(2), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 0.5)
        >>> p.log_prob(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64))
        tensor(-1.2098, dtype=torch.float64)
        >>> p.sample((5,), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 3])
    """

    def __init__(self, manifold: Manifold, mean: Tensor, scale: float | Tensor) -> None:
        manifold.require_point(mean, tolerance=1e-5)
        if tuple(mean.shape) != manifold.point_shape:
            raise ShapeError(f"the mean is one point of shape {manifold.point_shape}, got {tuple(mean.shape)}")
        widths = torch.as_tensor(scale, dtype=torch.float64, device=mean.device)
        allowed: list[Shape] = [()]
        if isinstance(manifold, FlatManifold):
            allowed.append((manifold.dim,))
        elif isinstance(manifold, Product):
            allowed.append((len(manifold.factors),))
        if tuple(widths.shape) not in allowed:
            shapes = " or ".join(map(str, allowed))
            raise ShapeError(f"the scale on {manifold!r} has shape {shapes}, got {tuple(widths.shape)}")
        if not bool(((widths > 0) & widths.isfinite()).all()):
            raise OptionError(f"the scale of a wrapped normal is a positive number, got {widths.tolist()}")
        if not _preimages.are_known(manifold):
            raise OptionError(
                f"a wrapped normal on {manifold!r} needs the sum over all geodesics between two points, which is known "
                "for Sphere, Torus, SpecialOrthogonal and their products only; use one of these, or a manifold of "
                "infinite volume"
            )
        self.manifold = manifold
        self.mean = manifold.project(mean)
        self.scale = widths

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`, by default of the mean's type; differentiable in the mean."""
        dtype = self.mean.dtype if dtype is None else dtype
        device = self.mean.device if device is None else device
        mean = self.manifold.project(self.mean.to(device, dtype)).expand(*shape, *self.manifold.point_shape)
        v = self.manifold.random_tangent(mean, generator=generator) * self._widths(mean)
        return self.manifold.project(self.manifold.exp(mean, v))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`."""
        require_shape(self.manifold, x)
        mean = self.manifold.project(self.mean.to(x.device, x.dtype))
        return _preimages.log_density(self.manifold, mean, self.scale.to(x.device, x.dtype), x)

    def _widths(self, like: Tensor) -> Tensor:
        """The scale as a number that multiplies tangent vectors."""
        scale = self.scale.to(like.device, like.dtype)
        if not isinstance(self.manifold, Product) or not scale.dim():
            return scale
        parts = zip(self.manifold.factors, scale, strict=True)
        return self.manifold.join([width.expand(factor.point_shape) for factor, width in parts])

    def __repr__(self) -> str:
        """The constructor call."""
        return f"WrappedNormal({self.manifold!r}, {self.mean.tolist()}, {self.scale.tolist()})"
