"""The kernels of density estimates: one family `K_h(x, m)` of laws around each point m of a manifold.

All of them have the form

    log K_h(x, m) = -S(x, m) / 2h² + J(x, m) + c(h),

with a squared distance S, a part J that does not depend on the width, and the logarithm c of one over the integral. So
the pairs are looked at once, whatever the number of widths that are tried.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._numerics import log_sinhc
from rmatch.distributions._bingham import log_rotation_normaliser, sample_quaternions
from rmatch.distributions._von_mises_fisher import log_normaliser, sample_on_sphere, sample_on_torus
from rmatch.manifolds import SPD, Euclidean, HyperbolicSpace, Manifold, Product, SpecialOrthogonal, Sphere, Torus

_HALF_LOG_TURN = 0.5 * math.log(2 * math.pi)


class Pairs(NamedTuple):
    """S and J of every pair of a query and a centre, `(Q, N)`; J is None where it is zero."""

    squares: Tensor
    log_factor: Tensor | None


class Kernel(ABC):
    """The kernels of one manifold.

    Args:
        manifold: Where the points live.
        unit: The length that a width of 1 means.
    """

    def __init__(self, manifold: Manifold, unit: float = 1.0) -> None:
        self.manifold = manifold
        self.unit = unit

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """What `pairs` needs of points `(N, *point_shape)`: `(N, k)`."""

    @abstractmethod
    def log_normaliser(self, h: float) -> float:
        """The logarithm c(h) of one over the integral."""

    @abstractmethod
    def around(self, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
        """One sample of the kernel around each centre `(*batch, *point_shape)`."""

    @abstractmethod
    def typical(self, x: Tensor) -> float:
        """The length in which the widths for points `(N, *point_shape)` are measured."""

    def pairs(self, x: Tensor, columns: Tensor) -> Pairs:
        """S and J for queries `(Q, k)` and centres given by columns `(k, N)`, both embedded."""
        return Pairs(self._in_units(squared_distances(x, columns)), None)

    def log_jacobian(self, x: Tensor) -> Tensor | None:
        """A part of J that depends on the query alone, `(Q,)`; None where it is zero."""
        del x
        return None

    def _in_units(self, squares: Tensor) -> Tensor:
        return squares if self.unit == 1.0 else squares / self.unit**2


class _Chordal(Kernel):
    """Von Mises–Fisher laws and their kin: S is the squared distance in a Euclidean space around the manifold."""

    def embed(self, x: Tensor) -> Tensor:
        return _embed(self.manifold, x).flatten(1)

    def log_normaliser(self, h: float) -> float:
        return _log_normaliser(self.manifold, h * self.unit)

    def around(self, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
        return _around(self.manifold, centres, h * self.unit, generator)

    def typical(self, x: Tensor) -> float:
        return _size(self.manifold, x)


class _Chart(Kernel):
    """Normal laws in the chart `log_o` of a manifold without a cut locus: S needs no geometry for each pair."""

    def embed(self, x: Tensor) -> Tensor:
        origin = self.manifold.origin(dtype=x.dtype, device=x.device)
        frame = self.manifold.frame(origin)
        v = self.manifold.log(origin, x).unsqueeze(1)
        return self.manifold.inner(origin, v, frame)

    def log_normaliser(self, h: float) -> float:
        return -self.manifold.dim * (math.log(h * self.unit) + _HALF_LOG_TURN)

    def around(self, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
        origin = self.manifold.origin(dtype=centres.dtype, device=centres.device).expand_as(centres)
        step = self.manifold.random_tangent(origin, generator=generator)
        return self.manifold.exp(origin, self.manifold.log(origin, centres) + h * self.unit * step)

    def typical(self, x: Tensor) -> float:
        return _spread(self.embed(x))

    def log_jacobian(self, x: Tensor) -> Tensor:
        origin = self.manifold.origin(dtype=x.dtype, device=x.device)
        return -self.manifold.log_det_exp(origin, self.manifold.log(origin, x))


class _Geodesic(Kernel):
    """Wrapped normal laws on a manifold without a cut locus: S is the squared geodesic distance."""

    def embed(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def pairs(self, x: Tensor, columns: Tensor) -> Pairs:
        shape = self.manifold.point_shape
        centres, queries = columns.T.reshape(1, -1, *shape), x.reshape(-1, 1, *shape)
        squares = self.manifold.dist(centres, queries).square()
        return Pairs(self._in_units(squares), -self._log_det_exp(centres, queries, squares))

    def log_normaliser(self, h: float) -> float:
        return -self.manifold.dim * (math.log(h * self.unit) + _HALF_LOG_TURN)

    def around(self, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
        return self.manifold.exp(centres, h * self.unit * self.manifold.random_tangent(centres, generator=generator))

    def typical(self, x: Tensor) -> float:
        squares = self.manifold.dist(self.manifold.origin(dtype=x.dtype, device=x.device), x).square()
        return math.sqrt(float(squares.mean()) / self.manifold.dim) or 1.0

    def _log_det_exp(self, centres: Tensor, queries: Tensor, squares: Tensor) -> Tensor:
        del squares
        return self.manifold.log_det_exp(centres, self.manifold.log(centres, queries))


class _Hyperbolic(_Geodesic):
    """The same where the distance alone tells how volumes grow."""

    def __init__(self, manifold: HyperbolicSpace, unit: float = 1.0) -> None:
        super().__init__(manifold, unit)
        self.radius = manifold.radius

    def _log_det_exp(self, centres: Tensor, queries: Tensor, squares: Tensor) -> Tensor:
        del centres, queries
        return (self.manifold.dim - 1) * log_sinhc(squares / self.radius**2)


class ProductKernel(Kernel):
    """The product of a kernel on each factor.

    Args:
        manifold: The product.
        units: The length that a width of 1 means on each factor.
    """

    def __init__(self, manifold: Product, units: Sequence[float] | None = None) -> None:
        super().__init__(manifold)
        self.product = manifold
        units = [1.0] * len(manifold.factors) if units is None else units
        self.kernels = [kernel_of(factor, unit) for factor, unit in zip(manifold.factors, units, strict=True)]

    def embed(self, x: Tensor) -> Tensor:
        return torch.cat([kernel.embed(part) for kernel, part in self._each(x)], -1)

    def pairs(self, x: Tensor, columns: Tensor) -> Pairs:
        probe = self.manifold.origin(dtype=x.dtype, device=x.device).unsqueeze(0)
        sizes = [kernel.embed(part).shape[-1] for kernel, part in self._each(probe)]
        squares: Tensor | None = None
        log_factor: Tensor | None = None
        for kernel, queries, centres in zip(self.kernels, x.split(sizes, -1), columns.split(sizes), strict=True):
            more = kernel.pairs(queries, centres)
            squares = more.squares if squares is None else squares + more.squares
            log_factor = _sum(log_factor, more.log_factor)
        return Pairs(x.new_zeros(()) if squares is None else squares, log_factor)

    def log_normaliser(self, h: float) -> float:
        return sum(kernel.log_normaliser(h) for kernel in self.kernels)

    def around(self, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
        return self.product.join([kernel.around(part, h, generator) for kernel, part in self._each(centres)])

    def typical(self, x: Tensor) -> float:
        lengths = self.typical_units(x)
        return math.prod(lengths) ** (1 / len(lengths))

    def typical_units(self, x: Tensor) -> tuple[float, ...]:
        """The length in which the widths on each factor are measured."""
        return tuple(kernel.typical(part) for kernel, part in self._each(x))

    def log_jacobian(self, x: Tensor) -> Tensor | None:
        total: Tensor | None = None
        for kernel, part in self._each(x):
            total = _sum(total, kernel.log_jacobian(part))
        return total

    def _each(self, x: Tensor) -> zip[tuple[Kernel, Tensor]]:
        return zip(self.kernels, self.product.split(x), strict=True)


@singledispatch
def kernel_of(manifold: Manifold, unit: float = 1.0) -> Kernel:
    """The kernels of a manifold, in widths of so many units.

    Raises:
        OptionError: The manifold is compact and none is known.
    """
    if math.isfinite(manifold.volume):
        raise OptionError(f"no kernel is known on {manifold!r}; use a manifold of rmatch's own, or a product of them")
    return _Geodesic(manifold, unit)


@kernel_of.register(Sphere)
@kernel_of.register(Torus)
@kernel_of.register(Euclidean)
@kernel_of.register(SpecialOrthogonal)
def _chordal(manifold: Manifold, unit: float = 1.0) -> Kernel:
    return _Chordal(manifold, unit)


@kernel_of.register
def _hyperbolic(manifold: HyperbolicSpace, unit: float = 1.0) -> Kernel:
    return _Hyperbolic(manifold, unit)


@kernel_of.register
def _chart(manifold: SPD, unit: float = 1.0) -> Kernel:
    """The affine-invariant distance of a pair needs its eigenvalues; the chart is that of the log-Euclidean metric."""
    return _Chart(manifold, unit)


@kernel_of.register
def _product(manifold: Product, unit: float = 1.0) -> Kernel:
    return ProductKernel(manifold, [unit] * len(manifold.factors))


def squared_distances(x: Tensor, columns: Tensor) -> Tensor:
    """`|x_i - y_j|²` from differences, exact for close rows: `(N, k), (k, M) -> (N, M)`, with y given by columns."""
    total = x.new_zeros(())
    for a, b in zip(x.split(1, -1), columns.unbind(0), strict=True):
        gap = a - b
        total = torch.addcmul(total, gap, gap)
    return total


# ---- von Mises–Fisher kernels ---------------------------------------------------------------------------------------


@singledispatch
def _embed(manifold: Manifold, x: Tensor) -> Tensor:
    """Points in a Euclidean space where small distances are those of the manifold; here they are there already."""
    return x


@_embed.register
def _embed_torus(manifold: Torus, x: Tensor) -> Tensor:
    features = manifold.features(x)
    return features if set(manifold.radii) == {1.0} else features * x.new_tensor(2 * manifold.radii)


@_embed.register
def _embed_rotations(manifold: SpecialOrthogonal, x: Tensor) -> Tensor:
    return x / math.sqrt(2)


@singledispatch
def _size(manifold: Manifold, x: Tensor) -> float:
    """The length in which widths are measured: a radius; on Euclidean space, the spread of the points."""
    return _spread(x)


@_size.register
def _size_sphere(manifold: Sphere, x: Tensor) -> float:
    return manifold.radius


@_size.register
def _size_torus(manifold: Torus, x: Tensor) -> float:
    return math.prod(manifold.radii) ** (1 / manifold.dim)


@_size.register
def _size_rotations(manifold: SpecialOrthogonal, x: Tensor) -> float:
    return 1.0


@singledispatch
def _log_normaliser(manifold: Manifold, h: float) -> float:
    """The logarithm of one over the integral of `exp(-|f(x) - f(m)|² / 2h²)`, f the embedding."""
    return -manifold.dim * (math.log(h) + _HALF_LOG_TURN)


@_log_normaliser.register
def _log_normaliser_sphere(manifold: Sphere, h: float) -> float:
    return log_normaliser(manifold.dim, (manifold.radius / h) ** 2) - manifold.dim * math.log(manifold.radius)


@_log_normaliser.register
def _log_normaliser_torus(manifold: Torus, h: float) -> float:
    return sum(log_normaliser(1, (radius / h) ** 2) - math.log(radius) for radius in manifold.radii)


@_log_normaliser.register
def _log_normaliser_rotations(manifold: SpecialOrthogonal, h: float) -> float:
    return log_rotation_normaliser(h**-2)


@singledispatch
def _around(manifold: Manifold, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
    """One sample of the kernel around each centre."""
    return manifold.exp(centres, h * manifold.random_tangent(centres, generator=generator))


@_around.register
def _around_sphere(manifold: Sphere, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
    return sample_on_sphere(manifold, centres, (manifold.radius / h) ** 2, generator)


@_around.register
def _around_torus(manifold: Torus, centres: Tensor, h: float, generator: torch.Generator | None) -> Tensor:
    return sample_on_torus(manifold, centres, [(radius / h) ** 2 for radius in manifold.radii], generator)


@_around.register
def _around_rotations(
    manifold: SpecialOrthogonal, centres: Tensor, h: float, generator: torch.Generator | None
) -> Tensor:
    q = sample_quaternions(h**-2, tuple(centres.shape[:-2]), generator, centres.dtype, centres.device)
    return manifold.project(centres @ manifold.from_quaternions(q))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _spread(x: Tensor) -> float:
    """The root mean square distance to the mean, per coordinate; 1 where all points agree."""
    return float((x - x.mean(0)).square().mean().sqrt()) or 1.0
