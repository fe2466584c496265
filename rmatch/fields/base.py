"""What a vector field is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import Manifold


@runtime_checkable
class VectorField(Protocol):
    """Anything that can be called as `field(t, x)` and returns tangent vectors at the points `x`.

    `t` is a scalar tensor or one time for each point, `(*batch)`; `x` and the result are `(*batch, *point_shape)`. A
    plain function will do; a network is an `nn.Module`.
    """

    def __call__(self, t: Tensor, x: Tensor, /) -> Tensor:
        """The tangent vectors at the points `x` and the times `t`."""
        ...


def require_field_on(field: object, manifold: Manifold) -> None:
    """Raise `OptionError` where a network says that its vectors are tangent to another manifold."""
    own = getattr(field, "manifold", manifold)
    if own is not manifold and own != manifold:
        raise OptionError(
            f"the field is on {own!r}, and what it is used for on {manifold!r}; take one on that manifold"
        )
