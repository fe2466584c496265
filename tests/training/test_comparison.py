"""What a comparison says about one training."""

import pytest
import torch
from torch import nn

import rmatch as rm
from rmatch.training import Contender, RunOptions, contend, pair
from rmatch.training.comparison import share_astray

M = rm.Torus(2)


def gapped(count: int, seed: int = 0) -> torch.Tensor:
    """Two bands in the first angle, (1, 2) and (4, 5)."""
    x = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    band = (torch.arange(count) % 2).double()
    return torch.stack([1 + x[:, 0] + 3 * band, 6.28 * x[:, 1]], -1)


def test_samples_of_the_data_go_astray_as_often_as_one_per_cent() -> None:
    share = share_astray(M, gapped(20_000, 1), gapped(1000, 2), gapped(1000, 3))
    assert 0.004 < share < 0.025  # the quantile over 1000 rows has a standard error of a third


def test_samples_in_the_gap_are_astray() -> None:
    x = gapped(1000, 1)
    x[:300, 0] = 3.0
    assert share_astray(M, x, gapped(1000, 2), gapped(1000, 3)) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("objective", ["flow", "score", "kl"])
def test_each_objective_beats_the_uniform_law_and_tells_its_cost(objective: str) -> None:
    x = rm.WrappedNormal(M, torch.tensor([1.0, 2.0]), 0.5).sample((200,), generator=torch.Generator().manual_seed(0))
    options = RunOptions(
        steps=20 if objective == "kl" else 150, width=16, depth=2, batch_size=64, objective=objective, lr=1e-2
    )
    network = rm.TangentMLP(M, width=16, depth=2, seed=0)
    one = contend(network, rm.Uniform(M), x, rm.datasets.split(200, 0), options)
    assert one.evaluation is not None
    assert one.evaluation.n == 20
    assert one.evaluation.nll < 3.3  # uniform: 3.676
    assert one.steps == options.steps
    assert 0 < one.step_seconds * one.steps < 2 * one.seconds
    assert len(one.curve) >= 10
    assert one.curve[-1][1] < one.curve[0][1]
    assert one.samples is not None
    assert one.samples.shape == (1000, 2)


class Broken(nn.Module):
    """A field that no solver follows."""

    manifold = M

    def forward(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x * torch.nan


def contender(field: object) -> Contender:
    flow = rm.FlowPath(field, rm.Uniform(M))  # pyright: ignore[reportArgumentType]
    return Contender("flow", flow, 1, 1.0, 1.0, (), None, None, None)


def test_the_pairing_of_two_rotations_is_the_square_of_the_difference_of_their_speeds() -> None:
    p, q = (contender(lambda t, x, speed=speed: torch.full_like(x, speed)) for speed in (0.5, 0.2))
    numbers = pair(p, q)
    assert numbers is not None
    assert numbers.flow_matching == pytest.approx(2 * 0.3**2)
    assert numbers.kl == pytest.approx(0.0, abs=1e-12)


def test_a_flow_that_cannot_be_integrated_has_no_pairing() -> None:
    assert pair(contender(lambda t, x: x * 0), contender(Broken())) is None
