"""Members, points and tangent vectors that the tests of positive definite matrices share."""

import pytest
import torch
from torch import Tensor

from rmatch.manifolds import SPD
from rmatch.manifolds.spd import MetricName

from . import reference_spd as reference

AFFINE: MetricName = "affine-invariant"
LOG_EUCLIDEAN: MetricName = "log-euclidean"
MEMBERS = [SPD(n, metric) for metric in (AFFINE, LOG_EUCLIDEAN) for n in (1, 2, 3, 5)]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
both_metrics = pytest.mark.parametrize("metric", [AFFINE, LOG_EUCLIDEAN])


def points(M: SPD, batch: tuple[int, ...] = (), seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    origin = M.origin(dtype=dtype).expand(*batch, *M.point_shape)
    return M.exp(origin, 0.7 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def tangents(M: SPD, x: Tensor, seed: int = 0) -> Tensor:
    return M.random_tangent(x, generator=torch.Generator().manual_seed(1000 + seed))


def symmetric(a: Tensor) -> Tensor:
    return (a + a.mT) / 2


def close(found: Tensor, wanted: Tensor, size: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted.expand_as(found), rtol=size, atol=size)


def pair(condition: float, seed: int) -> tuple[Tensor, Tensor]:
    """Two matrices of size 3 and of that condition."""
    x = reference.matrix_of_condition(3, condition, seed)
    return x, reference.matrix_of_condition(3, condition, seed + 100) if condition > 1 else points(SPD(3), (), seed)
