"""The default network: tangent by construction, reproducible, rebuilt from its config."""

import json
import math

import pytest
import torch

import rmatch as rm
from rmatch.fields import FeatureChoice, FourierFeatures, Harmonics, TangentMLP, TimeFeatures, choose_features
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

MEMBERS = [Sphere(1), Sphere(2), Sphere(5), Torus(1), Torus(3), Euclidean(2)]


def lively(manifold: Manifold, seed: int = 0) -> TangentMLP:
    """A small network whose last layer is not zero."""
    field = TangentMLP(manifold, width=16, depth=2, seed=seed)
    torch.nn.init.normal_(field.last.weight, generator=torch.Generator().manual_seed(3))
    return field


def points(manifold: Manifold, *batch: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    raw = torch.randn(*batch, *manifold.point_shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    return manifold.project(raw)


@pytest.mark.parametrize("manifold", MEMBERS, ids=repr)
@pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_is_tangent_in_the_dtype_of_the_points(
    manifold: Manifold, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    x = points(manifold, *batch, dtype=dtype)
    v = lively(manifold)(torch.tensor(0.3), x)
    assert v.shape == x.shape
    assert v.dtype == dtype
    assert manifold.check_tangent(x, v) is None
    if x.numel():
        assert v.abs().max() > 0


@pytest.mark.parametrize("manifold", MEMBERS, ids=repr)
def test_a_scalar_time_is_the_same_as_that_time_for_every_point(manifold: Manifold) -> None:
    x, field = points(manifold, 4), lively(manifold)
    torch.testing.assert_close(field(torch.tensor(0.3), x), field(torch.full((4,), 0.3), x))
    assert not torch.equal(field(torch.tensor(0.3), x), field(torch.tensor(0.9), x))


def test_an_untrained_field_is_zero() -> None:
    x = points(Sphere(2), 5)
    assert torch.equal(TangentMLP(Sphere(2), width=8, depth=1)(torch.tensor(0.5), x), torch.zeros_like(x))


def test_the_field_is_periodic_on_the_torus() -> None:
    field, x = lively(Torus(2)), points(Torus(2), 6)
    turned = x + 2 * torch.pi * torch.tensor([1.0, -2.0], dtype=x.dtype)
    torch.testing.assert_close(field(torch.tensor(0.5), turned), field(torch.tensor(0.5), x), rtol=1e-4, atol=1e-4)


def test_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (lively(Sphere(2), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.first.weight, second.first.weight)
    assert not torch.equal(first.first.weight, other.first.weight)


def test_config_is_json_and_rebuilds_the_network() -> None:
    field = lively(Torus(2), seed=7)
    twin = TangentMLP(Torus(2), **json.loads(json.dumps(field.config)))
    twin.load_state_dict(field.state_dict())
    x = points(Torus(2), 4)
    assert torch.equal(twin(torch.tensor(0.1), x), field(torch.tensor(0.1), x))


def test_double_computes_in_float64() -> None:
    field, x = lively(Sphere(2)).double(), points(Sphere(2), 4)
    single = lively(Sphere(2))(torch.tensor(0.2), x)
    gap = (field(torch.tensor(0.2, dtype=torch.float64), x) - single).abs().max()
    assert 0 < gap < 1e-4


def test_no_frequencies_leave_the_plain_features() -> None:
    field = TangentMLP(Sphere(2), width=8, depth=1, frequencies=())
    assert field.space is None
    assert field.first.in_features == 3 + field.time.size


@pytest.mark.parametrize("option", ["width", "depth", "feature_count"])
def test_a_size_below_one_is_refused(option: str) -> None:
    with pytest.raises(rm.OptionError, match=f"{option}=0"):
        TangentMLP(Sphere(2), **{option: 0})  # pyright: ignore[reportArgumentType]


def test_frequencies_reach_further_for_denser_data() -> None:
    circle = Torus(1)
    coarse = torch.arange(0, 6.0, 0.1, dtype=torch.float64).unsqueeze(-1)
    fine = torch.arange(0, 6.0, 0.001, dtype=torch.float64).unsqueeze(-1)
    assert choose_features(circle, coarse).frequencies[-1] == pytest.approx(0.12 / 0.1)
    assert choose_features(circle, fine).frequencies[-1] == pytest.approx(0.12 / 0.001)
    assert choose_features(circle, fine).frequencies[0] == 1.0


def test_repeated_sites_do_not_count_as_neighbours() -> None:
    circle = Torus(1)
    grid = torch.arange(0, 6.0, 0.1, dtype=torch.float64).unsqueeze(-1)
    assert choose_features(circle, grid.repeat(3, 1)) == choose_features(circle, grid)


def test_a_single_site_gives_one_frequency() -> None:
    assert choose_features(Sphere(2), points(Sphere(2), 1).repeat(4, 1)) == FeatureChoice((1.0,))


def test_many_angles_are_seen_by_their_harmonics() -> None:
    """On the diagonal of T³, neighbours 0.05 √3 apart: 2.5 * 0.12 / 0.0866 = 3.5, so three harmonics."""
    diagonal = torch.arange(0, 6.0, 0.05, dtype=torch.float64).unsqueeze(-1).expand(-1, 3)
    assert choose_features(Torus(3), diagonal) == FeatureChoice((), 3)
    field = TangentMLP.for_data(Torus(3), diagonal, width=8, depth=1)
    assert field.space is None
    assert field.angles is not None


def test_harmonics_need_angles() -> None:
    with pytest.raises(rm.OptionError, match=r"torus, not Sphere\(2\)"):
        TangentMLP(Sphere(2), harmonics=2)


def test_harmonics_are_cosines_and_sines_of_multiples() -> None:
    x = torch.tensor([0.3, 1.1], dtype=torch.float64)
    expected = [f(k * a) for f in (math.cos, math.sin) for k in (1, 2) for a in (0.3, 1.1)]
    torch.testing.assert_close(Harmonics(2, count=2)(x), torch.tensor(expected, dtype=torch.float64))


def test_fourier_features_have_the_correlation_of_a_gaussian_kernel() -> None:
    """E cos(ω·(z - z')) = exp(-f²|z - z'|²/2) for ω ~ N(0, f² I): the features' mean product."""
    features = FourierFeatures(3, (2.0,), count=20000, generator=torch.Generator().manual_seed(0))
    z = torch.tensor([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]])
    first, second = features(z)
    expected = torch.exp(-2 * (z[0] - z[1]).square().sum())
    assert float((first @ second) / 20000 - expected) == pytest.approx(0, abs=4 / 20000**0.5)


def test_time_features_are_the_time_and_its_harmonics() -> None:
    t = torch.tensor([0.0, 0.5], dtype=torch.float64)
    expected = torch.tensor([[0, 1, 1, 0, 0], [0.5, 0, -1, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(TimeFeatures(2)(t), expected)
