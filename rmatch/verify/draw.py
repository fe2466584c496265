"""Where the inputs of the laws come from: points, tangent vectors, pairs in every position, functions, fields."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold, Product, SpecialOrthogonal, Sphere, Torus
from rmatch.paths import ProbabilityPath
from rmatch.verify.functions import (
    Bell,
    GradientField,
    Profile,
    RandomField,
    RandomFunction,
    SolenoidalField,
    open_part,
    random_field,
    random_function,
)

__all__ = ["Draw", "Field", "Subject"]

Field = RandomField | GradientField | SolenoidalField

_STEPS = (1.0, 1.0, 1.0, 1e-3, 1e-6, 1e-9, 0.0)
"""Distances of the second point of a pair in units of a usual one, by turns: apart, close, very close, the same."""

_FARTHEST = 6.0
"""Where the search for a cut locus ends, in units of `Draw.reach` for every dimension's square root."""


_BELL = 1.2
"""Width of a bell: it and the product of two are about as wide as the normal law that quadrature rules are made for."""


@dataclass(frozen=True)
class Subject:
    """What is examined: a manifold, with distributions and two probability paths on it.

    Args:
        manifold: The manifold.
        distributions: The laws whose densities and samplers are examined.
        paths: Two probability paths p and q, or None.
    """

    manifold: Manifold
    distributions: tuple[Distribution, ...] = ()
    paths: tuple[ProbabilityPath, ProbabilityPath] | None = None


