"""The square of a spectral distance on one manifold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from torch import Tensor


class Square(ABC):
    """The sum `Σ_i w(λ_i) (φ_i(x) - φ_i(y))²` over the eigenfunctions of -Δ, in float64."""

    @abstractmethod
    def value(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum at points `(*batch, *point_shape)`: `(*batch)`."""

    @abstractmethod
    def value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The sum and its gradient in `x`."""

    def profile(self, r: Tensor) -> tuple[Tensor, Tensor] | None:
        """The sum and its derivative as functions of the geodesic distance, where it is one of it."""
        del r
        return None

    @property
    def reach(self) -> float:
        """Up to which distance that holds."""
        return math.inf

    @property
    @abstractmethod
    def largest(self) -> float:
        """The value at the farthest point."""
