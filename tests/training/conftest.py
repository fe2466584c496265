"""A training that is small enough to repeat often."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import rmatch as rm
from rmatch.training import FitResult

Fit = Callable[..., tuple[rm.TangentMLP, FitResult]]


@pytest.fixture
def points() -> torch.Tensor:
    """53 points: a number that no batch size below divides."""
    generator = torch.Generator().manual_seed(3)
    return rm.Sphere(2).project(torch.randn(53, 3, generator=generator) + torch.tensor([0.0, 0.0, 2.0]))


@pytest.fixture
def small_fit(points: torch.Tensor) -> Fit:
    """Train a small field on the points; returns it with the result."""

    def run(objective: Any = None, field_seed: int = 0, **options: Any) -> tuple[rm.TangentMLP, FitResult]:
        manifold = rm.Sphere(2)
        field = rm.TangentMLP(manifold, width=8, depth=1, feature_count=4, seed=field_seed)
        objective = objective or rm.FlowMatching(rm.GeodesicPath(manifold), base=rm.Uniform(manifold))
        settings: dict[str, Any] = {"batch_size": 20, "lr": 1e-2}
        if "budget" not in options:
            settings["steps"] = 12
        result = rm.fit(field, objective, options.pop("x1", points), **(settings | options))
        return field, result

    return run
