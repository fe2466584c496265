"""Rotations and tangent vectors that several tests of this folder share."""

import torch
from torch import Tensor

from rmatch.distributions import Uniform
from rmatch.manifolds import SpecialOrthogonal

F64 = torch.float64
M = SpecialOrthogonal(3)


def rotations(count: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    return Uniform(M).sample((count,), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def tangents(x: Tensor, seed: int = 0) -> Tensor:
    return M.random_tangent(x, generator=torch.Generator().manual_seed(1000 + seed))
