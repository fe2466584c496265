"""Whether a data set survives the precision that a run is trained in."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._errors import DataError
from rmatch.datasets import Dataset
from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold

# How much of its distance to the origin a point may lose: more, and it is another point.
_LOSS = 0.01
_DRAWS = 1000
_NOT_POSITIVE = torch.linalg.LinAlgError  # pyright: ignore[reportPrivateImportUsage]


def require_float32(data: Dataset, base: Distribution) -> None:
    """Raise DataError unless float32 holds the points, and draws of the law that the flow starts from.

    A point close to the rim of the Poincaré ball, or a matrix whose eigenvalues differ by a factor of a million and
    more, becomes another one or none in seven digits. So do draws of a base that is wide because the data are far from
    the origin, such as matrices in a small unit.

    Args:
        data: The data set.
        base: The law that its flow starts from.

    Raises:
        DataError: A row is lost; the text says which, or what to do about the unit.
    """
    manifold = data.manifold
    near = _distances(manifold, data.points.float())
    far = _distances(manifold, data.points)
    lost = ~((near - far).abs() <= _LOSS * (1 + far))
    if bool(lost.any()):
        row = int(lost.nonzero()[0, 0])
        raise DataError(
            f"{data.source}: row {row + 1} lies at distance {float(far[row]):.4g} from the origin of {manifold!r}, "
            f"where float32, in which flows are trained, has too few digits ({int(lost.sum())} such rows); remove them"
        )
    draws = base.sample((_DRAWS,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept = _distances(manifold, draws.float())
    if not bool(((kept - _distances(manifold, draws)).abs() <= _LOSS * (1 + kept)).all()):
        raise DataError(
            f"{data.source}: the points lie about {float(far.median()):.3g} from the origin of {manifold!r}, so that "
            "the law that a flow starts from is too wide for float32; change the unit so that typical points are near "
            "the origin (for matrices, divide by a typical size)"
        )


def _distances(manifold: Manifold, x: Tensor) -> Tensor:
    """Distances from the origin, `(N,)` float64; NaN where `x` is no point."""
    origin = manifold.origin(dtype=x.dtype)
    with torch.no_grad():
        try:
            return manifold.dist(origin, x).double()
        except _NOT_POSITIVE:  # one row makes the whole batch fail: row by row
            return torch.cat([_one_distance(manifold, origin, row) for row in x.split(1)])


def _one_distance(manifold: Manifold, origin: Tensor, x: Tensor) -> Tensor:
    try:
        return manifold.dist(origin, x).double()
    except _NOT_POSITIVE:
        return torch.full((1,), torch.nan, dtype=torch.float64)
