"""Points to draw: two clouds on any manifold."""

import torch
from torch import Tensor

import rmatch as rm


def cloud(manifold: rm.Manifold, count: int = 60, seed: int = 0, scale: float = 0.3) -> Tensor:
    """Points around two places near the origin, float64."""
    generator = torch.Generator().manual_seed(seed)
    origin = manifold.origin(dtype=torch.float64).expand(count, *manifold.point_shape)
    step = manifold.random_tangent(origin[:1], generator=torch.Generator().manual_seed(9))
    side = torch.where(torch.arange(count) % 2 == 0, 1.0, -1.0).reshape(-1, *(1 for _ in manifold.point_shape))
    places = manifold.exp(origin, (0.6 * side * step).expand_as(origin))
    return manifold.exp(places, scale * manifold.random_tangent(places, generator=generator))
