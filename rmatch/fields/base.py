"""What a vector field is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class VectorField(Protocol):
    """Anything that can be called as `field(t, x)` and returns tangent vectors at the points `x`.

    `t` is a scalar tensor or one time for each point, `(*batch)`; `x` and the result are `(*batch, *point_shape)`. A
    plain function will do; a network is an `nn.Module`.
    """

    def __call__(self, t: Tensor, x: Tensor, /) -> Tensor:
        """The tangent vectors at the points `x` and the times `t`."""
        ...
