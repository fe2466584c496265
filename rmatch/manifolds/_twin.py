"""Functions with fast values and gradients, and a slow twin for every other derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from rmatch.manifolds._symmetric import Gradients, Needed, Saved, SpectralFunction, symmetrise


class TwinFunction(SpectralFunction):
    """A function of constants and (x, ...); derivatives that it does not know it takes from its slow twin."""

    constants: int

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        """The same function of (x, ...), differentiable any number of times."""
        raise NotImplementedError

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Those of the twin."""
        return *(None,) * cls.constants, *pullback(cls.twin, *saved[cls.constants : -1])(grad)

    @classmethod
    def tangent(cls, saved: Saved, tangents: Gradients) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """That of the twin."""
        arguments = tuple(a.clone() for a in saved[cls.constants : -1])  # forward mode wants memory of its own
        directions = tuple(
            torch.zeros_like(a) if t is None else t.clone()
            for a, t in zip(arguments, tangents[cls.constants :], strict=True)
        )
        return torch.func.jvp(cls.twin, arguments, directions)[1]


def gradient_twin(function: type[TwinFunction], *arguments: Tensor) -> Tensor:
    """The stacked gradients of a twin with respect to all arguments but the last, which it pulls back."""
    return symmetrise(torch.stack(pullback(function.twin, *arguments[:-1])(arguments[-1]), -3))


def pullback(f: Callable[..., Tensor], *arguments: Tensor) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The vector-Jacobian product of `f`; torch's own annotation leaves open how much is returned."""
    return cast("Callable[[Tensor], tuple[Tensor, ...]]", torch.func.vjp(f, *arguments)[1])
