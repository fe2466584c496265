"""exp, log and dist on S² and T², forward and forward with backward, at a small and a large batch, float32."""

import pytest
import torch
from torch import Tensor

import rmatch as rm

from .peers import SPHERE_LIBRARIES, TORUS_LIBRARIES, Primitive, sphere_primitives, torus_primitives

BATCHES = [512, 100_000]
NAMES = ["exp", "log", "dist"]


def arguments(M: rm.Manifold, name: str, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = (M.project(3 * torch.randn(batch, *M.point_shape, generator=generator)) for _ in range(2))
    return x, M.random_tangent(x, generator=generator) if name == "exp" else y


def measure(benchmark: object, f: Primitive, x: Tensor, y: Tensor, backward: bool) -> None:
    if not backward:
        with torch.no_grad():
            benchmark(f, x, y)
        return
    x.requires_grad_(), y.requires_grad_()

    def both() -> None:
        torch.autograd.grad(f(x, y).sum(), (x, y), allow_unused=True)

    benchmark(both)


@pytest.mark.benchmark(max_time=0.3, min_rounds=10)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", SPHERE_LIBRARIES)
def test_sphere(benchmark: object, who: str, name: str, batch: int, backward: bool) -> None:
    f = sphere_primitives(who)[name]
    benchmark.group = f"S2 {name} {batch} {'forward + backward' if backward else 'forward'}"
    benchmark.extra_info["who"] = who
    measure(benchmark, f, *arguments(rm.Sphere(2), name, batch), backward)


@pytest.mark.benchmark(max_time=0.3, min_rounds=10)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", TORUS_LIBRARIES)
def test_torus(benchmark: object, who: str, name: str, batch: int, backward: bool) -> None:
    f = torus_primitives(who)[name]
    benchmark.group = f"T2 {name} {batch} {'forward + backward' if backward else 'forward'}"
    benchmark.extra_info["who"] = who
    measure(benchmark, f, *arguments(rm.Torus(2), name, batch), backward)
