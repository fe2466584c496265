"""Formulas whose backward pass is written by hand, for plain reverse-mode differentiation.

Autograd would walk back through each of some thirty small operations. Here the gradient is a closed form, shorter than
the formula itself. It is used where nothing more is asked for than one gradient: a second derivative, a transform of
`torch.func` or a compiler gets the plain formula, whose derivatives exist to every order.

Where it is faster the formulas work on numpy arrays: see `rmatch._arrays`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

import rmatch._arrays as xp


class Primitive(ABC):
    """A formula of tensors or arrays together with its gradient."""

    @abstractmethod
    def formula(self, *inputs: Tensor, safe: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The value, and what `gradients` needs.

        Args:
            inputs: The tensors, or arrays.
            safe: Whether derivatives will be taken of these very operations, so that none may be infinite.
        """

    @abstractmethod
    def gradients(self, kept: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients with respect to the inputs, before broadcasting is undone."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The value, recorded as one operation where that is enough."""
        if is_transformed():
            return self.formula(*inputs, safe=True)[0]
        if torch.is_grad_enabled():
            for a in inputs:  # quicker than any()
                if a.requires_grad:
                    return _ByHand.apply(self, *inputs)  # type: ignore[no-any-return]
        return self.evaluate(inputs)[0]

    def evaluate(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The value, and what `gradients` needs: tensors or arrays."""
        if (arrays := xp.arrays_of(inputs)) is not None:
            try:
                return self._evaluate_arrays(arrays)
            except xp.NotOrdinary:
                pass
        return self.formula(*inputs, safe=False)

    @xp.quietly
    def _evaluate_arrays(self, arrays: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        value, kept = self.formula(*arrays, safe=False)
        return xp.to_tensor(value), kept

    def pull_back(self, kept: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients, by tensors or arrays, whichever were kept."""
        if not xp.is_array(kept[0]):
            return self.gradients(kept, grad)
        if not is_transformed() and (array := xp.array_of_gradient(grad)) is not None:
            try:
                return self._pull_back_arrays(kept, array)
            except xp.NotOrdinary:
                pass
        return self.gradients(xp.to_tensors(kept), grad)

    @xp.quietly
    def _pull_back_arrays(self, kept: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        return xp.to_tensors(self.gradients(kept, grad))


def is_differentiated(*inputs: Tensor) -> bool:
    """Whether a derivative of what is computed from `inputs` may be asked for."""
    return is_transformed() or (torch.is_grad_enabled() and any(a.requires_grad for a in inputs))


def is_transformed() -> bool:
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
        value, kept = primitive.evaluate(inputs)
        ctx.primitive = primitive
        ctx.count = len(inputs)
        ctx.arrays = kept if xp.is_array(kept[0]) else None
        ctx.save_for_backward(*inputs, *(kept if ctx.arrays is None else ()))
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = ctx.saved_tensors  # also where arrays were kept: an input that was changed meanwhile is an error
        inputs, kept = saved[: ctx.count], ctx.arrays or saved[ctx.count :]
        wanted = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # this gradient will be differentiated in its turn
            inputs = tuple(a.view_as(a) for a in inputs)  # one tensor may be two of them, with a gradient for each
            value = ctx.primitive.formula(*inputs, safe=True)[0]
            leaves = [a for a, needed in zip(inputs, wanted, strict=True) if needed]
            found = iter(torch.autograd.grad(value, leaves, grads[0], create_graph=True, materialize_grads=True))
            return None, *(next(found) if needed else None for needed in wanted)
        gradients = ctx.primitive.pull_back(kept, grads[0])
        return None, *(
            (g if g.shape == a.shape else g.sum_to_size(a.shape)) if needed else None
            for g, a, needed in zip(gradients, inputs, wanted, strict=True)
        )
