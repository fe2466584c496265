"""Where the inputs of the laws come from: points, tangent vectors, pairs in every position, functions, fields."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold
from rmatch.verify.cut import exact_cut_points, near_cut_points
from rmatch.verify.functions import (
    Bell,
    GradientField,
    Profile,
    RandomField,
    RandomFunction,
    SolenoidalField,
    random_bell,
    random_field,
    random_function,
)
from rmatch.verify.subject import Subject

__all__ = ["Draw", "Field"]

Field = RandomField | GradientField | SolenoidalField

_STEPS = (1.0, 1.0, 1.0, 1e-3, 1e-6, 1e-9, 0.0)
"""Distances of the second point of a pair in units of a usual one, by turns: apart, close, very close, the same."""


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
        """A usual length: how far points are from each other."""
        return self.subject.reach

    def distribution(self) -> Distribution:
        """One of the distributions on the manifold, by turns."""
        choice = self.subject.distributions
        return choice[self.level % len(choice)]

    # ---- points and vectors -----------------------------------------------------------------------------------------

    def points(self) -> Tensor:
        """Points, one for each row; all over a manifold of finite volume, else within a few lengths of the origin.

        Where a reach was asked for, no two are farther apart than that.
        """
        M = self.manifold
        origin = M.origin(dtype=self.dtype).expand(self.rows, *M.point_shape)
        if self.subject.is_local:
            v = M.random_tangent(origin, generator=self.generator)
            length = M.norm(origin, v).reshape(-1, *(1 for _ in M.point_shape))
            part = torch.rand(length.shape, generator=self.generator, dtype=self.dtype)
            return M.project(M.exp(origin, v * (self.reach / 2 * part / length)))
        if math.isfinite(M.volume):
            spread = self.reach * (0.3 if self.level == 0 else 1.0)
        else:
            spread = self.reach * (0.5, 1.0, 1.5)[min(self.level, 2)] / math.sqrt(M.dim)
        return M.project(M.exp(origin, spread * M.random_tangent(origin, generator=self.generator)))

    @property
    def step(self) -> float:
        """A length for vectors that geodesics follow."""
        return self.reach / 4 if self.subject.is_local else min(1.0, self.reach)

    def tangents(self, x: Tensor, length: float | None = None) -> Tensor:
        """A tangent vector for each point, of about the given length; by default 1, or less where points are near."""
        size = length or (self.step if self.subject.is_local else 1.0)
        v = self.manifold.random_tangent(x, generator=self.generator) * (size / math.sqrt(self.manifold.dim))
        return self.manifold.to_tangent(x, v)  # a short vector may be what a long one left after rounding

    def steps(self, x: Tensor) -> Tensor:
        """Tangent vectors from usual lengths down to zero, in the order of `_STEPS`."""
        M = self.manifold
        sizes = torch.tensor([_STEPS[k % len(_STEPS)] for k in range(len(x))], dtype=self.dtype)
        shape = (-1, *(1 for _ in M.point_shape))
        usual = min(1.0, 2 * self.reach) * math.sqrt(M.dim if self.level else 1)
        return self.tangents(x, self.step if self.subject.is_local else usual) * sizes.reshape(shape)

    def pairs(self, *, cut: bool = False) -> tuple[Tensor, Tensor]:
        """Pairs of points: apart, close, very close and the same by turns; with `cut`, some at and next to the cut."""
        M = self.manifold
        x = self.points()
        y = M.project(M.exp(x, self.steps(x)))
        y = torch.where(self._rows(range(0, self.rows, len(_STEPS))), self.points(), y)  # some all over
        if cut and self.level and not self.subject.is_local:
            x, y = self._with_cut_points(x, y)
        return x, y

    def _with_cut_points(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs with each fourth replaced by one next to the cut locus, and each eighth by one at it."""
        chosen = torch.arange(3, self.rows, 4)  # the search takes a while where logarithms are found by shooting
        near, found = near_cut_points(self.manifold, x[chosen], self.tangents(x)[chosen], self.reach)
        y = y.index_put((chosen[found],), near[found])
        there = exact_cut_points(self.manifold, x)
        return x, y if there is None else torch.where(self._rows(range(7, self.rows, 8)), there, y)

    def _rows(self, chosen: range) -> Tensor:
        mask = torch.zeros(self.rows, dtype=torch.bool)
        mask[list(chosen)] = True
        return mask.reshape(-1, *(1 for _ in self.manifold.point_shape))

    # ---- functions and fields ---------------------------------------------------------------------------------------

    def function(self, profile: Profile | None = None) -> RandomFunction:
        """A smooth function; where the volume is infinite it decays like a bell, so that integrals exist."""
        chosen: Profile = ("wave", "power", "neuron")[self.level % 3] if profile is None else profile
        compact = math.isfinite(self.manifold.volume) or self.subject.is_local
        return random_function(
            self.manifold,
            self.generator,
            ridges=1 if self.level == 0 else 4,
            frequency=1.0 if self.level == 0 or not compact else 2.0 if chosen == "wave" else 1.5,
            profile=chosen,
            bell=None if compact else self.bell(),
        )

    def waves(self, count: int) -> RandomFunction:
        """A sum of waves that do not decay, to take expectations of."""
        return random_function(self.manifold, self.generator, ridges=count, frequency=1.5, profile="wave", bell=None)

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

    def bell(self, *, of_distance: bool = False) -> Bell:
        """A bell near the origin, of the distance itself if that is asked for."""
        return random_bell(self.manifold, self.generator, of_distance=of_distance)
