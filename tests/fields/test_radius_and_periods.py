"""A network sees a large sphere or torus as the one of unit size, so it learns on all of them alike."""

import math

import pytest
import torch

from rmatch.fields import Harmonics, TangentMLP, choose_features
from rmatch.manifolds import Manifold, Sphere, Torus

F64 = torch.float64
SIZES: list[tuple[Manifold, Manifold, tuple[float, ...]]] = [
    (Sphere(2), Sphere(2, radius=6371.0), (6371.0,) * 3),
    (Torus(3), Torus(3, periods=360.0), (180 / math.pi,) * 3),
    (Torus(2), Torus(2, periods=(1.0, 24.0)), (0.5 / math.pi, 12 / math.pi)),
]
every_size = pytest.mark.parametrize(("one", "M", "radii"), SIZES, ids=[repr(M) for _, M, _ in SIZES])


def some_points(M: Manifold, count: int = 50) -> torch.Tensor:
    return M.project(3 * torch.randn(count, *M.point_shape, dtype=F64, generator=torch.Generator().manual_seed(0)))


def test_harmonics_are_multiples_of_a_turn_of_each_period() -> None:
    """cos and sin of 2πk x / period: the same numbers in radians, hours and fractions."""
    x = some_points(Torus(2))
    radii = torch.tensor([0.5 / math.pi, 12 / math.pi], dtype=F64)
    features, plain = Harmonics(2, count=3, periods=(1.0, 24.0)), Harmonics(2, count=3)
    torch.testing.assert_close(features(x * radii), plain(x), rtol=0, atol=1e-13)
    hours = torch.tensor([[0.25, 6.0]], dtype=F64)  # a quarter of a turn of both
    expected = torch.tensor([[0.0, 0, -1, -1, 0, 0, 1, 1, 0, 0, -1, -1]], dtype=F64)
    torch.testing.assert_close(features(hours), expected, rtol=0, atol=1e-15)


@every_size
def test_a_network_gives_the_same_field_in_the_other_unit(one: Manifold, M: Manifold, radii: tuple[float, ...]) -> None:
    scale, x = torch.tensor(radii, dtype=F64), some_points(one)
    harmonics = 2 if isinstance(M, Torus) else 0
    small, large = (TangentMLP(m, width=16, depth=1, harmonics=harmonics).double() for m in (one, M))
    torch.nn.init.normal_(small.last.weight, generator=torch.Generator().manual_seed(0))
    large.load_state_dict(small.state_dict())
    time = torch.tensor(0.3, dtype=F64)
    torch.testing.assert_close(large(time, x * scale), small(time, x) * scale, rtol=1e-9, atol=1e-9 * max(radii))
    assert M.check_tangent(x * scale, large(time, x * scale)) is None


@every_size
def test_the_choice_of_features_does_not_depend_on_the_size(
    one: Manifold, M: Manifold, radii: tuple[float, ...]
) -> None:
    around = one.origin(dtype=F64) + 0.05 * torch.randn(
        400, *one.point_shape, dtype=F64, generator=torch.Generator().manual_seed(0)
    )
    x = one.project(around)  # near neighbours: the finest frequency is above 1
    choice, plain = choose_features(M, x * torch.tensor(radii, dtype=F64)), choose_features(one, x)
    assert choice.frequencies == pytest.approx(plain.frequencies, rel=1e-9)
    assert choice.harmonics == plain.harmonics
    assert max([*plain.frequencies, plain.harmonics]) > 2
