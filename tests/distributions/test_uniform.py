"""The uniform law: a constant density, and samples spread evenly."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import Uniform
from rmatch.manifolds import EmbeddedManifold, Euclidean, Manifold, Sphere, Torus


@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Sphere(3), Torus(1), Torus(2)], ids=repr)
def test_the_density_has_mass_one(M: Manifold) -> None:
    assert float(M.integrate(lambda x: Uniform(M).log_prob(x).exp(), degree=8)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)], ids=str)
def test_the_density_is_one_over_the_volume_for_every_row(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    log_prob = Uniform(Sphere(2)).log_prob(torch.zeros(*batch, 3, dtype=dtype))
    torch.testing.assert_close(log_prob, torch.full(batch, -math.log(4 * math.pi), dtype=dtype))
    assert Uniform(Torus(2)).log_prob(torch.zeros(2)).item() == pytest.approx(-2 * math.log(2 * math.pi))


@pytest.mark.parametrize("n", [1, 2, 3, 15])
def test_a_coordinate_of_a_sphere_sample_has_the_beta_law(n: int) -> None:
    """The density of <a, x> is proportional to (1 - s²)^{n/2 - 1} for every unit vector a."""
    x = Uniform(Sphere(n)).sample((4000,), generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    a = Sphere(n).project(torch.arange(1.0, n + 2, dtype=torch.float64))
    assert stats.kstest(((1 + x @ a) / 2).numpy(), stats.beta(n / 2, n / 2).cdf).pvalue > 1e-3


def test_angles_are_spread_evenly() -> None:
    x = Uniform(Torus(2)).sample((4000,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for angle in x.T:
        assert stats.kstest(angle.numpy(), stats.uniform(0, 2 * math.pi).cdf).pvalue > 1e-3


def test_an_angle_that_rounds_up_to_a_full_turn_becomes_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uniform number that low precision rounds to 1 would give 2π, which is no angle of the torus."""

    def rand(size: tuple[int, ...], **options: object) -> Tensor:
        return torch.ones(size, dtype=torch.float32)

    monkeypatch.setattr(torch, "rand", rand)
    assert Uniform(Torus(2)).sample((3,), dtype=torch.float32).tolist() == [[0.0, 0.0]] * 3


def test_a_zero_vector_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no direction; projected it would land at the origin (0, 1)."""
    draws = iter([torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[2.0, 0.0], [5.0, 5.0]])])
    monkeypatch.setattr(torch, "randn", lambda size, **options: next(draws))
    assert Uniform(Sphere(1)).sample((2,)).tolist() == [[1.0, 0.0], pytest.approx([0.6, 0.8])]


def test_infinite_volume_is_refused_with_the_remedy() -> None:
    with pytest.raises(rm.OptionError, match=r"Euclidean\(3\) has infinite volume .* use WrappedNormal"):
        Uniform(Euclidean(3))


def test_a_manifold_without_a_sampler_is_refused() -> None:

    class Blob(EmbeddedManifold):
        volume = 3.0
        __repr__ = object.__repr__
        exp = log = origin = project = to_tangent = transport = None  # type: ignore[assignment]

    with pytest.raises(rm.OptionError, match="no uniform sampler is known"):
        Uniform(Blob())
