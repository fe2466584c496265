"""The class behind `to_geoopt`; importing this file imports geoopt."""

from __future__ import annotations

import math
from typing import Any

import geoopt
import torch
from torch import Tensor

from rmatch.manifolds import Manifold


def as_geoopt(manifold: Manifold, flat: bool) -> geoopt.Manifold:
    """See `rmatch.interop.to_geoopt`."""
    return _AsGeoopt(manifold, flat=flat)


class _AsGeoopt(geoopt.Manifold):
    """geoopt's names for the geometry of an rmatch manifold."""

    reversible = False

    def __init__(self, manifold: Manifold, *, flat: bool = False) -> None:
        super().__init__()
        self.manifold = manifold
        self.flat = flat and len(manifold.point_shape) > 1
        self.shape = (math.prod(manifold.point_shape),) if self.flat else manifold.point_shape
        self.ndim = len(self.shape)
        self.name = f"rmatch {manifold!r}"

    # ---- geometry ---------------------------------------------------------------------------------------------------

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """`exp`."""
        return self._back(self.manifold.exp(self._point(x), self._point(u)))

    retr = expmap

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """`log`."""
        return self._back(self.manifold.log(self._point(x), self._point(y)))

    def dist(self, x: Tensor, y: Tensor, *, keepdim: bool = False) -> Tensor:
        """`dist`."""
        return self._kept(self.manifold.dist(self._point(x), self._point(y)), keepdim)

    def inner(self, x: Tensor, u: Tensor, v: Tensor | None = None, *, keepdim: bool = False) -> Tensor:
        """`inner`, of `u` with itself where `v` is left out."""
        a = self._point(u)
        return self._kept(self.manifold.inner(self._point(x), a, a if v is None else self._point(v)), keepdim)

    def norm(self, x: Tensor, u: Tensor, *, keepdim: bool = False) -> Tensor:
        """`norm`, whose derivative at 0 is 0."""
        return self._kept(self.manifold.norm(self._point(x), self._point(u)), keepdim)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`transport`: parallel, an isometry."""
        return self._back(self.manifold.transport(self._point(x), self._point(y), self._point(v)))

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """`to_tangent`."""
        return self._back(self.manifold.to_tangent(self._point(x), self._point(u)))

    def egrad2rgrad(self, x: Tensor, u: Tensor) -> Tensor:
        """`sharp`: the Riemannian gradient of the partial derivatives."""
        return self._back(self.manifold.sharp(self._point(x), self._point(u)))

    def projx(self, x: Tensor) -> Tensor:
        """`project`."""
        return self._back(self.manifold.project(self._point(x)))

    # ---- points -----------------------------------------------------------------------------------------------------

    def origin(self, *size: Any, dtype: Any = None, device: Any = None, seed: int | None = 42) -> geoopt.ManifoldTensor:
        """The origin, repeated to the size."""
        del seed
        point = self._back(self.manifold.origin(dtype=dtype, device=device))
        return self._tensor(point.expand(_size(size)).clone())

    def random(self, *size: Any, dtype: Any = None, device: Any = None, **kwargs: Any) -> geoopt.ManifoldTensor:
        """`exp` of a standard normal vector at the origin."""
        del kwargs
        base = self.manifold.origin(dtype=dtype, device=device)
        batch = _size(size)[: len(_size(size)) - self.ndim]
        base = base.expand(*batch, *self.manifold.point_shape)
        point = self.manifold.exp(base, self.manifold.random_tangent(base))
        return self._tensor(self._back(point))

    def _check_shape(self, shape: Any, name: str) -> tuple[bool, str | None]:
        if tuple(shape[len(shape) - self.ndim :]) == tuple(self.shape):
            return True, None
        return False, f"'{name}' on {self.name} ends in {tuple(self.shape)}, got {tuple(shape)}"

    def _check_point_on_manifold(self, x: Tensor, *, atol: float = 1e-5, rtol: float = 1e-5) -> tuple[bool, str | None]:
        del rtol
        problem = self.manifold.check_point(self._point(x), tolerance=atol)
        return problem is None, problem

    def _check_vector_on_tangent(
        self, x: Tensor, u: Tensor, *, atol: float = 1e-5, rtol: float = 1e-5
    ) -> tuple[bool, str | None]:
        del rtol
        problem = self.manifold.check_tangent(self._point(x), self._point(u), tolerance=atol)
        return problem is None, problem

    def _tensor(self, x: Tensor) -> geoopt.ManifoldTensor:
        make: Any = geoopt.ManifoldTensor  # its stub is that of torch.Tensor, which knows no manifold
        return make(x, manifold=self)

    # ---- shapes -----------------------------------------------------------------------------------------------------

    def _point(self, x: Tensor) -> Tensor:
        x = x.as_subclass(torch.Tensor)
        return x.unflatten(-1, self.manifold.point_shape) if self.flat else x

    def _back(self, x: Tensor) -> Tensor:
        return x.flatten(-len(self.manifold.point_shape)) if self.flat else x

    def _kept(self, value: Tensor, keepdim: bool) -> Tensor:
        return value.reshape(*value.shape, *(1 for _ in range(self.ndim))) if keepdim else value


def _size(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
