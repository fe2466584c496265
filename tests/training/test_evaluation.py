"""Scores of flows whose density is known in closed form."""

import math

import pytest
import torch

import rmatch as rm
from rmatch.training import evaluate
from rmatch.training.evaluation import held_out_nll, mean_and_error

T1 = rm.Torus(1)
UNIFORM = rm.Uniform(T1)


def pull(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """dx/dt = sin x moves u = tan(x/2) to u e^t, so q_1(x) = q_0 e^{-1} (1 + u²)/(1 + u² e^{-2}) with u = tan(x/2)."""
    return x.sin()


def exact(x: torch.Tensor) -> torch.Tensor:
    u = (x[:, 0] / 2).tan().square()
    return -math.log(2 * math.pi) - 1 + torch.log1p(u) - torch.log1p(u * math.exp(-2))


@pytest.fixture
def points() -> torch.Tensor:
    return UNIFORM.sample((50,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_nll_is_that_of_the_exact_density(points: torch.Tensor) -> None:
    flow = rm.FlowPath(pull, base=UNIFORM, solver=rm.DormandPrince(1e-10, 1e-10))
    result = evaluate(flow, points)
    values = -exact(points)
    assert result.nll == pytest.approx(float(values.mean()), abs=1e-8)
    assert result.nll_stderr == pytest.approx(float(values.std()) / math.sqrt(50), rel=1e-7)
    assert result.n == 50
    assert result.nfe > 7
    assert 0.0 <= result.constraint_violation < 1e-12


def test_chunks_add_up(points: torch.Tensor) -> None:
    flow = rm.FlowPath(pull, base=UNIFORM, solver=rm.RK4(16))
    whole, parts = evaluate(flow, points), evaluate(flow, points, chunk=7)
    assert parts.nll == pytest.approx(whole.nll, rel=1e-14)
    assert (parts.n, parts.nfe) == (50, whole.nfe) == (50, 64)


def test_one_point_has_no_standard_error(points: torch.Tensor) -> None:
    result = evaluate(rm.FlowPath(pull, base=UNIFORM), points[:1])
    assert math.isnan(result.nll_stderr)
    assert math.isnan(mean_and_error(torch.ones(1))[1])


def test_gradients_are_not_kept(points: torch.Tensor) -> None:
    field = rm.TangentMLP(T1, width=4, depth=1).double()
    evaluate(rm.FlowPath(field, base=UNIFORM, solver=rm.RK4(2)), points)
    assert all(p.grad is None for p in field.parameters())


def test_no_points_and_points_off_the_manifold_are_named_errors() -> None:
    flow = rm.FlowPath(pull, base=UNIFORM)
    with pytest.raises(rm.DataError, match="no points"):
        evaluate(flow, torch.zeros(0, 1))
    sphere = rm.FlowPath(lambda t, x: torch.zeros_like(x), base=rm.Uniform(rm.Sphere(2)))
    with pytest.raises(rm.PointError):
        evaluate(sphere, torch.tensor([[0.0, 0.0, 1.1]]))


def test_the_held_out_score_is_the_nll_of_the_first_points(points: torch.Tensor) -> None:
    field = rm.TangentMLP(T1, width=4, depth=1).double()
    torch.nn.init.normal_(field.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    solver = rm.RK4(4)
    score = held_out_nll(lambda model: rm.FlowPath(model, UNIFORM, solver), points, most=20)
    assert score(field) == evaluate(rm.FlowPath(field, base=UNIFORM, solver=solver), points[:20]).nll


def test_a_flow_that_cannot_be_integrated_has_an_infinite_score(points: torch.Tensor) -> None:
    field = rm.TangentMLP(T1, width=4, depth=1)
    torch.nn.init.normal_(field.last.weight, std=1e4, generator=torch.Generator().manual_seed(0))
    solver = rm.DormandPrince(1e-6, 1e-6, max_steps=3)
    score = held_out_nll(lambda model: rm.FlowPath(model, UNIFORM, solver), points, most=20)
    assert score(field) == math.inf
