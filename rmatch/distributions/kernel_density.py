"""Kernel density estimates: the density that needs no training, as a mark to beat."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor

from rmatch._errors import DataError, OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions._bandwidth import best_bandwidth, squared_distances
from rmatch.distributions._von_mises_fisher import log_normaliser, sample_on_sphere, sample_on_torus
from rmatch.distributions.base import Distribution
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

__all__ = ["KernelDensity"]

_BLOCK = 1 << 18  # pairs of a query and a point that are worked on together: they fit in the cache


class KernelDensity(Distribution):
    """The mean of kernels around given points, `p(x) = Σ_i K_h(x, m_i) / N`.

    With the embedding f of the manifold in Euclidean space (the point itself, circles of the right radius for the
    angles) every kernel is `exp(-|f(x) - f(m)|² / 2h²)` over its integral: a von Mises–Fisher law of concentration
    κ = (radius/h)² on `Sphere(n)`, a product of von Mises laws on `Torus(d)`, a normal law on `Euclidean(n)`. For small
    h it is a normal law of standard deviation h on all of them.

    Args:
        manifold: `Sphere`, `Torus` or `Euclidean`.
        points: The points `(N, *point_shape)`.
        bandwidth: The width h, in the units of `dist`.

    Raises:
        OptionError: No kernel is known on the manifold, or the bandwidth is not a positive number.
        PointError: The points do not lie on the manifold.
        DataError: There are no points.

    References:
        Hall, Watson and Cabrera, "Kernel density estimation with spherical data", Biometrika 74 (1987).

    Example:
        >>> import torch, rmatch as rm
        >>> from rmatch.distributions import KernelDensity
        >>> p = KernelDensity(rm.Torus(1), torch.tensor([[0.0], [3.0]], dtype=torch.float64), bandwidth=0.5)
        >>> p.log_prob(torch.tensor([6.0], dtype=torch.float64))
        tensor(-1.1149, dtype=torch.float64)
    """

    def __init__(self, manifold: Manifold, points: Tensor, bandwidth: float) -> None:
        _require_kernel(manifold)
        _require_table(manifold, points, "points")
        if not (bandwidth > 0 and math.isfinite(bandwidth)):
            raise OptionError(f"the bandwidth of a kernel is a positive number, got {bandwidth}")
        self.manifold = manifold
        self.points = points
        self.bandwidth = float(bandwidth)

    @classmethod
    def fit(cls, manifold: Manifold, points: Tensor, validation: Tensor) -> KernelDensity:
        """The estimate from `points` with the bandwidth under which held-out points are most likely.

        A logarithmic grid from 1e-3 to 3 (times the spread of the points on Euclidean space, else times the radius)
        finds the neighbourhood, and a bounded search ends in it. The estimate itself keeps all points. For the choice
        of the bandwidth, at most 100,000 of them and so many of the validation points are used that there are 20
        million pairs (but between 200 and 2000 validation points), both drawn with a fixed seed: seconds of work for
        any table.

        Args:
            manifold: `Sphere`, `Torus` or `Euclidean`.
            points: The points `(N, *point_shape)` of the estimate.
            validation: Other points `(K, *point_shape)` of the same law.

        Raises:
            OptionError: No kernel is known on the manifold.
            PointError: The points do not lie on the manifold.
            DataError: There are no points, or none to choose the bandwidth by.

        Example:
            >>> import torch, rmatch as rm
            >>> from rmatch.distributions import KernelDensity
            >>> x = rm.WrappedNormal(rm.Torus(1), torch.ones(1), 0.5).sample(
            ...     (2000,), generator=torch.Generator().manual_seed(0)
            ... )
            >>> 0.02 < KernelDensity.fit(rm.Torus(1), x[:1000], x[1000:]).bandwidth < 0.5
            True
        """
        _require_kernel(manifold)
        _require_table(manifold, points, "points")
        _require_table(manifold, validation, "validation points")
        centres, queries = _embed(manifold, points), _embed(manifold, validation)
        unit = _size(manifold, centres)
        return cls(manifold, points, best_bandwidth(centres, queries, lambda h: _log_normaliser(manifold, h), unit))

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`, by default of the type of `points`."""
        dtype = self.points.dtype if dtype is None else dtype
        device = self.points.device if device is None else device
        shape = tuple(shape)
        chosen = torch.randint(len(self.points), shape, generator=generator, device=device)
        centres = self.manifold.project(self.points.to(device, dtype)[chosen])
        return _around(self.manifold, centres, self.bandwidth, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`; the work is `len(points)` for each."""
        rows = _embed(self.manifold, x)
        columns = _embed(self.manifold, self.points.to(x.device, x.dtype)).T.contiguous()
        batch, count = rows.shape[:-1], len(self.points)
        sums = [
            (squared_distances(part, columns) * (-0.5 / self.bandwidth**2)).logsumexp(-1)
            for part in rows.reshape(-1, rows.shape[-1]).split(max(1, _BLOCK // count))
        ]
        constant = _log_normaliser(self.manifold, self.bandwidth) - math.log(count)
        return torch.cat(sums).reshape(batch) + constant

    def __repr__(self) -> str:
        """The constructor call, with the number of points in place of the points."""
        return f"KernelDensity({self.manifold!r}, <{len(self.points)} points>, bandwidth={self.bandwidth:.6g})"


def _require_kernel(manifold: Manifold) -> None:
    if not isinstance(manifold, Sphere | Torus | Euclidean):
        raise OptionError(f"no kernel is known on {manifold!r}; use Sphere, Torus or Euclidean")


def _require_table(manifold: Manifold, points: Tensor, what: str) -> None:
    manifold.require_point(points, tolerance=1e-3)
    if points.dim() != 1 + len(manifold.point_shape):
        wanted = ", ".join(("N", *map(str, manifold.point_shape)))
        raise ShapeError(f"the {what} of a kernel density estimate have shape ({wanted}), got {tuple(points.shape)}")
    if not len(points):
        raise DataError(f"a kernel density estimate needs at least one of the {what}, got none")


def _embed(manifold: Manifold, x: Tensor) -> Tensor:
    """Points in a Euclidean space where small distances are those of the manifold: `(*batch, k)`."""
    if isinstance(manifold, Torus):
        features = manifold.features(x)
        return features if set(manifold.radii) == {1.0} else features * x.new_tensor(2 * manifold.radii)
    return x


def _size(manifold: Manifold, x: Tensor) -> float:
    """The length in which bandwidths are measured: a radius; on Euclidean space the spread of the points.

    That is the root mean square distance to the mean, per coordinate; 1 where all points agree.
    """
    if isinstance(manifold, Sphere):
        return manifold.radius
    if isinstance(manifold, Torus):
        return math.prod(manifold.radii) ** (1 / manifold.dim)
    return float((x - x.mean(0)).square().mean().sqrt()) or 1.0


@singledispatch
def _log_normaliser(manifold: Manifold, bandwidth: float) -> float:
    """The logarithm of one over the integral of `exp(-|f(x) - f(m)|² / 2 bandwidth²)`, f the embedding."""
    raise NotImplementedError


@_log_normaliser.register
def _log_normaliser_sphere(manifold: Sphere, bandwidth: float) -> float:
    return log_normaliser(manifold.dim, (manifold.radius / bandwidth) ** 2) - manifold.dim * math.log(manifold.radius)


@_log_normaliser.register
def _log_normaliser_torus(manifold: Torus, bandwidth: float) -> float:
    return sum(log_normaliser(1, (radius / bandwidth) ** 2) - math.log(radius) for radius in manifold.radii)


@_log_normaliser.register
def _log_normaliser_euclidean(manifold: Euclidean, bandwidth: float) -> float:
    return -manifold.dim * (math.log(bandwidth) + 0.5 * math.log(2 * math.pi))


@singledispatch
def _around(manifold: Manifold, centres: Tensor, bandwidth: float, generator: torch.Generator | None) -> Tensor:
    """One sample of the kernel around each centre."""
    raise NotImplementedError


@_around.register
def _around_sphere(manifold: Sphere, centres: Tensor, bandwidth: float, generator: torch.Generator | None) -> Tensor:
    return sample_on_sphere(manifold, centres, (manifold.radius / bandwidth) ** 2, generator)


@_around.register
def _around_torus(manifold: Torus, centres: Tensor, bandwidth: float, generator: torch.Generator | None) -> Tensor:
    kappas = [(radius / bandwidth) ** 2 for radius in manifold.radii]
    return sample_on_torus(manifold, centres, kappas, generator)


@_around.register
def _around_euclidean(
    manifold: Euclidean, centres: Tensor, bandwidth: float, generator: torch.Generator | None
) -> Tensor:
    return manifold.exp(centres, bandwidth * manifold.random_tangent(centres, generator=generator))
