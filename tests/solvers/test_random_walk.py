"""Geodesic random walks: strong order in flat space, weak order on the sphere, and their bad input."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import rmatch as rm


def brownian(before: float, after: float) -> float:
    return math.sqrt(after - before)


class Recorded(rm.Euclidean):
    """A line whose noise is that of one Brownian path, seen at every step size."""

    def __init__(self, increments: Tensor) -> None:
        super().__init__(1)
        self.increments, self.at = increments, 0

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.at += 1
        return self.increments[:, self.at - 1 : self.at]


def test_strong_order_one_for_additive_noise() -> None:
    """dX = -2X dt + dB over unit time, against a walk 16 times finer on the same Brownian paths."""
    generator = torch.Generator().manual_seed(0)
    finest = 512
    path = torch.randn(500, finest, generator=generator, dtype=torch.float64) / math.sqrt(finest)

    def end(steps: int) -> Tensor:
        summed = path.reshape(500, steps, finest // steps).sum(-1) * math.sqrt(steps)
        walk = rm.GeodesicRandomWalk(steps)
        return walk.solve(Recorded(summed), lambda t, x: -2 * x, brownian, torch.ones(500, 1).double(), 0.0, 1.0)

    errors = [float((end(steps) - end(finest)).square().mean().sqrt()) for steps in (8, 16, 32)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(1.0, abs=0.25)


def test_weak_order_one_on_the_sphere() -> None:
    """Brownian motion with generator ½Δ: the mean height decays as exp(-t), as the eigenvalue is -2."""
    M = rm.Sphere(2)
    north = M.origin(dtype=torch.float64).expand(200_000, 3)

    def bias(steps: int) -> float:
        walk = rm.GeodesicRandomWalk(steps)
        x = walk.solve(M, None, brownian, north, 0.0, 1.5, generator=torch.Generator().manual_seed(steps))
        return float(x[:, 2].mean()) - math.exp(-1.5)

    coarse, fine = bias(1), bias(4)
    assert abs(coarse) > 0.05  # a single step of this length is visibly wrong
    assert abs(fine) < abs(coarse) / 2.5  # order 1 says a fourth; the standard error is 0.0012
    assert abs(bias(32)) < 0.008


def test_backward_in_time_and_drift_alone() -> None:
    M = rm.Torus(1)
    x = rm.GeodesicRandomWalk(10).solve(
        M, lambda t, x: torch.ones_like(x), lambda a, b: 0.0, torch.tensor([1.0]), 1.0, 0.5
    )
    torch.testing.assert_close(x, torch.tensor([0.5]))


def test_bad_walks_are_refused() -> None:
    with pytest.raises(rm.OptionError, match="at least one step"):
        rm.GeodesicRandomWalk(0)
    with pytest.raises(rm.OptionError, match="must be finite"):
        rm.GeodesicRandomWalk(1).solve(rm.Torus(1), None, brownian, torch.zeros(1), 0.0, math.inf)
    with pytest.raises(rm.SolverError, match=r"no longer finite at t=0\.5"):
        rm.GeodesicRandomWalk(2).solve(rm.Euclidean(1), lambda t, x: x * math.nan, brownian, torch.zeros(1), 0.0, 1.0)
