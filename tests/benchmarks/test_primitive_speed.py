"""The six primitives on S², T², H² in both models, SPD(3) and SPD(10), at a small and a large batch, float32.

Every peer that answers the same question is timed in turn with ours, forward, and forward with backward. The x is the
time of the fastest over ours: above 1, rmatch is the faster one. A peer whose answer is not ours to 1 % is left out
(geoopt's transport on the sphere is a projection); on a projection nobody agrees, and all are timed.
Choose with -k, for instance `-k "S2 and log and not 100000"`.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

import rmatch as rm

from .peers import PRIMITIVES, SPACES, Primitive, ours, theirs
from .timing import Work, race

SMALL, LARGE = 512, 100_000
LARGE_MATRICES = 5_000  # of size 10: an array of 100k of them is 40 MB, and a round of the peers takes ten seconds
CASES = [
    pytest.param(space, name, batch, backward, id=f"{space}-{name}-{batch}-{'backward' if backward else 'forward'}")
    for space in SPACES
    for name in PRIMITIVES
    for batch in (SMALL, LARGE_MATRICES if space == "SPD10" else LARGE)
    for backward in (False, True)
]


def points(M: rm.Manifold, batch: int, generator: torch.Generator) -> Tensor:
    """Points all over a compact space; elsewhere up to 3 from the origin, and matrices of good condition."""
    if isinstance(M, rm.Sphere | rm.Torus):
        return M.project(3 * torch.randn(batch, *M.point_shape, generator=generator))
    origin = M.origin().expand(batch, *M.point_shape)
    v = M.random_tangent(origin, generator=generator)
    return M.exp(origin, v / (1 if isinstance(M, rm.SPD) and M.n <= 3 else 2))


def arguments(M: rm.Manifold, name: str, batch: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = (points(M, batch, generator) for _ in range(2))
    u, v = (M.random_tangent(x, generator=generator) for _ in range(2))
    if name == "project":
        return [x + (0.1 * torch.randn(x.shape, generator=generator) if not isinstance(M, rm.PoincareBall) else 0)]
    return {"inner": [x, u, v], "exp": [x, v / 2], "log": [x, y], "dist": [x, y], "transport": [x, y, v]}[name]


def work(f: Primitive, args: list[Tensor], backward: bool) -> Work:
    if not backward:
        return lambda: f(*args)
    weights = torch.randn(f(*args).shape, generator=torch.Generator().manual_seed(0))
    return lambda: torch.autograd.grad(f(*args), args, weights, allow_unused=True)


def answers_the_same(f: Primitive, ours_is: Primitive, args: list[Tensor]) -> bool:
    difference, value = f(*args) - ours_is(*args), ours_is(*args)
    return bool(difference.square().mean() < 1e-4 * value.square().mean())


@pytest.mark.parametrize(("space", "name", "batch", "backward"), CASES)
def test_primitive(benchmark: Any, space: str, name: str, batch: int, backward: bool) -> None:
    M = SPACES[space]
    args = [a.detach().requires_grad_(backward) for a in arguments(M, name, batch)]
    mine = ours(space, name)
    peers = {
        who: work(f, args, backward)
        for who, f in theirs(space, name).items()
        if name == "project" or answers_the_same(f, mine, args)
    }
    if not peers:
        pytest.skip(f"no peer has {name} there")
    row = f"{space} {name} {batch} {'forward + backward' if backward else 'forward'}"
    race(benchmark, space, row, work(mine, args, backward), peers)
