"""Laws on spheres of any radius and tori of any periods: those of unit size in another unit of length."""

import math

import pytest
import torch
from torch import Tensor

from rmatch.distributions import Distribution, KernelDensity, Uniform, VonMisesFisher, WrappedNormal
from rmatch.manifolds import Manifold, Sphere, Torus

F64 = torch.float64
LARGE: list[tuple[Manifold, Manifold, tuple[float, ...]]] = [
    (Sphere(2), Sphere(2, radius=3.0), (3.0,) * 3),
    (Sphere(1), Sphere(1, radius=0.2), (0.2,) * 2),
    (Torus(2), Torus(2, periods=24.0), (12 / math.pi,) * 2),
    (Torus(2), Torus(2, periods=(1.0, 30.0)), (0.5 / math.pi, 15 / math.pi)),
]
every_size = pytest.mark.parametrize(("one", "M", "radii"), LARGE, ids=[repr(M) for _, M, _ in LARGE])


def some_points(M: Manifold, count: int, seed: int = 0) -> Tensor:
    return Uniform(M).sample((count,), generator=torch.Generator().manual_seed(seed), dtype=F64)


def laws(M: Manifold) -> list[Distribution]:
    """Narrow and wide laws of every kind, their widths in turns or radians of the manifold."""
    unit = M.radius if isinstance(M, Sphere) else math.prod(M.radii) ** 0.5 if isinstance(M, Torus) else 1.0
    centres = some_points(M, 5)
    return [
        WrappedNormal(M, centres[0], 0.3 * unit),
        WrappedNormal(M, centres[1], 1.0 * unit),
        KernelDensity(M, centres, 0.3 * unit),
        VonMisesFisher(M, centres[2], 20.0),
    ]


@every_size
def test_every_law_has_mass_one(one: Manifold, M: Manifold, radii: tuple[float, ...]) -> None:
    del one, radii
    for law in (Uniform(M), *laws(M)):
        mass = float(M.integrate(lambda x, law=law: law.log_prob(x).exp(), degree=200))
        # the pole at the antipode, of weight e^{-π²/2} for the wide law on S², converges slowly
        assert mass == pytest.approx(1.0, abs=1e-3 if law.manifold == Sphere(2, radius=3.0) else 1e-9), law


@every_size
def test_every_law_scales(one: Manifold, M: Manifold, radii: tuple[float, ...]) -> None:
    """Widths r times as large: log p falls by the logarithm of the volume's growth, and the score by r."""
    scale = torch.tensor(radii, dtype=F64)
    x, centres = some_points(one, 20, 1), some_points(one, 6)
    pairs: list[tuple[Distribution, Distribution]] = [
        (
            WrappedNormal(M, centres[0] * scale, 0.7 * (radii[0] if isinstance(M, Sphere) else scale)),
            WrappedNormal(one, centres[0], 0.7),
        ),
        (VonMisesFisher(M, centres[0] * scale, 3.0), VonMisesFisher(one, centres[0], 3.0)),
    ]
    if len(set(radii)) == 1:
        pairs.append((KernelDensity(M, centres * scale, 0.4 * radii[0]), KernelDensity(one, centres, 0.4)))
    for law, unit_law in pairs:
        lower = unit_law.log_prob(x) - math.log(M.volume / one.volume)
        torch.testing.assert_close(law.log_prob(x * scale), lower, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(law.score(x * scale), unit_law.score(x) / scale, rtol=1e-8, atol=1e-10)


@every_size
def test_samples_lie_on_the_manifold_and_are_as_wide_as_the_law(
    one: Manifold, M: Manifold, radii: tuple[float, ...]
) -> None:
    del one
    unit = math.prod(radii) ** (1 / len(radii))
    centre = some_points(M, 1)
    for law in (WrappedNormal(M, centre[0], 0.02 * unit), KernelDensity(M, centre, 0.02 * unit)):
        x = law.sample((4000,), generator=torch.Generator().manual_seed(0))
        assert M.check_point(x) is None
        width = float((M.dist(centre, x) ** 2).mean() / M.dim) ** 0.5
        assert width == pytest.approx(0.02 * unit, rel=0.05)  # 4000 samples tell a width to 1-2 %
    x = VonMisesFisher(M, centre[0], 2500.0).sample((4000,), generator=torch.Generator().manual_seed(0))
    angles = M.log(centre, x) / torch.tensor(radii, dtype=F64)
    assert float(angles.square().sum(-1).mean() / M.dim) ** 0.5 == pytest.approx(0.02, rel=0.05)
    uniform = some_points(M, 4000)
    assert M.check_point(uniform) is None
    far = float((M.dist(centre, uniform) ** 2).mean())
    exact = (math.pi**2 - 4) / 2 * radii[0] ** 2 if M.dim == 2 and isinstance(M, Sphere) else 0.0
    exact = exact or sum((math.pi * r) ** 2 / 3 for r in radii[: M.dim])
    assert far == pytest.approx(exact, rel=0.05)


@every_size
def test_the_fitted_bandwidth_is_in_the_unit_of_the_manifold(
    one: Manifold, M: Manifold, radii: tuple[float, ...]
) -> None:
    if len(set(radii)) > 1:
        pytest.skip("one width for circles of two sizes has no unit")
    scale = torch.tensor(radii, dtype=F64)
    law = WrappedNormal(one, some_points(one, 1)[0], 0.5)
    x = law.sample((600,), generator=torch.Generator().manual_seed(0))
    wide = KernelDensity.fit(M, x[:300] * scale, x[300:] * scale).bandwidth
    assert wide == pytest.approx(radii[0] * KernelDensity.fit(one, x[:300], x[300:]).bandwidth, rel=0.02)
