"""The law that a flow starts from: uniform where it can be, else as wide as the data."""

import math

import pytest
import torch

import rmatch as rm


@pytest.mark.parametrize("M", [rm.Sphere(1), rm.Sphere(2), rm.Torus(3)], ids=repr)
def test_a_compact_member_starts_from_the_uniform_law(M: rm.Manifold) -> None:
    assert isinstance(rm.default_base(M), rm.Uniform)
    assert isinstance(rm.default_base(M, M.origin().unsqueeze(0)), rm.Uniform)


def test_the_scale_is_the_standard_deviation_of_normal_data() -> None:
    """The mean of the squares of 60,000 normal numbers has a relative standard error of sqrt(2 / 60,000) = 0.6 %."""
    M = rm.Euclidean(3)
    x = 2.5 * torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    base = rm.default_base(M, x)
    assert isinstance(base, rm.WrappedNormal)
    assert float(base.scale) == pytest.approx(2.5, rel=0.02)
    assert torch.equal(base.mean, M.origin())


@pytest.mark.parametrize("points", [None, torch.zeros(0, 2), torch.zeros(4, 2)], ids=["none", "no rows", "origin"])
def test_without_a_width_in_the_data_the_scale_is_one(points: torch.Tensor | None) -> None:
    base = rm.default_base(rm.Euclidean(2), points)
    assert isinstance(base, rm.WrappedNormal)
    assert float(base.scale) == 1.0


def test_a_single_point_sets_the_scale() -> None:
    base = rm.default_base(rm.Euclidean(2), torch.tensor([[3.0, 4.0]]))
    assert isinstance(base, rm.WrappedNormal)
    assert float(base.scale) == pytest.approx(5 / math.sqrt(2))
