"""Kernel density estimates: the density that needs no training, as a mark to beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rmatch._errors import DataError, OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions._bandwidth import best_bandwidth
from rmatch.distributions._kernels import ProductKernel, kernel_of
from rmatch.distributions.base import Distribution, require_shape
from rmatch.manifolds import Manifold, Product

__all__ = ["KernelDensity"]

_BLOCK = 1 << 18  # pairs of a query and a point that are worked on together: they fit in the cache


class KernelDensity(Distribution):
    """The mean of kernels around given points, `p(x) = Σ_i K_h(x, m_i) / N`.

    Each kernel integrates to 1, and for small h it is nearly a normal law of standard deviation h:

    * with the embedding f of a compact manifold in Euclidean space (the point itself, circles for the angles, the
      rotation matrix over √2), `exp(-|f(x) - f(m)|² / 2h²)` over its integral: a von Mises–Fisher law of concentration
      κ = (radius/h)² on `Sphere(n)`, a product of von Mises laws on `Torus(d)`, an isotropic matrix Fisher law on
      `SpecialOrthogonal(3)`; and a normal law on `Euclidean(n)`;
    * on hyperbolic spaces, and on any manifold of infinite volume without a cut locus, the wrapped normal law;
    * on `SPD(n)` a normal law of the matrix logarithm, as the log-Euclidean metric has it, for the affine-invariant
      distance of every pair would be an eigenvalue problem;
    * on `Product` the product of the kernels of its factors.

    Args:
        manifold: Any of rmatch's own, or one that is diffeomorphic to R^n by its `exp`.
        points: The points `(N, *point_shape)`.
        bandwidth: The width h, in the units of `dist`; on a product also one for each factor.

    Attributes:
        bandwidth: The width; the geometric mean where there are several.
        bandwidths: The widths, one for each that was given.

    Raises:
        OptionError: No kernel is known on the manifold, or the bandwidth is not a positive number.
        PointError: The points do not lie on the manifold.
        DataError: There are no points.

    References:
        Hall, Watson and Cabrera, "Kernel density estimation with spherical data", Biometrika 74 (1987).
        Pelletier, "Kernel density estimation on Riemannian manifolds", Statistics & Probability Letters 73 (2005).

    Example:
        >>> import torch, rmatch as rm
        >>> from rmatch.distributions import KernelDensity
        >>> p = KernelDensity(rm.Torus(1), torch.tensor([[0.0], [3.0]], dtype=torch.float64), bandwidth=0.5)
        >>> p.log_prob(torch.tensor([6.0], dtype=torch.float64))
        tensor(-1.1149, dtype=torch.float64)
    """

    def __init__(self, manifold: Manifold, points: Tensor, bandwidth: float | Sequence[float]) -> None:
        widths = (bandwidth,) if isinstance(bandwidth, int | float) else tuple(bandwidth)
        if not all(width > 0 and math.isfinite(width) for width in widths):
            raise OptionError(f"the bandwidth of a kernel is a positive number, got {bandwidth}")
        self.bandwidths = tuple(map(float, widths))
        self.bandwidth = math.prod(self.bandwidths) ** (1 / len(widths))
        if isinstance(bandwidth, int | float):
            self._kernel, self._width = kernel_of(manifold), float(bandwidth)
        else:
            if not isinstance(manifold, Product) or len(widths) != len(manifold.factors):
                raise OptionError(f"{len(widths)} bandwidths fit a product of as many factors, not {manifold!r}")
            self._kernel, self._width = ProductKernel(manifold, self.bandwidths), 1.0
        _require_table(manifold, points, "points")
        self.manifold = manifold
        self.points = points

    @classmethod
    def fit(cls, manifold: Manifold, points: Tensor, validation: Tensor) -> KernelDensity:
        """The estimate from `points` with the bandwidth under which held-out points are most likely.

        A logarithmic grid from 1e-3 to 3 (times the radius of a compact manifold, else times the spread of the points)
        finds the neighbourhood, and a bounded search ends in it. On a product that unit is each factor's own, so that
        factors of different units have different bandwidths. The estimate itself keeps all points. For the choice of
        the bandwidth, at most 100,000 of them and so many of the validation points are used that there are 20 million
        pairs (but between 200 and 2000 validation points), both drawn with a fixed seed: seconds of work for any table.

        Args:
            manifold: As for the constructor.
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
        kernel = kernel_of(manifold)
        _require_table(manifold, points, "points")
        _require_table(manifold, validation, "validation points")
        if not isinstance(kernel, ProductKernel):
            return cls(manifold, points, best_bandwidth(kernel, points, validation, kernel.typical(points)))
        units = kernel.typical_units(points)
        if len(set(units)) == 1:
            return cls(manifold, points, best_bandwidth(kernel, points, validation, units[0]))
        h = best_bandwidth(ProductKernel(kernel.product, units), points, validation, 1.0)
        return cls(manifold, points, [h * unit for unit in units])

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
        return self._kernel.around(centres, self._width, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`; the work is `len(points)` for each."""
        require_shape(self.manifold, x)
        kernel, count, rate = self._kernel, len(self.points), -0.5 / self._width**2
        batch = x.shape[: x.dim() - len(self.manifold.point_shape)]
        queries = x.reshape(-1, *self.manifold.point_shape)
        columns = kernel.embed(self.points.to(x.device, x.dtype)).T.contiguous()
        sums: list[Tensor] = []
        for part in kernel.embed(queries).split(max(1, _BLOCK // count)):
            squares, log_factor = kernel.pairs(part, columns)
            exponent = squares * rate if log_factor is None else torch.add(log_factor, squares, alpha=rate)
            sums.append(exponent.logsumexp(-1))
        result = torch.cat(sums) + (kernel.log_normaliser(self._width) - math.log(count))
        outer = kernel.log_jacobian(queries)
        return (result if outer is None else result + outer).reshape(batch)

    def __repr__(self) -> str:
        """The constructor call, with the number of points in place of the points."""
        text = ", ".join(f"{width:.6g}" for width in self.bandwidths)
        shown = text if len(self.bandwidths) == 1 else f"({text})"
        return f"KernelDensity({self.manifold!r}, <{len(self.points)} points>, bandwidth={shown})"


def _require_table(manifold: Manifold, points: Tensor, what: str) -> None:
    manifold.require_point(points, tolerance=1e-3)
    if points.dim() != 1 + len(manifold.point_shape):
        wanted = ", ".join(("N", *map(str, manifold.point_shape)))
        raise ShapeError(f"the {what} of a kernel density estimate have shape ({wanted}), got {tuple(points.shape)}")
    if not len(points):
        raise DataError(f"a kernel density estimate needs at least one of the {what}, got none")
