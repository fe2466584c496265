"""Types that signatures across the library share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

ScalarFunction: TypeAlias = Callable[[Tensor], Tensor]
"""A batched function on a manifold: points `(*batch, *point_shape)` to numbers `(*batch)`."""

TangentFunction: TypeAlias = Callable[[Tensor], Tensor]
"""A batched vector field at one time: points `(*batch, *point_shape)` to tangent vectors of the same shape."""

TimeField: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""A time-dependent vector field `field(t, x)`; `t` is a scalar or `(*batch)`."""

Shape: TypeAlias = tuple[int, ...]
