"""A time outside [0, 1] is an error that says so, whatever a path is asked for; and fields keep to their manifold."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import rmatch as rm
from rmatch.paths.base import require_time

M = rm.Torus(1)
UNIFORM = rm.Uniform(M)
POINTS = torch.tensor([[0.5], [1.5], [4.0]], dtype=torch.float64)
ENDS = torch.tensor([[2.5], [3.5], [6.0]], dtype=torch.float64)
PATHS: list[rm.ProbabilityPath] = [
    rm.EmpiricalPath(rm.GeodesicPath(M), ENDS, UNIFORM),
    rm.EmpiricalPath(rm.StochasticInterpolant(M, 0.3), ENDS, POINTS),
    rm.EmpiricalPath(rm.DiffusionBridge(M, 0.3), ENDS, POINTS),
    rm.FlowPath(lambda t, x: torch.ones_like(x), UNIFORM),
    rm.HeatPath(M, ENDS, start=0.1, end=0.5),
]
CONDITIONAL: list[rm.ConditionalPath] = [
    rm.GeodesicPath(M),
    rm.PremetricPath(rm.BiharmonicDistance(M)),
    rm.StochasticInterpolant(M, 0.3),
    rm.DiffusionBridge(M, 0.3),
]
OUTSIDE = [-0.2, 1.5, 2, math.nan]


def sample(path: rm.ProbabilityPath, t: float) -> Any:
    return path.sample(t, (3,), generator=torch.Generator().manual_seed(0))


ASKED: dict[str, Callable[[rm.ProbabilityPath, Any], Any]] = {
    "sample": sample,
    "velocity": lambda path, t: path.velocity(t, POINTS),
    "velocity-at-many": lambda path, t: path.velocity(torch.tensor([0.5, t, 0.2], dtype=torch.float64), POINTS),
    "log_prob": lambda path, t: path.log_prob(t, POINTS),
    "score": lambda path, t: path.score(t, POINTS),
    "log_prob_and_score": lambda path, t: path.log_prob_and_score(t, POINTS),
    "at": lambda path, t: path.at(t),
}


@pytest.mark.parametrize("t", OUTSIDE)
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path)[:40])
def test_a_path_knows_no_time_outside(path: rm.ProbabilityPath, asked: str, t: float) -> None:
    with pytest.raises(rm.OptionError, match=r"a path has times from 0 to 1, got (t=|times from )"):
        ASKED[asked](path, t)


@pytest.mark.parametrize("t", OUTSIDE)
@pytest.mark.parametrize("path", CONDITIONAL, ids=lambda path: type(path).__name__)
def test_a_conditional_path_knows_no_time_outside(path: rm.ConditionalPath, t: float) -> None:
    times = torch.tensor([0.5, t, 0.2], dtype=torch.float64)
    calls: list[Callable[[], Any]] = [lambda: path.sample(times, POINTS, ENDS)]
    if not isinstance(path, rm.PairPath):  # its law is that between two ends
        calls += [
            lambda: path.velocity(times, POINTS, ENDS),
            lambda: path.log_conditional(times, POINTS, ENDS, UNIFORM),
        ]
    for call in calls:
        with pytest.raises(rm.OptionError, match="a path has times from 0 to 1, got times from"):
            call()


def test_noise_is_put_on_data_at_times_of_the_diffusion_only() -> None:
    with pytest.raises(rm.OptionError, match="times from 0 to 1"):
        rm.Diffusion(M).sample(torch.tensor([0.5, 1.1, 0.2]), POINTS)


def test_the_message_says_which_times() -> None:
    with pytest.raises(rm.OptionError, match=r"got t=1\.5$"):
        require_time(1.5)
    with pytest.raises(rm.OptionError, match=r"got times from -0\.25 to 1$"):
        require_time(torch.tensor([0.5, -0.25, 1.0]))
    for good in (0, 1.0, torch.tensor(0.5), torch.tensor([]), torch.tensor([0.0, 1.0 + 1e-7])):
        require_time(good)
    torch.func.vmap(lambda t: (require_time(t), t)[1])(torch.tensor([0.5, 3.0]))  # cannot be read there


@pytest.mark.parametrize(
    "use",
    [
        lambda field: rm.FlowPath(field, UNIFORM),
        lambda field: rm.ScoreModel(field, rm.Diffusion(M)),
        lambda field: rm.ProbabilityFlow(field, rm.Diffusion(M)),
        lambda field: rm.FlowMatching(rm.GeodesicPath(M), UNIFORM)(field, POINTS),
        lambda field: rm.ScoreMatching(rm.Diffusion(M))(field, POINTS),
        lambda field: rm.MaximumLikelihood(UNIFORM)(field, POINTS),
        lambda field: rm.ReverseKL(lambda x: x[..., 0].cos(), UNIFORM)(field, POINTS),
    ],
)
def test_a_network_on_another_manifold_is_refused(use: Callable[[rm.TangentMLP], Any]) -> None:
    with pytest.raises(rm.OptionError, match=r"the field is on Sphere\(2\), and what it is used for on Torus\(1\)"):
        use(rm.TangentMLP(rm.Sphere(2), width=4, depth=1))
