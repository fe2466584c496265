"""exp, log and dist on S² and T², forward and forward with backward, at a small and a large batch, float32.

A peer's x is its time over ours on the same work: above 1, rmatch is the faster one.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

import rmatch as rm

from .peers import SPHERE_LIBRARIES, TORUS_LIBRARIES, Primitive, sphere_primitives, torus_primitives
from .timing import Work, measure

SPACES = {"S2": (rm.Sphere(2), sphere_primitives), "T2": (rm.Torus(2), torus_primitives)}
LIBRARIES = [*(("S2", who) for who in SPHERE_LIBRARIES), *(("T2", who) for who in TORUS_LIBRARIES)]


def arguments(M: rm.Manifold, name: str, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = (M.project(3 * torch.randn(batch, *M.point_shape, generator=generator)) for _ in range(2))
    return x, M.random_tangent(x, generator=generator) if name == "exp" else y


def work(f: Primitive, x: Tensor, y: Tensor, backward: bool) -> Work:
    if not backward:
        return lambda: f(x, y)
    return lambda: torch.autograd.grad(f(x, y).sum(), (x, y), allow_unused=True)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("batch", [512, 100_000])
@pytest.mark.parametrize("name", ["exp", "log", "dist"])
@pytest.mark.parametrize(("space", "who"), LIBRARIES)
def test_primitive(benchmark: Any, space: str, who: str, name: str, batch: int, backward: bool) -> None:
    M, primitives = SPACES[space]
    x, y = (a.requires_grad_(backward) for a in arguments(M, name, batch))
    theirs = primitives(who)
    if name not in theirs:
        pytest.skip(f"{who} has no {name} there")
    ours = None if who == "rmatch" else work(primitives("rmatch")[name], x, y, backward)
    task = f"{space} {name} {batch} {'forward + backward' if backward else 'forward'}"
    measure(benchmark, task, who, work(theirs[name], x, y, backward), ours, rounds=200 if batch == 512 else 25)
