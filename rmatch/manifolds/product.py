"""Products of manifolds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError, ShapeError
from rmatch._numerics import possibly_any, sqrt
from rmatch.manifolds.base import Manifold, Quadrature


class Product(Manifold):
    """The product M_1 × M_2 × ... with the sum of the metrics: what holds on each factor holds on the whole.

    A point is one flat tensor, the points of the factors one after the other, each as a flat array; `split` takes it
    apart and `join` puts it together. Geodesics, transport and projections act on each factor by itself; inner
    products, squared distances and log-densities add up. A product within a product is replaced by its factors, which
    changes no coordinate.

    Args:
        factors: One manifold or more, of any kind; matrices too.

    Attributes:
        factors: The factors, none of them a product.

    Raises:
        OptionError: There is no factor, or one is not a manifold.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Product(rm.Sphere(2), rm.Torus(1))
        >>> M.dim, M.point_shape
        (3, (4,))
        >>> x = M.join([torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.5])])
        >>> y = M.join([torch.tensor([0.0, 1.0, 0.0]), torch.tensor([2.5])])
        >>> M.dist(x, y)  # sqrt((π/2)² + 2²)
        tensor(2.5431)
    """

    def __init__(self, *factors: Manifold) -> None:
        if not factors:
            raise OptionError("a product has one factor or more, got Product()")
        for position, factor in enumerate(factors, 1):
            if not isinstance(factor, Manifold):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise OptionError(f"the factors of a product are manifolds, but factor {position} is {factor!r}")
        flat: list[Manifold] = []
        for factor in factors:
            flat.extend(factor.factors if isinstance(factor, Product) else (factor,))
        self.factors = tuple(flat)
        self._sizes = [math.prod(factor.point_shape) for factor in flat]
        self.dim = sum(factor.dim for factor in flat)
        self.point_shape = (sum(self._sizes),)
        self.volume = math.prod(factor.volume for factor in flat)

    # ---- points -----------------------------------------------------------------------------------------------------

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The parts of points, tangent vectors or covectors `(*batch, size)` that belong to each factor.

        Args:
            x: Flat arrays; any number of axes may come before the last.

        Returns:
            One tensor `(*batch, *factor.point_shape)` for each factor.

        Raises:
            ShapeError: The last axis has another length than a point.
        """
        if x.dim() < 1 or x.shape[-1:] != self.point_shape:
            raise ShapeError(f"arrays on {self!r} have shape (*batch, {self.point_shape[0]}), got {tuple(x.shape)}")
        return tuple(
            part if len(factor.point_shape) == 1 else part.reshape((*part.shape[:-1], *factor.point_shape))
            for factor, part in zip(self.factors, x.split(self._sizes, -1), strict=True)
        )

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The flat arrays `(*batch, size)` whose parts are given, the batches broadcast: `split` undone.

        Args:
            parts: One tensor `(*batch, *factor.point_shape)` for each factor.

        Raises:
            ShapeError: The number of parts is not that of the factors, or one has the wrong shape.
        """
        if len(parts) != len(self.factors):
            raise ShapeError(f"points on {self!r} have {len(self.factors)} parts, got {len(parts)}")
        flat: list[Tensor] = []
        for position, (factor, part) in enumerate(zip(self.factors, parts, strict=True), 1):
            rank = len(factor.point_shape)
            if tuple(part.shape[part.dim() - rank :]) != factor.point_shape or part.dim() < rank:
                wanted = ", ".join(("*batch", *map(str, factor.point_shape)))
                raise ShapeError(f"part {position}, on {factor!r}, has shape ({wanted}), got {tuple(part.shape)}")
            flat.append(part if rank == 1 else part.flatten(-rank) if rank else part.unsqueeze(-1))
        batches = {part.shape[:-1] for part in flat}
        if len(batches) > 1:
            batch = torch.broadcast_shapes(*batches)
            flat = [part.expand(*batch, part.shape[-1]) for part in flat]
        return torch.cat(flat, -1)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The origins of the factors."""
        return self.join([factor.origin(dtype=dtype, device=device) for factor in self.factors])

    def project(self, x: Tensor) -> Tensor:
        """Each part projected to its factor."""
        return self.join([factor.project(part) for factor, part in self._each(x)])

    # ---- geodesics --------------------------------------------------------------------------------------------------

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`exp` on each factor."""
        return self.join([factor.exp(a, u) for factor, a, u in self._each(x, v)])

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`log` on each factor."""
        return self.join([factor.log(a, b) for factor, a, b in self._each(x, y)])

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The root of the sum of the squared distances; its derivative at x = y is 0."""
        squares = [_squared_distance(factor, a, b) for factor, a, b in self._each(x, y)]
        return sqrt(_total(squares))

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor | float) -> Tensor:
        """The geodesic of each factor at the same time."""
        return self.join([factor.geodesic(a, b, t) for factor, a, b in self._each(x, y)])

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point and the velocity of each factor's geodesic at the same time."""
        pairs = [factor.geodesic_with_velocity(a, b, t) for factor, a, b in self._each(x, y)]
        return self.join([point for point, _ in pairs]), self.join([velocity for _, velocity in pairs])

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport on each factor."""
        return self.join([factor.transport(a, b, u) for factor, a, b, u in self._each(x, y, v)])

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The sum over the factors."""
        return _total([factor.log_det_exp(a, u) for factor, a, u in self._each(x, v)])

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Where every part of the geodesic is minimising."""
        return torch.stack([factor.is_minimising(a, u) for factor, a, u in self._each(x, v)], -1).all(-1)

    # ---- metric -----------------------------------------------------------------------------------------------------

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The sum of the factors' inner products."""
        return _total([factor.inner(a, b, c) for factor, a, b, c in self._each(x, u, v)])

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Each part projected to its factor's tangent space."""
        return self.join([factor.to_tangent(a, u) for factor, a, u in self._each(x, v)])

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """`sharp` on each factor: the metric has no mixed terms."""
        return self.join([factor.sharp(a, covector) for factor, a, covector in self._each(x, df)])

    def metric(self, x: Tensor) -> Tensor:
        """The block-diagonal matrix of the factors' metrics."""
        return _block_diagonal([factor.metric(a) for factor, a in self._each(x)])

    def frame(self, x: Tensor) -> Tensor:
        """The frames of the factors, each zero on the other factors."""
        return _block_diagonal([_flat(factor, factor.frame(a)) for factor, a in self._each(x)])

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """The coordinate frames of the factors, each zero on the other factors."""
        return _block_diagonal([_flat(factor, factor.coordinate_frame(a)) for factor, a in self._each(x)])

    def coordinate_covector(self, v: Tensor) -> Tensor:
        """The covector of each part."""
        return self.join([factor.coordinate_covector(u) for factor, u in self._each(v)])

    @property
    def span_size(self) -> int:
        """The sum over the factors."""
        return sum(factor.span_size for factor in self.factors)

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The tangent vector of each factor from its own share of the coefficients."""
        shares = coefficients.split([factor.span_size for factor in self.factors], -1)
        return self.join([factor.span(a, share) for (factor, a), share in zip(self._each(x), shares, strict=True)])

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal tangent vector of each factor."""
        return self.join([factor.random_tangent(a, generator=generator) for factor, a in self._each(x)])

    def random_probe(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A random probe of each factor."""
        return self.join([factor.random_probe(a, generator=generator) for factor, a in self._each(x)])

    # ---- volume -----------------------------------------------------------------------------------------------------

    def log_volume_density(self, x: Tensor) -> Tensor:
        """The sum over the factors."""
        return _total([factor.log_volume_density(a) for factor, a in self._each(x)])

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor | None:
        """The sum over the factors whose density is not constant, or None where there is none."""
        drifts = [factor.density_drift(a, u) for factor, a, u in self._each(x, v)]
        varying = [drift for drift in drifts if drift is not None]
        return _total(varying) if varying else None

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The determinant of the vectors' coefficients on the factors' frames, oriented if every factor is."""
        columns: list[Tensor] = []  # [*batch, dim, factor.dim] each
        frame_volume: list[Tensor] = []
        for factor, a, part in self._each(x, vectors):
            e = factor.frame(a)
            axis = e.dim() - 1 - len(factor.point_shape)
            there = a.unsqueeze(axis).unsqueeze(axis)
            columns.append(factor.inner(there, part.unsqueeze(axis + 1), e.unsqueeze(axis)))
            frame_volume.append(factor.volume_form(a, e))
        volume = torch.linalg.det(torch.cat(columns, -1))
        for sign in frame_volume:
            volume = volume * sign
        return volume if self._oriented else volume.abs()

    @cached_property
    def _oriented(self) -> bool:
        """Whether the volume form of every factor changes its sign with that of a vector."""
        for factor in self.factors:
            origin = factor.origin(dtype=torch.float64)
            e = factor.frame(origin)
            mirrored = torch.cat([-e[:1], e[1:]])
            if float(factor.volume_form(origin, e) * factor.volume_form(origin, mirrored)) > 0:
                return False
        return True

    def features(self, x: Tensor) -> Tensor:
        """The features of the factors, one after the other."""
        return torch.cat([factor.features(a) for factor, a in self._each(x)], -1)

    # ---- integration ------------------------------------------------------------------------------------------------

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """The product of the factors' rules while all of them are exact and there are at most a million nodes.

        Beyond, scrambled Sobol points of the product's dimension in 8 independent blocks.
        """
        if not self.quadrature_is_exact(degree):
            return _quadrature.sequence_rule(self, degree, dtype, device)
        parts: list[Tensor] = []  # [N, *factor.point_shape] each
        weights = torch.ones(1, dtype=torch.float64)
        for factor in self.factors:
            nodes, own = factor.quadrature(degree)
            parts = [part.repeat_interleave(len(own), 0) for part in parts]
            parts.append(nodes.repeat(len(weights), *(1 for _ in factor.point_shape)))
            weights = (weights.unsqueeze(-1) * own).flatten()
        return Quadrature(self.join(parts).to(device, dtype), weights.to(device, dtype))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the rule is the product of exact rules."""
        size = 1
        for factor in self.factors:
            if not factor.quadrature_is_exact(degree):
                return False
            size *= len(factor.quadrature(degree).weights)
            if size > _quadrature.LARGEST_RULE:
                return False
        return True

    @property
    def cube_size(self) -> int:
        """The sum over the factors."""
        return sum(factor.cube_size for factor in self.factors)

    def from_cube(self, u: Tensor) -> Quadrature:
        """The point of each factor from its own share of the numbers; the weights multiply."""
        shares = u.split([factor.cube_size for factor in self.factors], -1)
        rules = [factor.from_cube(share) for factor, share in zip(self.factors, shares, strict=True)]
        weights = torch.stack([weights for _, weights in rules]).prod(0)
        return Quadrature(self.join([nodes for nodes, _ in rules]), weights)

    # ---- what a solver asks -----------------------------------------------------------------------------------------

    def contains(self, x: Tensor) -> Tensor | None:
        """Where the coordinates of every factor lie in its open set, or None where every factor takes any."""
        inside = [factor.contains(a) for factor, a in self._each(x)]
        limits = [mask for mask in inside if mask is not None]
        return torch.stack(limits).all(0) if limits else None

    def magnitude(self, x: Tensor) -> Tensor:
        """The magnitudes of the factors."""
        return self.join([factor.magnitude(a) for factor, a in self._each(x)])

    def resolution(self, x: Tensor) -> Tensor | float:
        """The sum over the factors."""
        total: Tensor | float = 0.0
        for factor, a in self._each(x):
            total = total + factor.resolution(a)
        return total

    def error_size(self, x: Tensor, y: Tensor, v: Tensor, *, rtol: float, atol: float) -> Tensor:
        """The root mean square over the factors, each with the weight of its dimension."""
        sizes = [
            factor.dim * factor.error_size(a, b, u, rtol=rtol, atol=atol).square()
            for factor, a, b, u in self._each(x, y, v)
        ]
        return (_total(sizes) / self.dim).sqrt()

    # ---- checks -----------------------------------------------------------------------------------------------------

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as a tensor of points, or None; the text names the factor."""
        problem = self._check_array(x, "points")
        if problem is not None:
            return problem
        return self._first_problem([factor.check_point(a, tolerance=tolerance) for factor, a in self._each(x)])

    def check_tangent(self, x: Tensor, v: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `v` as tangent vectors at `x`, or None; the text names the factor."""
        problem = self._check_array(v, "tangent vectors")
        if problem is not None:
            return problem
        return self._first_problem(
            [factor.check_tangent(a, u, tolerance=tolerance) for factor, a, u in self._each(x, v)]
        )

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _each(self, *arrays: Tensor) -> Iterator[tuple[Manifold, *tuple[Tensor, ...]]]:
        """Each factor with its parts of the arrays."""
        return zip(self.factors, *(self.split(array) for array in arrays), strict=True)

    def _first_problem(self, problems: list[str | None]) -> str | None:
        for position, problem in enumerate(problems, 1):
            if problem is not None:
                return f"factor {position} of {self!r}: {problem}"
        return None

    def __repr__(self) -> str:
        """The constructor call."""
        return f"Product({', '.join(map(repr, self.factors))})"


def _total(terms: Sequence[Tensor]) -> Tensor:
    """The sum, without the zero that `sum` begins with."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _squared_distance(factor: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """The squared distance, twice differentiable at x = y too, where a distance is not."""
    d = factor.dist(x, y)
    zero = d == 0
    if not possibly_any(zero):
        return d.square()
    v = factor.log(x, y)
    return torch.where(zero, factor.inner(x, v, v), d.square())


def _flat(factor: Manifold, vectors: Tensor) -> Tensor:
    """Vectors `(*batch, k, *point_shape)` of a factor as rows `(*batch, k, size)`."""
    rank = len(factor.point_shape)
    return vectors if rank == 1 else vectors.flatten(-rank)


def _block_diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """The matrices `(*batch, r_i, c_i)` along the diagonal of one `(*batch, Σ r_i, Σ c_i)`."""
    width = sum(block.shape[-1] for block in blocks)
    rows: list[Tensor] = []
    left = 0
    for block in blocks:
        right = width - left - block.shape[-1]
        rows.append(torch.nn.functional.pad(block, (left, right)))
        left += block.shape[-1]
    return torch.cat(rows, -2)
