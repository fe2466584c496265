"""What has no density, a density that is NaN, and what is no path: named errors that say where."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import rmatch as rm

M = rm.Torus(1)
UNIFORM = rm.Uniform(M)
FLOW = rm.FlowPath(lambda t, x: torch.ones_like(x), UNIFORM)
DATA = torch.tensor([[0.5], [1.5]], dtype=torch.float64)
EMPIRICAL = rm.EmpiricalPath(rm.GeodesicPath(M), DATA, UNIFORM)


class Sampler(rm.Distribution):
    """A law that can only be sampled."""

    manifold = M

    def sample(self, shape: tuple[int, ...] = (), **options: Any) -> Tensor:
        return UNIFORM.sample(shape, **options)

    def log_prob(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def __repr__(self) -> str:
        return "Sampler()"


class Half(Sampler):
    """A law whose density is forgotten beyond 3."""

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.where(x[..., 0] > 3, math.nan, -math.log(2 * math.pi))

    def __repr__(self) -> str:
        return "Half()"


class Stream(rm.ProbabilityPath):
    """A path that can only be sampled."""

    manifold = M

    def sample(self, t: float, shape: tuple[int, ...] = (), **options: Any) -> Tensor:
        return UNIFORM.sample(shape, **options)

    def velocity(self, t: Tensor | float, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def log_prob(self, t: float, x: Tensor) -> Tensor:
        raise NotImplementedError

    def __repr__(self) -> str:
        return "Stream()"


def paired(p: Any, q: Any, **options: Any) -> Any:
    return rm.pairing(p, q, times=5, degree=8, samples=20, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired(Stream(), FLOW), r"Stream\(\) at t=0 has no density"),
        (lambda: paired(FLOW, Stream(), method="samples"), r"Stream\(\) at t=0 has no density"),
        (lambda: rm.kl(Sampler(), UNIFORM), r"Sampler\(\) has no density"),
        (lambda: rm.kl(UNIFORM, Sampler(), method="samples"), r"Sampler\(\) has no density"),
        (lambda: rm.entropy(Sampler()), r"Sampler\(\) has no density"),
        (lambda: rm.entropy(Stream().at(0.5)), r"Stream\(\)\.at\(0\.5\) has no density"),
        (
            lambda: paired(EMPIRICAL, FLOW),
            "is the data, which has no density: take t < 1",
        ),
        (lambda: rm.kl(EMPIRICAL.at(1.0), UNIFORM), "has no density: take t < 1"),
        (lambda: rm.entropy(EMPIRICAL.at(1.0)), "has no density: take t < 1"),
    ],
)
def test_a_path_or_law_without_a_density_where_one_is_needed(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(rm.OptionError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired(rm.GeodesicPath(M), FLOW), r"GeodesicPath\(.*\) is not a probability path: .* EmpiricalPath"),
        (
            lambda: paired(FLOW, UNIFORM),
            r"Uniform\(Torus\(1\)\) is not a .* path: a distribution has no field",
        ),
        (lambda: paired(FLOW, None), "None is not a probability path: it has to be a ProbabilityPath"),
        (lambda: rm.check_paths(rm.GeodesicPath(M), FLOW), "is not a probability path"),  # pyright: ignore
        (lambda: rm.kl(FLOW, UNIFORM), r"is a path; take its law at a time: path\.at\(1\.0\)"),  # pyright: ignore
        (lambda: rm.kl(UNIFORM, FLOW), r"is a path; take its law at a time"),  # pyright: ignore
        (lambda: rm.entropy(FLOW), r"is a path; take its law at a time"),  # pyright: ignore
        (lambda: rm.effective_sample_size(FLOW, lambda x: x[..., 0]), "is a path; take its law"),  # pyright: ignore
    ],
)
def test_what_is_no_path_or_no_law_is_told_apart(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(rm.OptionError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: rm.kl(Half(), UNIFORM),
        lambda: rm.kl(UNIFORM, Half()),
        lambda: rm.kl(UNIFORM, Half(), method="samples", generator=torch.Generator().manual_seed(0)),
        lambda: rm.entropy(Half()),
        lambda: paired(FLOW, rm.FlowPath(lambda t, x: torch.zeros_like(x), Half())),
    ],
)
def test_a_density_that_is_nan_is_told_with_its_point(call: Callable[[], Any]) -> None:
    with pytest.raises(rm.InputError, match=r"Half\(\).* is NaN at \d+ of \d+ points, first at \[[3-6]\.\d+\]"):
        call()
