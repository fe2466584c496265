"""The training loop: what it promises besides a lower loss."""

import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import rmatch as rm
from rmatch.training import Report


def weights(field: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in field.parameters()])


def quadratic(goal: float = 1.0) -> Any:
    """An objective whose minimum is known: every weight equal to `goal`."""

    def objective(field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return torch.stack([(p - goal).square().sum() for p in field.parameters()]).sum()

    return objective


def test_it_minimises_the_objective(small_fit: Any) -> None:
    field, result = small_fit(quadratic(), steps=400, lr=0.05)
    torch.testing.assert_close(weights(field), torch.ones_like(weights(field)), atol=0.02, rtol=0)
    assert result.steps == 400
    assert result.best_step == 400
    assert result.score is None
    assert not result.interrupted


def test_it_lowers_the_loss_of_flow_matching_on_held_out_points(small_fit: Any, points: torch.Tensor) -> None:
    scores: list[float] = []

    def listen(report: Report) -> None:
        if report.score is not None:
            scores.append(report.score)

    _, result = small_fit(steps=150, validation=points[:20], progress=listen)
    assert scores[-1] < 0.9 * scores[0]
    assert result.score == min(scores)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(small_fit: Any) -> None:
    a, b, c = (small_fit(seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(c))


def test_global_random_state_is_neither_used_nor_changed(small_fit: Any) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a, _ = small_fit()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(weights(a), weights(small_fit()[0]))


def test_scoring_and_reporting_do_not_change_the_training(small_fit: Any) -> None:
    plain, _ = small_fit()

    def draws(field: Any) -> float:
        return float(torch.rand(()))  # a constant preference for the last weights would hide a change

    last: list[torch.Tensor] = []

    def score(field: Any) -> float:
        last.append(weights(field).clone())
        return draws(field)

    small_fit(score=score, score_every=1, progress=lambda report: None)
    assert torch.equal(last[-1], weights(plain))


def test_the_field_ends_with_the_best_average_and_not_with_the_last(small_fit: Any) -> None:
    seen: list[torch.Tensor] = []
    order = iter([5.0, 3.0, math.nan, 1.0, math.inf, 4.0])

    def score(field: Any) -> float:
        assert not torch.is_grad_enabled()
        assert not field.training
        seen.append(weights(field).clone())
        return next(order)

    field, result = small_fit(score=score, score_every=2)
    assert torch.equal(weights(field), seen[3])
    assert (result.score, result.best_step) == (1.0, 8)


def test_a_score_that_is_never_finite_leaves_the_last_average(small_fit: Any) -> None:
    field, result = small_fit(score=lambda field: math.nan)
    assert torch.equal(weights(field), weights(small_fit()[0]))
    assert (result.score, result.best_step) == (None, 12)


def test_the_last_weights_are_always_scored(small_fit: Any) -> None:
    steps: list[int] = []
    small_fit(
        score=lambda field: 0.0,
        score_every=5,
        progress=lambda report: report.score == 0.0 and steps.append(report.step),
    )
    assert steps == [5, 10, 12]


def test_there_are_ten_scores_by_default(small_fit: Any) -> None:
    steps: list[int] = []
    small_fit(
        steps=40, score=lambda field: 0.0, progress=lambda report: report.score == 0.0 and steps.append(report.step)
    )
    assert steps == list(range(4, 41, 4))


def test_the_average_is_the_moving_average_of_the_weights(small_fit: Any) -> None:
    """One step of known weights: decay (1 + 1)/(10 + 1) on the first."""
    field, _ = small_fit(quadratic(), steps=1, ema=0.999, warmup=0.0, lr=0.1)
    start = rm.TangentMLP(rm.Sphere(2), width=8, depth=1, feature_count=4)
    direction = (1.0 - weights(start)).sign()
    rate = 0.1 * 0.5  # the middle of a single step lies half-way down the cosine
    expected = weights(start) + (1 - 2 / 11) * rate * direction  # Adam's first step has the length of the rate
    torch.testing.assert_close(weights(field), expected, atol=1e-5, rtol=0)


def test_gradients_are_clipped_to_the_norm(small_fit: Any) -> None:
    norms: list[float] = []

    def objective(field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        if field.last.bias.grad is not None:
            norms.append(float(torch.cat([p.grad.flatten() for p in field.parameters()]).norm()))
        return 1e3 * quadratic()(field, x1)

    small_fit(objective, clip=0.5)
    assert norms == pytest.approx([0.5] * 11, rel=1e-4)


def test_a_budget_ends_the_training_in_time_and_brings_the_rate_down(small_fit: Any) -> None:
    reports: list[Report] = []
    start = time.perf_counter()
    _, result = small_fit(budget=0.6, progress=reports.append)
    assert 0.5 < time.perf_counter() - start < 3.0
    assert result.steps > 3
    assert reports[-1].progress == 1.0
    assert reports[-1].lr < 1e-3
    assert reports[0].steps is None


def test_the_time_of_scores_counts_in_a_budget(small_fit: Any) -> None:
    def score(field: Any) -> float:
        time.sleep(0.05)
        return 0.0

    start = time.perf_counter()
    small_fit(budget=0.6, score=score)
    assert time.perf_counter() - start < 2.0


def test_scores_that_are_slow_take_a_fifth_of_a_budget(small_fit: Any) -> None:
    taken: list[float] = []

    def score(field: Any) -> float:
        taken.append(time.perf_counter())
        time.sleep(0.15)
        return 0.0

    small_fit(budget=1.5, score=score)
    assert 2 <= len(taken) <= 4  # one at a tenth, one when the fifth allows it, the last


def test_reports_tell_where_it_is(small_fit: Any) -> None:
    reports: list[Report] = []
    small_fit(quadratic(), progress=reports.append)
    first, last = reports[0], reports[-1]
    assert (first.step, last.step, last.steps, last.progress, last.remaining) == (1, 12, 12, 1.0, 0.0)
    assert first.loss > last.loss > 0
    assert first.rate > 0
    assert last.seconds >= first.seconds > 0


def test_float64_points_are_taken_to_the_weights_precision(small_fit: Any, points: torch.Tensor) -> None:
    a, _ = small_fit()
    b, _ = small_fit(x1=points.double())
    assert torch.equal(weights(a), weights(b))
    assert a.last.weight.dtype == torch.float32


def test_a_field_in_float64_is_trained_in_float64(points: torch.Tensor) -> None:
    M = rm.Sphere(2)
    field = rm.TangentMLP(M, width=8, depth=1).double()
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=rm.Uniform(M)), points, steps=2)
    assert field.last.weight.dtype == torch.float64


def test_frozen_weights_stay(points: torch.Tensor) -> None:
    M = rm.Sphere(2)
    field = rm.TangentMLP(M, width=8, depth=1)
    field.first.requires_grad_(False)
    kept = field.first.weight.clone()
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=rm.Uniform(M)), points, steps=3)
    assert torch.equal(field.first.weight, kept)
    assert bool(field.last.weight.any())


