"""A training sample of the geodesic path, point and velocity, batch 512 in float32: drawn in each step of training."""

from typing import Any

import pytest
import torch

import rmatch as rm

from .peers import peer
from .timing import measure

CASES = {"S2": (rm.Sphere(2), "Sphere", "target: 20x"), "T2": (rm.Torus(2), "FlatTorus", "target: 34x")}


@pytest.mark.parametrize("space", CASES)
def test_geodesic_path_sample(benchmark: Any, space: str) -> None:
    M, name, target = CASES[space]
    generator = torch.Generator().manual_seed(0)
    x0, x1 = (M.project(3 * torch.randn(512, *M.point_shape, generator=generator)) for _ in range(2))
    t = torch.rand(512, generator=generator)
    ours = rm.GeodesicPath(M)
    scheduler = peer("flow_matching.path.scheduler").CondOTScheduler()
    manifold = getattr(peer("flow_matching.utils.manifolds"), name)()
    theirs = peer("flow_matching.path").GeodesicProbPath(scheduler=scheduler, manifold=manifold)
    measure(
        benchmark,
        f"{space} geodesic path sample, batch 512",
        "flow_matching",
        lambda: theirs.sample(x_0=x0, x_1=x1, t=t),
        lambda: ours.sample(t, x0, x1),
        rounds=300,
        target=target,
    )
