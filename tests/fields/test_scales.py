"""Features and velocities of data of any size: what the network sees and gives has the size 1."""

import json
import math

import pytest
import torch

import rmatch as rm
from rmatch.fields import choose_features

G = torch.Generator()


def around(M: rm.Manifold, scale: float, n: int = 400, seed: int = 0) -> torch.Tensor:
    """Points around the origin at such a scale."""
    return rm.WrappedNormal(M, M.origin(dtype=torch.float64), scale).sample((n,), generator=G.manual_seed(seed))


UNBOUNDED = [rm.Euclidean(2), rm.PoincareBall(2), rm.Lorentz(2), rm.SPD(2), rm.SPD(2, metric="log-euclidean")]


@pytest.mark.parametrize("M", UNBOUNDED, ids=repr)
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_features_are_seen_centred_and_of_size_one(M: rm.Manifold, scale: float) -> None:
    x = around(M, scale)
    choice = choose_features(M, x)
    features = M.features(x)
    seen = (features - torch.tensor(choice.center, dtype=x.dtype)) / torch.tensor(choice.spread, dtype=x.dtype)
    torch.testing.assert_close(seen.mean(0), torch.zeros_like(seen[0]), rtol=0, atol=1e-9)
    assert float(seen.square().sum(-1).mean()) == pytest.approx(1.0)
    assert choice.speed == pytest.approx([float(rm.default_base(M, x).scale)] * M.span_size)  # type: ignore[attr-defined]
    assert choice.speed[0] == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_the_choice_for_a_flat_space_does_not_depend_on_units_or_place(factor: float) -> None:
    x = around(rm.Euclidean(2), 1.0)
    choice, other = choose_features(rm.Euclidean(2), x), choose_features(rm.Euclidean(2), factor * x + factor * 10)
    assert other.frequencies == pytest.approx(choice.frequencies)
    assert other.spread == pytest.approx([factor * s for s in choice.spread])
    assert other.center == pytest.approx([factor * (c + 10) for c in choice.center])


@pytest.mark.parametrize("M", [rm.Sphere(2), rm.Torus(2), rm.SpecialOrthogonal(3)], ids=repr)
def test_a_compact_member_of_size_one_is_seen_as_it_is(M: rm.Manifold) -> None:
    choice = choose_features(M, around(M, 0.3))
    assert (choice.center, choice.spread, choice.speed) == ((), (), ())


def test_a_product_has_a_scale_for_each_factor() -> None:
    M = rm.Product(rm.Sphere(2), rm.Euclidean(1), rm.Torus(1))
    parts = [around(rm.Sphere(2), 0.3), around(rm.Euclidean(1), 50.0) + 200, around(rm.Torus(1), 0.5)]
    choice = choose_features(M, M.join(parts))
    size = float((parts[1] - parts[1].mean()).square().mean().sqrt())
    assert choice.center == pytest.approx([0, 0, 0, float(parts[1].mean()), 0, 0])
    assert choice.spread == pytest.approx([1, 1, 1, size, 1, 1])
    assert choice.speed == pytest.approx([1, 1, 1, float(parts[1].square().mean().sqrt()), 1])


def test_sizes_of_compact_members_set_the_speed() -> None:
    sphere, torus = rm.Sphere(2, radius=3.0), rm.Torus(2, periods=(1.0, 2.0))
    assert choose_features(sphere, around(sphere, 1.0)).speed == (3.0,) * 3
    assert choose_features(torus, around(torus, 0.1)).speed == pytest.approx((1 / (2 * math.pi), 2 / (2 * math.pi)))


def test_the_network_sees_what_was_chosen_and_gives_velocities_of_that_size() -> None:
    """Scaled data with scaled features give scaled velocities, whatever the weights are."""
    plain = rm.Euclidean(2)
    x = around(plain, 1.0)
    fields = [rm.TangentMLP.for_data(plain, factor * x, 8, 1).double() for factor in (1.0, 1000.0)]
    for field in fields:
        torch.nn.init.normal_(field.last.weight, generator=G.manual_seed(1))
    t = torch.tensor(0.3, dtype=torch.float64)
    torch.testing.assert_close(fields[1](t, 1000 * x), 1000 * fields[0](t, x), rtol=1e-5, atol=1e-3)  # float32 scales


def test_scales_are_part_of_the_configuration_and_not_of_the_weights() -> None:
    field = rm.TangentMLP.for_data(rm.Lorentz(2), around(rm.Lorentz(2), 0.5), 8, 1)
    torch.nn.init.normal_(field.last.weight, generator=G.manual_seed(1))
    twin = rm.TangentMLP(rm.Lorentz(2), **json.loads(json.dumps(field.config)))
    assert "center" not in field.state_dict()
    twin.load_state_dict(field.state_dict())
    x = around(rm.Lorentz(2), 0.5, 4, seed=3).float()
    assert torch.equal(twin(torch.tensor(0.1), x), field(torch.tensor(0.1), x))


@pytest.mark.parametrize(("option", "wanted"), [("center", 3), ("spread", 3), ("speed", 3)])
def test_a_wrong_number_of_scales_is_refused(option: str, wanted: int) -> None:
    with pytest.raises(
        rm.OptionError, match=rf"{option} of a network on Sphere\(2\) has {wanted} numbers or none, got 2"
    ):
        rm.TangentMLP(rm.Sphere(2), 8, 1, **{option: [1.0, 2.0]})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("M", [rm.Euclidean(2), rm.Lorentz(2), rm.SPD(2)], ids=repr)
@pytest.mark.parametrize("rows", [1, 5])
def test_a_single_site_has_the_scale_one(M: rm.Manifold, rows: int) -> None:
    choice = choose_features(M, M.origin(dtype=torch.float64).expand(rows, *M.point_shape))
    assert choice.frequencies == (1.0,)
    assert set(choice.speed) | set(choice.spread) <= {1.0}
