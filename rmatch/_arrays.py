"""The operations of a formula, on tensors and on numpy arrays alike.

A call of numpy takes half a microsecond and one of torch three times that, and for a few hundred points the calls are
all that a formula costs. For many points its exponentials and arctangents are the quicker ones too, up to where torch
shares them among threads. So `rmatch.manifolds._backward` hands formulas the memory of tensors as arrays. Operators
mean the same for both; what torch spells in its own way is here. Annotations say `Tensor` for either.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

_SHARED = 1 << 15  # entries, from which on torch shares an operation among its threads; numpy uses one
_SPREAD = 4  # length of an axis, up to which sums are written to all its entries: that costs less than broadcasting

DTYPES = frozenset((torch.float32, torch.float64))
"""What there are arrays of."""

_PLAIN = frozenset((Tensor, torch.nn.Parameter))


class NotOrdinary(Exception):  # noqa: N818 - nothing is wrong
    """Some row of the batch is a case that is written for tensors only: the formula is to start again on them."""


def is_array(a: Tensor) -> bool:
    """Whether a formula was handed arrays."""
    return isinstance(a, np.ndarray)


def require_tensor(a: Tensor) -> None:
    """Leave a formula that was handed arrays."""
    if isinstance(a, np.ndarray):
        raise NotOrdinary


def arrays_of(tensors: tuple[Tensor, ...], *, at_any_size: bool = False) -> list[Tensor] | None:
    """Arrays in the memory of equally many rows of plain numbers, which nothing but autograd watches; else None."""
    first = tensors[0]
    shape, dtype = first.shape, first.dtype
    entries = first.numel()
    if len(shape) != 2 or dtype not in DTYPES or entries == 0:
        return None
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state():  # pyright: ignore[reportPrivateUsage]
        return None
    if entries >= _SHARED and not at_any_size and torch.get_num_threads() > 1:
        return None
    arrays: list[Any] = []
    for a in tensors:
        if type(a) not in _PLAIN or a.shape != shape or a.dtype != dtype or not a.is_cpu:
            return None
        arrays.append(a.numpy(force=True))
    return arrays


def array_of_gradient(grad: Tensor) -> Tensor | None:
    """An array in the memory of the gradient of what was computed on arrays; None where it has none of its own."""
    if type(grad) is not Tensor or torch._C._len_torch_dispatch_stack():  # pyright: ignore[reportPrivateUsage]
        return None
    try:
        return cast("Tensor", grad.numpy())
    except RuntimeError:  # it is sparse, or a batch of `is_grads_batched`, which nothing else tells from a plain tensor
        return None


def to_tensor(array: Any) -> Tensor:
    """A tensor in the memory of the array."""
    return torch.from_numpy(array)


def to_tensors(arrays: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Tensors in the memory of the arrays."""
    return tuple(map(to_tensor, arrays))


quietly = np.errstate(all="ignore")
"""Decorates what works on arrays: like torch it is silent about a division by zero, on whose result formulas count."""


# ---- functions ------------------------------------------------------------------------------------------------------


