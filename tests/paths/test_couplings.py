"""Couplings keep the marginals; optimal transport pairs at least cost."""

import itertools

import pytest
import torch

import rmatch as rm
from rmatch.distributions import Uniform
from rmatch.manifolds import Manifold, Sphere, Torus
from rmatch.paths import Independent, OptimalTransport


def batches(manifold: Manifold, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = Uniform(manifold).sample((2, n), generator=generator, dtype=torch.float64)
    return x[0], x[1]


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_optimal_transport_has_the_least_cost_of_all_permutations(manifold: Manifold) -> None:
    x0, x1 = batches(manifold, 6)
    kept, paired = OptimalTransport(manifold).couple(x0, x1)
    assert torch.equal(kept, x0)
    cost = manifold.dist(x0, paired).square().sum()
    every = [manifold.dist(x0, x1[list(order)]).square().sum() for order in itertools.permutations(range(6))]
    assert float(cost) == pytest.approx(float(min(every)), rel=1e-12)


def test_optimal_transport_permutes_the_data() -> None:
    x0, x1 = batches(Torus(1), 50)
    _, paired = OptimalTransport(Torus(1)).couple(x0, x1)
    assert torch.equal(paired.sort(0).values, x1.sort(0).values)


def test_independent_leaves_the_batches_alone() -> None:
    x0, x1 = batches(Torus(1), 5)
    assert Independent().couple(x0, x1) == (x0, x1)


def test_batches_of_different_size_are_refused() -> None:
    x0, x1 = batches(Sphere(2), 5)
    with pytest.raises(rm.ShapeError, match=r"\(5, 3\) and \(4, 3\)"):
        OptimalTransport(Sphere(2)).couple(x0, x1[:4])
