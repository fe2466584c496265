"""A training sample of the geodesic path, point and velocity, batch 512 in float32: what each step of training draws."""

import pytest
import torch

import rmatch as rm

from .peers import peer

CASES = {
    "S2": (rm.Sphere(2), "Sphere", "target: 20x"),
    "T2": (rm.Torus(2), "FlatTorus", "target: 34x"),
}


@pytest.mark.benchmark(max_time=1.0, min_rounds=50)
@pytest.mark.parametrize("who", ["rmatch", "flow_matching"])
@pytest.mark.parametrize("space", CASES)
def test_geodesic_path_sample(benchmark: object, space: str, who: str) -> None:
    M, name, target = CASES[space]
    generator = torch.Generator().manual_seed(0)
    x0, x1 = (M.project(3 * torch.randn(512, *M.point_shape, generator=generator)) for _ in range(2))
    t = torch.rand(512, generator=generator)
    benchmark.group = f"{space} geodesic path sample, batch 512"
    benchmark.extra_info.update(who=who, target=target)
    if who == "rmatch":
        path = rm.GeodesicPath(M)
        benchmark(path.sample, t, x0, x1)
        return
    scheduler = peer("flow_matching.path.scheduler").CondOTScheduler()
    manifold = getattr(peer("flow_matching.utils.manifolds"), name)()
    path = peer("flow_matching.path").GeodesicProbPath(scheduler=scheduler, manifold=manifold)
    benchmark(lambda: path.sample(x_0=x0, x_1=x1, t=t))