def _either(of_arrays: Callable[..., Any], of_tensors: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def function(a: Tensor, *others: Tensor) -> Tensor:
        return of_arrays(a, *others) if isinstance(a, np.ndarray) else of_tensors(a, *others)

    return function


sqrt = _either(np.sqrt, torch.sqrt)
exp = _either(np.exp, torch.exp)
expm1 = _either(np.expm1, torch.expm1)
log1p = _either(np.log1p, torch.log1p)
sin = _either(np.sin, torch.sin)
cos = _either(np.cos, torch.cos)
sinh = _either(np.sinh, torch.sinh)
cosh = _either(np.cosh, torch.cosh)
atan = _either(np.arctan, torch.atan)
atan2 = _either(np.arctan2, torch.atan2)
sign = _either(np.sign, torch.sign)


def where(mask: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """`a` where the mask is set and `b` elsewhere; a number takes the dtype of the other."""
    return cast("Tensor", np.where(mask, a, b)) if isinstance(mask, np.ndarray) else torch.where(mask, a, b)


def clip(a: Tensor, low: float, high: float) -> Tensor:
    """The entries, brought to the ends of an interval where they lie outside of it."""
    if isinstance(a, np.ndarray):
        least, most = ends(a)
        if least >= low and most <= high:
            return cast("Tensor", a)
    return a.clip(low, high)


def addcmul(a: Tensor, b: Tensor, c: Tensor, value: float = 1.0) -> Tensor:
    """`a + value b c`."""
    if not isinstance(a, np.ndarray):
        return torch.addcmul(a, b, c, value=value)
    if value == 1:
        return a + b * c
    return a - b * c if value == -1 else a + value * b * c


def polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """The polynomial with these coefficients, that of the highest power first."""
    highest, *others = coefficients
    if isinstance(x, np.ndarray):
        total = highest * x
        for coefficient in others[:-1]:
            total = (total + coefficient) * x
        return total + others[-1]
    total = torch.full_like(x, highest)
    for coefficient in others:
        total = torch.addcmul(torch.full_like(x, coefficient), total, x)
    return total


def dtype_of(a: Any) -> torch.dtype:
    """The dtype, as torch calls it."""
    return a.dtype if isinstance(a, Tensor) else torch.float64 if a.dtype == np.float64 else torch.float32


# ---- functions of arrays alone --------------------------------------------------------------------------------------


def least(a: Any) -> float:
    """The least entry, or NaN where there is one: the index is found five times faster than numpy finds the value."""
    return a.item(a.argmin())


def ends(a: Any) -> tuple[float, float]:
    """The least and the largest entry, or NaN where there is one."""
    return a.item(a.argmin()), a.item(a.argmax())


def dot(u: Any, v: Any) -> Tensor:
    """The inner product over the last axis, kept; along a short one it is in all entries."""
    size = u.shape[-1]
    return (u * v).dot(_ones(size, size if size <= _SPREAD else 1, u.dtype))


def last_sum(a: Any) -> Tensor:
    """The sum over the last axis."""
    return a.dot(_ones(a.shape[-1], 0, a.dtype))


def first_sum(a: Any) -> Tensor:
    """The sum over the first of two axes."""
    return _ones(a.shape[0], 0, a.dtype).dot(a)


@functools.cache
def _ones(rows: int, columns: int, dtype: Any) -> Any:
    """A matrix of ones, or a vector for 0 columns."""
    return np.ones((rows, columns) if columns else rows, dtype)


def rows_of(a: Any) -> Tensor:
    """The array `(batch, k)` as `(k, batch)`, copied."""
    return a.T.copy()


def columns_of(stacks: tuple[Any, ...]) -> Tensor:
    """Arrays `(k, batch)`, one after the other, as one array `(batch, k)`."""
    rows = [row for stack in stacks for row in stack]
    columns: Any = np.empty((len(rows[0]), len(rows)), rows[0].dtype)
    for index, row in enumerate(rows):
        columns[:, index] = row
    return columns


def transposed(rows: Any) -> Tensor:
    """A view `(batch, k)` of rows `(k, batch)`."""
    return rows.T


def under_zeros(rows: Any) -> Tensor:
    """Rows `(k, batch)` below a row of zeros, as a view `(batch, k + 1)`."""
    padded: Any = np.zeros((rows.shape[0] + 1, rows.shape[1]), rows.dtype)
    padded[1:] = rows
    return padded.T


def ball_gap(x: Any) -> Tensor:
    """`1 - |x|²` of rows `(k, batch)`: see `rmatch.manifolds._hyperbolic.ball_gap`."""
    if x.dtype == np.float32:
        wide = x.astype(np.float64)
        gap: Any = 1 - first_sum(wide * wide)
        return gap.astype(np.float32)
    coarse = np.rint(x * 2.0**26) * 2.0**-26
    return (1 - first_sum(coarse * coarse)) - first_sum((x - coarse) * (x + coarse))
