"""Schedules: how far along its path a sample is at time t."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from torch import Tensor

from rmatch._errors import OptionError


class Schedule(ABC):
    """An increasing function κ on [0, 1] with κ(0) = 0 and κ(1) = 1."""

    @abstractmethod
    def kappa(self, t: Tensor) -> Tensor:
        """The fraction κ(t) of the way, shape of `t`."""

    @abstractmethod
    def rate(self, t: Tensor) -> Tensor | float:
        """The derivative κ'(t), shape of `t`, or a number where it is constant."""

    def __repr__(self) -> str:
        """The constructor call."""
        return f"{type(self).__name__}()"


class Linear(Schedule):
    """κ(t) = t: constant speed.

    Example:
        >>> import torch
        >>> from rmatch.paths import Linear
        >>> Linear().kappa(torch.tensor(0.25))
        tensor(0.2500)
    """

    def kappa(self, t: Tensor) -> Tensor:
        """The time itself."""
        return t

    def rate(self, t: Tensor) -> Tensor | float:
        """1."""
        del t
        return 1.0


class Cosine(Schedule):
    """κ(t) = (1 - cos πt)/2: starts and ends at rest.

    Example:
        >>> import torch
        >>> from rmatch.paths import Cosine
        >>> Cosine().kappa(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """

    def kappa(self, t: Tensor) -> Tensor:
        """sin²(πt/2), which is the same without cancellation."""
        return (math.pi / 2 * t).sin().square()

    def rate(self, t: Tensor) -> Tensor | float:
        """(π/2) sin πt."""
        return math.pi / 2 * (math.pi * t).sin()


class Polynomial(Schedule):
    """κ(t) = 1 - (1 - t)^p: fast at first, slow next to the data for p > 1.

    Args:
        power: The exponent p, at least 1.

    Raises:
        OptionError: `power` is less than 1.

    Example:
        >>> import torch
        >>> from rmatch.paths import Polynomial
        >>> Polynomial(2.0).kappa(torch.tensor(0.5))
        tensor(0.7500)
    """

    def __init__(self, power: float) -> None:
        if not power >= 1:
            raise OptionError(f"the power of a polynomial schedule is at least 1, got {power}")
        self.power = power

    def kappa(self, t: Tensor) -> Tensor:
        """The value 1 - (1 - t)^p."""
        return 1 - (1 - t) ** self.power

    def rate(self, t: Tensor) -> Tensor | float:
        """The derivative p (1 - t)^{p-1}."""
        return self.power * (1 - t) ** (self.power - 1)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"Polynomial({self.power})"
