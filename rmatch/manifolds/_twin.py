"""Functions with fast values and gradients, and a slow twin for every other derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rmatch.manifolds._symmetric import Gradients, Needed, Saved, SpectralFunction, symmetrise


class TwinFunction(SpectralFunction):
    """A function of constants and (x, ...); derivatives that it does not know it takes from its slow twin."""

    constants: int

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        """The same function of (x, ...), differentiable any number of times."""
        raise NotImplementedError

    @classmethod
    def evaluate(cls, *arguments: Tensor) -> Tensor:
        """The value inside of a derivative; bare, in half the time, where no derivative of it can be asked for."""
        if torch.is_grad_enabled() or forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
            return cls.apply(*arguments)  # type: ignore[no-any-return]
        return cls.forward(*arguments)

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Those of the twin."""
        return *(None,) * cls.constants, *pullback(cls.twin, *saved[cls.constants : -1])(grad)

    @classmethod
    def tangent(cls, saved: Saved, tangents: Gradients) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """That of the twin, as the transpose of its pullback, which is linear: torch nests no two forward modes."""
        arguments = saved[cls.constants : -1]
        directions = tuple(
            torch.zeros_like(a) if t is None else t for a, t in zip(arguments, tangents[cls.constants :], strict=True)
        )
        transposed = pullback(lambda w: pullback(cls.twin, *arguments)(w), torch.zeros_like(saved[-1]))
        return transposed(directions)[0]


def gradient_twin(function: type[TwinFunction], *arguments: Tensor) -> Tensor:
    """The stacked gradients of a twin with respect to all arguments but the last, which it pulls back."""
    return symmetrise(torch.stack(pullback(function.twin, *arguments[:-1])(arguments[-1]), -3))


def pullback(f: Callable[..., Any], *arguments: Tensor) -> Callable[[Any], tuple[Tensor, ...]]:
    """The vector-Jacobian product of `f`; torch's own annotation leaves open how much is returned."""
    return cast("Callable[[Any], tuple[Tensor, ...]]", torch.func.vjp(f, *arguments)[1])
