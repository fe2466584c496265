"""Samples of a flow weighed by a density, against closed forms on the circle."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.training import DensitySource, RunOptions, evaluate_target
from rmatch.training.recipe import Recipe
from rmatch.training.target import divergence_score

CIRCLE = rm.Torus(1)
UNIFORM = rm.Uniform(CIRCLE)


def still() -> rm.FlowPath:
    """An untrained flow: the uniform law."""
    return rm.FlowPath(rm.TangentMLP(CIRCLE, width=4, depth=1), base=UNIFORM)


def one_plus_cosine(x: Tensor) -> Tensor:
    return torch.log1p(x[..., 0].cos())


def test_all_numbers_against_the_closed_forms() -> None:
    """π = (1 + cos x)/2π under the uniform law u: (E w)²/E w² = 2/3, Z = 2π, KL[u ‖ π] = -E log(1 + cos x) = log 2."""
    found = evaluate_target(still(), one_plus_cosine, 20_000)
    for value, error, wanted in (
        (found.ess, found.ess_stderr, 2 / 3),
        (found.log_z, found.log_z_stderr, math.log(2 * math.pi)),
        (found.kl, found.kl_stderr, math.log(2)),
        (found.unnormalised_kl, found.unnormalised_kl_stderr, math.log(2) - math.log(2 * math.pi)),
    ):
        assert abs(value - wanted) <= 4 * error
        assert error < 0.02
    # log(1 + cos x) = -log 2 + 2 Σ (-1)^{k+1} cos(kx)/k has the variance π²/3, and the covariance 1 with 1 + cos x
    assert found.log_z_stderr == pytest.approx(math.sqrt(0.5 / 20_000), rel=0.05)
    assert found.unnormalised_kl_stderr == pytest.approx(math.sqrt(math.pi**2 / 3 / 20_000), rel=0.05)
    assert found.kl_stderr == pytest.approx(math.sqrt((0.5 + math.pi**2 / 3 - 2) / 20_000), rel=0.05)
    assert found.n == 20_000
    assert found.nfe > 0


def test_a_constant_added_to_the_log_density_moves_log_z_alone() -> None:
    a, b = (evaluate_target(still(), lambda x, c=c: one_plus_cosine(x) + c, 100) for c in (0.0, 5.0))
    assert b.log_z - a.log_z == pytest.approx(5, abs=1e-5)
    assert a.unnormalised_kl - b.unnormalised_kl == pytest.approx(5, abs=1e-5)
    assert (b.kl, b.ess) == (pytest.approx(a.kl, abs=1e-5), pytest.approx(a.ess, abs=1e-5))


def test_numbers_do_not_depend_on_the_chunks() -> None:
    whole, parts = (evaluate_target(still(), one_plus_cosine, 100, seed=3, chunk=chunk) for chunk in (100, 7))
    assert parts.log_z == pytest.approx(whole.log_z, abs=1e-6)
    assert parts.ess == pytest.approx(whole.ess, abs=1e-6)


def test_a_bad_target_or_number_is_refused() -> None:
    with pytest.raises(rm.OptionError, match="needs 20 samples or more, got 10"):
        evaluate_target(still(), one_plus_cosine, 10)
    with pytest.raises(rm.InputError, match=r"log_density is nan at \[\d\.\d+\]"):
        evaluate_target(still(), lambda x: x[..., 0].acos(), 100)
    with pytest.raises(rm.ShapeError, match="one number for each point"):
        evaluate_target(still(), lambda x: x, 100)


def test_the_score_of_a_training_is_the_divergence_and_infinite_where_the_flow_cannot_be_followed() -> None:
    score = divergence_score(lambda field: rm.FlowPath(field, UNIFORM), one_plus_cosine, samples=4000)
    field = still().field
    assert isinstance(field, torch.nn.Module)
    assert score(field) == pytest.approx(math.log(2) - math.log(2 * math.pi), abs=4 * math.sqrt(math.pi**2 / 3 / 4000))
    assert score(field) == score(field)
    lost = divergence_score(
        lambda field: rm.FlowPath(field, UNIFORM, rm.DormandPrince(max_steps=1)), one_plus_cosine, samples=20
    )
    with torch.no_grad():
        field.last.weight.fill_(30.0)  # pyright: ignore
    assert lost(field) == math.inf


def test_a_density_is_the_same_to_a_few_digits_or_another_one() -> None:
    source = DensitySource("my.py:f", "/my.py", "f", (1.0, -20.0))
    source.require_same((1.00001, -20.0003))
    for other in ((1.01, -20.0), (1.0,), (1.0, math.nan)):
        with pytest.raises(rm.DataError, match=r"my\.py:f no longer is the density"):
            source.require_same(other)


def test_reverse_kl_has_defaults_of_its_own_and_needs_a_target() -> None:
    assert RunOptions.of({"objective": "reverse-kl"}).steps == 1000
    assert RunOptions.of({"objective": "reverse-kl", "steps": 7}).steps == 7
    assert RunOptions.of({"objective": "reverse-kl", "budget": 5.0}).steps is None
    assert RunOptions.of({}) == RunOptions()
    with pytest.raises(rm.OptionError, match="needs a log-density"):
        Recipe.of("reverse-kl", rm.TangentMLP(CIRCLE, width=4, depth=1), UNIFORM)
