"""The gradient of conditional flow matching is that of the loss against the marginal velocity, in expectation.

`∇_θ E |W(x_t) - u_t(x_t | x_1)|² = ∇_θ E_{p_t} |W - V_t|²` (Lipman et al., 2023, theorem 2), with the marginal V_t and
p_t of finite data from `EmpiricalPath`. Both sides are integrals on the circle at a fixed time.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rmatch as rm

CIRCLE = rm.Torus(1)
DATA = torch.tensor([[0.3], [1.1], [2.9], [5.0]], dtype=torch.float64)
STEPS = 4096  # of a midpoint rule over base points, whose error is of the order of 1/STEPS²


class Waves(nn.Module):
    """A field with three parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([0.7, -0.4, 1.3], dtype=torch.float64))

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.a[0] * x.sin() + self.a[1] * (2 * x).cos() + self.a[2] * t.reshape(-1, 1)


class AllBasePoints(rm.Uniform):
    """The uniform law, "sampled" on a grid: each data point meets every base point once."""

    def sample(self, shape: tuple[int, ...] = (), **options: object) -> Tensor:
        del shape, options
        away = (torch.arange(STEPS, dtype=torch.float64) + 0.5) * (2 * math.pi / STEPS) - math.pi
        return CIRCLE.exp(DATA, away[:, None, None]).reshape(-1, 1)  # row k · len(DATA) + i: so far from data point i


def conditional_gradient(t: float, rao_blackwell: bool, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    objective = rm.FlowMatching(rm.GeodesicPath(CIRCLE), AllBasePoints(CIRCLE), rao_blackwell=rao_blackwell)
    x1 = DATA.repeat(STEPS, 1)
    monkeypatch.setattr(objective, "_times", lambda *given: torch.full((len(x1),), t, dtype=torch.float64))
    field = Waves()
    return torch.autograd.grad(objective(field, x1), field.a)[0]


def marginal_gradient(t: float) -> Tensor:
    """∫ p_t |W - V_t|² dx by Gauss–Legendre rules between the ends of the arcs on which some p_t(x | x_i) lives."""
    path = rm.EmpiricalPath(rm.GeodesicPath(CIRCLE), DATA, rm.Uniform(CIRCLE))
    reach = math.pi * (1 - t)
    ends = CIRCLE.project(torch.cat([DATA - reach, DATA + reach])).reshape(-1).sort().values
    edges = torch.cat([ends.new_zeros(1), ends, ends.new_full((1,), 2 * math.pi)])
    roots, weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(12))
    half = edges.diff() / 2
    x = (edges[:-1] + half)[:, None] + half[:, None] * roots
    w = (half[:, None] * weights).reshape(-1)
    x = x.reshape(-1, 1)
    field = Waves()
    gap = field(torch.full((len(x),), t, dtype=torch.float64), x) - path.velocity(t, x)
    loss = (w * path.log_prob(t, x).exp() * gap.square().sum(-1)).sum()
    return torch.autograd.grad(loss, field.a)[0]


@pytest.mark.parametrize("t", [0.0, 0.3, 0.8])
def test_the_gradient_is_that_of_the_marginal_loss(t: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found = conditional_gradient(t, False, monkeypatch)
    torch.testing.assert_close(found, marginal_gradient(t), rtol=0, atol=1e-6)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.8])
def test_averaged_targets_have_the_same_gradient(t: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """They jump where a data point comes into reach, so the midpoint rule is off by 1/STEPS."""
    found = conditional_gradient(t, True, monkeypatch)
    torch.testing.assert_close(found, marginal_gradient(t), rtol=0, atol=4 / STEPS)
