"""Formulas whose backward pass is written by hand, for plain reverse-mode differentiation.

Autograd would walk back through each of some thirty small operations. Here the gradient is a closed form, shorter than
the formula itself. It is used where nothing more is asked for than one gradient: a second derivative, a transform of
`torch.func` or a compiler gets the plain formula, whose derivatives exist to every order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


class Primitive(ABC):
    """A formula of tensors together with its gradient."""

    @abstractmethod
    def formula(self, *inputs: Tensor, safe: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The value, and what `gradients` needs.

        Args:
            inputs: The tensors.
            safe: Whether derivatives will be taken of these very operations, so that none may be infinite.
        """

    @abstractmethod
    def gradients(self, kept: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients with respect to the inputs, before broadcasting is undone."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The value, recorded as one operation where that is enough."""
        if _is_transformed():
            return self.formula(*inputs, safe=True)[0]
        if torch.is_grad_enabled() and any(a.requires_grad for a in inputs):
            return _ByHand.apply(self, *inputs)  # type: ignore[no-any-return]
        return self.formula(*inputs, safe=False)[0]


def _is_transformed() -> bool:
    """Whether something other than plain reverse mode follows the operations: a transform or a compiler."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()  # pyright: ignore[reportPrivateUsage]
        or forward_ad._current_level >= 0  # pyright: ignore[reportPrivateUsage]
    )


class _ByHand(torch.autograd.Function):
    """One node of autograd's graph for a whole formula."""

    @staticmethod
    def forward(ctx: Any, primitive: Primitive, *inputs: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        value, kept = primitive.formula(*inputs, safe=False)
        ctx.primitive = primitive
        ctx.count = len(inputs)
        ctx.save_for_backward(*inputs, *kept)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        inputs, kept = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        wanted = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # this gradient will be differentiated in its turn
            inputs = tuple(a.view_as(a) for a in inputs)  # one tensor may be two of them, with a gradient for each
            value = ctx.primitive.formula(*inputs, safe=True)[0]
            leaves = [a for a, needed in zip(inputs, wanted, strict=True) if needed]
            found = iter(torch.autograd.grad(value, leaves, grads[0], create_graph=True, materialize_grads=True))
            return None, *(next(found) if needed else None for needed in wanted)
        gradients = ctx.primitive.gradients(kept, grads[0])
        return None, *(
            (g if g.shape == a.shape else g.sum_to_size(a.shape)) if needed else None
            for g, a, needed in zip(gradients, inputs, wanted, strict=True)
        )