@dataclass
class Draw:
    """Random inputs for one case of one law.

    Args:
        subject: What is examined.
        seed: Seed of everything drawn.
        name: The law's name, so that laws do not share their random numbers.
        level: Which case it is. At level 0 functions have one ridge and points lie near the origin; from level to level
            both grow.
        rows: How many instances are tried at once.
        dtype: Type of the coordinates.
    """

    subject: Subject
    seed: int = 0
    name: str = ""
    level: int = 0
    rows: int = 16
    dtype: torch.dtype = torch.float64
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        digest = zlib.crc32(f"{self.seed}/{self.name}/{self.level}".encode())
        self.generator = torch.Generator().manual_seed(digest)

    @property
    def manifold(self) -> Manifold:
        """Where everything lives."""
        return self.subject.manifold

    @property
    def reach(self) -> float:
        """A usual length: a third of the side of a cube of the same volume, or 1."""
        M = self.manifold
        return M.volume ** (1 / M.dim) / 3 if math.isfinite(M.volume) else 1.0

    # ---- points and vectors -----------------------------------------------------------------------------------------

    def points(self) -> Tensor:
        """Points, one for each row; all over a manifold of finite volume, else within a few lengths of the origin."""
        M = self.manifold
        origin = M.origin(dtype=self.dtype).expand(self.rows, *M.point_shape)
        if math.isfinite(M.volume):
            spread = self.reach * (0.3 if self.level == 0 else 1.0)
        else:
            spread = (0.5, 1.0, 1.5)[min(self.level, 2)] / math.sqrt(M.dim)
        return M.project(M.exp(origin, spread * M.random_tangent(origin, generator=self.generator)))

    def tangents(self, x: Tensor, length: float = 1.0) -> Tensor:
        """A tangent vector for each point, of about the given length."""
        return self.manifold.random_tangent(x, generator=self.generator) * (length / math.sqrt(self.manifold.dim))

    def steps(self, x: Tensor) -> Tensor:
        """Tangent vectors from usual lengths down to zero, in the order of `_STEPS`."""
        M = self.manifold
        sizes = torch.tensor([_STEPS[k % len(_STEPS)] for k in range(len(x))], dtype=self.dtype)
        shape = (-1, *(1 for _ in M.point_shape))
        return self.tangents(x, min(1.0, 2 * self.reach) * math.sqrt(M.dim if self.level else 1)) * sizes.reshape(shape)

    def pairs(self, *, cut: bool = False) -> tuple[Tensor, Tensor]:
        """Pairs of points: apart, close, very close and the same by turns; with `cut`, some at and next to the cut."""
        M = self.manifold
        x = self.points()
        y = M.project(M.exp(x, self.steps(x)))
        y = torch.where(self._rows(range(0, self.rows, len(_STEPS))), self.points(), y)  # some all over
        if cut and self.level:
            x, y = self._with_cut_points(x, y)
        return x, y

    def _with_cut_points(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs with each fourth replaced by one next to the cut locus, and each eighth by one at it."""
        near, found = near_cut_points(self.manifold, x, self.tangents(x), self.reach)
        chosen = self._rows(range(3, self.rows, 4)) & found.reshape(-1, *(1 for _ in self.manifold.point_shape))
        y = torch.where(chosen, near, y)
        there = exact_cut_points(self.manifold, x)
        return x, y if there is None else torch.where(self._rows(range(7, self.rows, 8)), there, y)

    def _rows(self, chosen: range) -> Tensor:
        mask = torch.zeros(self.rows, dtype=torch.bool)
        mask[list(chosen)] = True
        return mask.reshape(-1, *(1 for _ in self.manifold.point_shape))

    # ---- functions and fields ---------------------------------------------------------------------------------------

    def function(self, profile: Profile | None = None) -> RandomFunction:
        """A smooth function; where the volume is infinite it decays like a bell."""
        chosen: Profile = ("wave", "power", "neuron")[self.level % 3] if profile is None else profile
        return random_function(
            self.manifold,
            self.generator,
            ridges=1 if self.level == 0 else 4,
            frequency=1.0 if self.level == 0 else 2.0 if chosen == "wave" else 1.5,
            profile=chosen,
            bell=None if math.isfinite(self.manifold.volume) else self.bell(),
        )

    def field(self, kind: str | None = None, profile: Profile | None = None) -> Field:
        """A smooth vector field.

        Args:
            kind: `generic`, `gradient` or `solenoidal` (free of divergence); by turns where it is left out.
            profile: As for `function`.
        """
        chosen = ("generic", "gradient", "generic")[self.level % 3] if kind is None else kind
        if chosen == "gradient":
            return GradientField(self.manifold, self.function(profile))
        first = random_field(self.manifold, self.generator, self.function(profile))
        if chosen == "generic":
            return first
        return SolenoidalField(
            self.manifold, first, random_field(self.manifold, self.generator, self.function(profile))
        )

    def generic_field(self, profile: Profile | None = None) -> RandomField:
        """A field that is neither a gradient nor free of divergence."""
        return random_field(self.manifold, self.generator, self.function(profile))

    def bell(self) -> Bell:
        """A bell near the origin; so narrow that it is below 1e-13 where geodesics meet their cut locus."""
        whole = self.manifold.origin(dtype=torch.float64)
        M, origin = open_part(self.manifold, whole)
        starts = origin.expand(8, *M.point_shape)
        cut, found = near_cut_points(M, starts, M.random_tangent(starts, generator=self.generator), self.reach)
        width = _BELL
        if bool(found.any()):
            width = min(width, float(M.dist(starts, cut)[found].amin()) / 8)
        offset = self.manifold.random_tangent(whole, generator=self.generator) * (0.2 * width / math.sqrt(M.dim))
        return Bell(self.manifold, self.manifold.project(self.manifold.exp(whole, offset)), width)


def near_cut_points(M: Manifold, x: Tensor, v: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Points just before the cut locus of `x` in the directions `v`, and whether there is one within reach.

    A geodesic from x has met it where the distance from x falls behind the length of the way; the place is found by
    bisection to about 1e-9.
    """
    shape = (-1, *(1 for _ in M.point_shape))
    unit = v / M.norm(x, v).reshape(shape)

    def behind(length: Tensor) -> Tensor:
        return M.dist(x, M.exp(x, length.reshape(shape) * unit)) < length * (1 - 1e-9)

    low = torch.zeros(len(x), dtype=x.dtype)
    farthest = _FARTHEST * reach * (math.sqrt(M.dim) if math.isfinite(M.volume) else 1.0)
    high = torch.full((len(x),), farthest, dtype=x.dtype)
    found = behind(high)
    for _ in range(34):
        middle = (low + high) / 2
        beyond = behind(middle)
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    return M.project(M.exp(x, low.reshape(shape) * unit)), found


def exact_cut_points(M: Manifold, x: Tensor) -> Tensor | None:
    """A point of the cut locus of each point, to the last digit, where it is known."""
    if isinstance(M, Sphere):
        return -x
    if isinstance(M, Torus):
        return M.exp(x, math.pi * x.new_tensor(M.radii).expand(x.shape))
    if isinstance(M, SpecialOrthogonal):
        return x * x.new_tensor([1.0, -1.0, -1.0])  # half a turn about the first axis
    if isinstance(M, Product):
        parts = M.split(x)
        there = [exact_cut_points(factor, part) for factor, part in zip(M.factors, parts, strict=True)]
        known = any(cut is not None for cut in there)
        return M.join([a if b is None else b for a, b in zip(parts, there, strict=True)]) if known else None
    return None
