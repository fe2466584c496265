"""What a geometry has to supply to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import mpmath as mp
import torch
from torch import Tensor

import rmatch as rm
from tests.manifolds import reference as ref

Exact = Any  # a list of mpmath numbers or an mpmath matrix, which come without types
Number = Any
Pair = tuple[Tensor, Tensor]

F32, F64 = torch.float32, torch.float64
ROWS = 64


class Space(ABC):
    """A geometry: what a float means there, and its primitives at many digits.

    Attributes:
        member: The library's.
        title: Heading of its tables.
        key: Name under which `tools.accuracy.peers` finds it.
        columns: What tells the cases apart.
        digits: Of the arithmetic.
    """

    member: rm.Manifold
    title: str
    key: str
    columns: tuple[str, ...]
    digits = 60

    @abstractmethod
    def cases(self, dtype: torch.dtype) -> list[tuple[Any, ...]]:
        """The rows of the table: tuples as long as `columns`."""

    @abstractmethod
    def pair(self, case: tuple[Any, ...], seed: int, dtype: torch.dtype) -> Pair:
        """Two points of that case."""

    @abstractmethod
    def point(self, x: Tensor) -> Exact:
        """The point that the floats mean."""

    def holds(self, x: Tensor) -> bool:
        """Whether the floats mean any point at all."""
        del x
        return True

    @abstractmethod
    def vector(self, p: Exact, v: Tensor) -> Exact:
        """The tangent vector at `p` that the floats mean."""

    @abstractmethod
    def raised(self, p: Exact, covector: Tensor) -> Exact:
        """The tangent vector whose inner products the covector gives: the gradient by coordinates, raised."""

    @abstractmethod
    def dist(self, p: Exact, q: Exact) -> Number:
        """The distance, to all digits also of near points."""

    @abstractmethod
    def log(self, p: Exact, q: Exact) -> Exact:
        """The tangent vector at `p` that leads to `q`."""

    @abstractmethod
    def exp(self, p: Exact, v: Exact) -> Exact:
        """The end of the geodesic."""

    @abstractmethod
    def length(self, p: Exact, v: Exact) -> Number:
        """The length of a tangent vector."""

    @abstractmethod
    def floats(self, p: Exact, dtype: torch.dtype) -> Tensor:
        """The floats nearest to a point."""

    @abstractmethod
    def tensor(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """The floats nearest to a tangent vector at `p`."""

    @abstractmethod
    def lowered(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """The floats nearest to the covector of a tangent vector: the inverse of `raised`."""

    @abstractmethod
    def hard(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Batches of `ROWS` pairs at which derivatives tend to be infinite, by name."""

    def combine(self, a: Number, v: Exact, b: Number, w: Exact) -> Exact:
        """The vector `a v + b w`."""
        return ref.combine(a, v, b, w)


def angle_of(text: str) -> Number:
    """The angle as a number of many digits."""
    return mp.pi - mp.mpf(text[2:]) if text.startswith("π-") else mp.mpf(text)


def numbers(v: Exact, dtype: torch.dtype) -> Tensor:
    """The nearest floats of a list."""
    return torch.tensor([float(a) for a in v], dtype=F64).to(dtype)


def rounded(a: Exact, dtype: torch.dtype) -> Tensor:
    """The nearest floats of a matrix."""
    return torch.tensor([[float(a[i, j]) for j in range(a.cols)] for i in range(a.rows)], dtype=F64).to(dtype)


def generator(seed: int = 0) -> torch.Generator:
    """A generator with that seed."""
    return torch.Generator().manual_seed(seed)
