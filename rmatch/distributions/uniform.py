"""The uniform law on a manifold of finite volume."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._typing import Shape
from rmatch.distributions.base import Distribution, require_shape
from rmatch.manifolds import Manifold, Product, SpecialOrthogonal, Sphere, Torus

__all__ = ["Uniform"]


class Uniform(Distribution):
    """The law with the constant density `1 / volume`.

    Args:
        manifold: A manifold of finite volume: `Sphere`, `Torus`, `SpecialOrthogonal` or a `Product` of such, and the
            compact manifolds of `rmatch.interop` whose volume is known without being said.

    Raises:
        OptionError: The volume is infinite, or the manifold has no uniform sampler.

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.Uniform(rm.Sphere(2))
        >>> x = p.sample((3,), generator=torch.Generator().manual_seed(0))
        >>> p.log_prob(x)  # -log 4π
        tensor([-2.5310, -2.5310, -2.5310])
    """

    def __init__(self, manifold: Manifold) -> None:
        if not math.isfinite(manifold.volume):
            raise OptionError(
                f"{manifold!r} has infinite volume and so no uniform law; use WrappedNormal(manifold, mean, scale)"
            )
        if not has_uniform(manifold):
            raise OptionError(
                f"no uniform sampler is known for {manifold!r}; use Sphere, Torus, SpecialOrthogonal or a product of "
                "them, or WrappedNormal as the base"
            )
        self.manifold = manifold

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`: normalised normal vectors on a sphere (or as quaternions)."""
        dtype = torch.get_default_dtype() if dtype is None else dtype
        return sample_uniform(self.manifold, tuple(shape), generator, dtype, device)

    def log_prob(self, x: Tensor) -> Tensor:
        """The constant `-log volume`, shape `(*batch)`."""
        require_shape(self.manifold, x)
        batch = x.shape[: x.dim() - len(self.manifold.point_shape)]
        return x.new_full(batch, -math.log(self.manifold.volume))

    def score(self, x: Tensor) -> Tensor:
        """Zero."""
        require_shape(self.manifold, x)
        return torch.zeros_like(x)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"Uniform({self.manifold!r})"


def has_uniform(manifold: Manifold) -> bool:
    """Whether `Uniform(manifold)` exists: the volume is finite, and a sampler is known."""
    if isinstance(manifold, Product):
        return all(has_uniform(factor) for factor in manifold.factors)
    sampler = sample_uniform.dispatch(type(manifold))
    return math.isfinite(manifold.volume) and sampler is not sample_uniform.dispatch(object)


@singledispatch
def sample_uniform(
    manifold: Manifold,
    shape: Shape,
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    """Uniform points; whoever adds a manifold with a uniform law registers its sampler here."""
    raise NotImplementedError


@sample_uniform.register
def _sample_sphere(
    manifold: Sphere,
    shape: Shape,
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    return manifold.project(_directions((*shape, *manifold.point_shape), generator, dtype, device))


@sample_uniform.register
def _sample_rotation(
    manifold: SpecialOrthogonal,
    shape: Shape,
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    return manifold.from_quaternions(_directions((*shape, 4), generator, dtype, device))


@sample_uniform.register
def _sample_torus(
    manifold: Torus,
    shape: Shape,
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    u = torch.rand((*shape, *manifold.point_shape), generator=generator, dtype=dtype, device=device)
    return manifold.project(u * u.new_tensor(manifold.periods))  # the product may round up to a turn, which is 0


@sample_uniform.register
def _sample_product(
    manifold: Product,
    shape: Shape,
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    return manifold.join([sample_uniform(factor, shape, generator, dtype, device) for factor in manifold.factors])


def _directions(
    size: Shape, generator: torch.Generator | None, dtype: torch.dtype, device: torch.device | None
) -> Tensor:
    """Normal vectors along the last axis, none of them zero, which would have no direction."""
    z = torch.randn(size, generator=generator, dtype=dtype, device=device)
    while bool((zero := (z == 0).all(-1, keepdim=True)).any()):
        z = torch.where(zero, torch.randn(size, generator=generator, dtype=dtype, device=device), z)
    return z
