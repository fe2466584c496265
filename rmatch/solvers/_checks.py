"""The numbers that a step is made of, and checks of them that leave `torch.vmap` alone."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from rmatch._errors import SolverError
from rmatch.manifolds import Manifold
from rmatch.solvers.status import Status


class Slope(NamedTuple):
    """The right-hand side: the velocity `(*batch, *point_shape)`, and what else is asked for.

    That is the divergence `(*batch)` and the rate of change of the differential, shaped as the velocity.
    """

    time: float
    velocity: Tensor
    divergence: Tensor | None
    differential: Tensor | None = None


class State(NamedTuple):
    """Points `(*batch, *point_shape)`, and what else is asked for.

    That is the change of their log-density so far, `(*batch)`, and its differential, shaped as the points.
    """

    point: Tensor
    log_density: Tensor | None
    differential: Tensor | None = None


class LeftDomainError(SolverError):
    """A stage of a step left the open set of coordinates that the manifold is."""


def require_inside(manifold: Manifold, point: Tensor, t: float, h: float) -> None:
    """Raise `LeftDomainError` with the row of the first point that no projection can take to the manifold."""
    inside = manifold.contains(point)
    if inside is None:
        return
    try:
        escaped = not bool(inside.all())
    except RuntimeError:  # inside vmap
        return
    if escaped:
        row = ", ".join(map(str, (~inside).nonzero()[0].tolist())) or "0"
        raise LeftDomainError(
            f"a step of {h:.2g} from t={t:.6g} takes row {row} out of {manifold!r}; {Status.LEFT_DOMAIN.value}"
        )


def largest(x: Tensor) -> float:
    """The largest absolute entry, 0 where there is none, NaN where values cannot be read."""
    if not x.numel():
        return 0.0
    try:
        return float(x.detach().abs().amax())
    except RuntimeError:  # inside vmap
        return math.nan


def require_finite(manifold: Manifold, state: State, slopes: list[Slope]) -> None:
    """Raise `SolverError` with the time and the row of the first slope that is not finite, if the state is not."""
    if all(is_finite(value) for value in state if value is not None):
        return
    raise SolverError(not_finite(manifold, slopes))


def is_finite(x: Tensor) -> bool:
    """Whether all entries are finite; True where values cannot be read."""
    try:
        return bool(x.detach().isfinite().all())
    except RuntimeError:  # inside vmap
        return True


def not_finite(manifold: Manifold, slopes: list[Slope]) -> str:
    """What to tell about slopes of which one is not finite."""
    for slope in slopes:
        for name, value, rank in (
            ("field", slope.velocity, len(manifold.point_shape)),
            ("divergence of the field", slope.divergence, 0),
        ):
            if value is not None and not is_finite(value):
                index = (~value.detach().isfinite()).nonzero()[0].tolist()
                row = ", ".join(map(str, index[: len(index) - rank])) or "0"
                return f"the {name} is not finite at t={slope.time:.6g}, row {row}; {Status.NOT_FINITE.value}"
    return f"the points overflow in the step from t={slopes[0].time:.6g}; {Status.NOT_FINITE.value}"