def test_one_point_is_enough(small_fit: Any, points: torch.Tensor) -> None:
    _, result = small_fit(x1=points[:1], steps=2)
    assert result.steps == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps": None}, "either steps or budget"),
        ({"steps": 5, "budget": 5.0}, "not both"),
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"budget": -1.0}, "budget must be"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": math.nan}, "lr must be above 0, got nan"),
        ({"seed": -1}, "seed must be 0 or larger"),
        ({"warmup": 1.0}, "warmup must be"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must be"),
        ({"ema": 1.0}, "ema must be in"),
        ({"score_every": 0}, "score_every must be"),
        ({"resume": True}, "resume needs checkpoint"),
        ({"validation": torch.ones(1, 3), "score": float}, "not both"),
    ],
)
def test_a_wrong_option_is_named(small_fit: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(rm.OptionError, match=text):
        small_fit(**options)


@pytest.mark.parametrize("bad", [torch.ones(0, 3), torch.tensor(1.0)])
def test_no_points_are_a_named_error(small_fit: Any, bad: torch.Tensor) -> None:
    with pytest.raises(rm.DataError, match="x1 holds no points"):
        small_fit(x1=bad)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2.0])
def test_points_off_the_manifold_are_a_named_error(small_fit: Any, points: torch.Tensor, value: float) -> None:
    points[7, 1] = value
    with pytest.raises(rm.PointError, match="7"):
        small_fit(x1=points)


def test_a_field_without_weights_is_a_named_error(points: torch.Tensor) -> None:
    with pytest.raises(rm.OptionError, match="no parameters"):
        rm.fit(torch.nn.Identity(), quadratic(), points, steps=1)


def test_an_objective_that_is_no_scalar_is_a_named_error(small_fit: Any) -> None:
    with pytest.raises(rm.OptionError, match="scalar"):
        small_fit(lambda field, x1, generator=None: field(torch.tensor(0.5), x1))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_it_reaches_the_weights(
    small_fit: Any, points: torch.Tensor, tmp_path: Path, value: float
) -> None:
    calls = 0
    fields: list[Any] = []

    def objective(field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        nonlocal calls
        calls += 1
        fields.append(field)
        return quadratic()(field, x1) * (value if calls == 6 else 1.0)

    path = tmp_path / "checkpoint"
    with pytest.raises(rm.TrainingError, match=r"not finite at step 6 .*smaller lr.*the state before this step is in"):
        small_fit(objective, checkpoint=path)
    assert bool(weights(fields[0]).isfinite().all())
    from rmatch.training._storage import read_tensors

    tensors, facts = read_tensors(path, "checkpoint")
    assert facts["step"] == 5
    assert all(bool(tensor.double().isfinite().all()) for tensor in tensors.values())


def test_a_gradient_that_is_not_finite_stops_it_too(small_fit: Any) -> None:
    def objective(field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return field.last.bias.abs().sum().sqrt()  # 0, with an infinite slope

    with pytest.raises(rm.TrainingError, match="gradient of the loss is not finite at step 1"):
        small_fit(objective)
