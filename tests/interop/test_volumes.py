"""Volumes and uniform laws of the compact manifolds that come from geoopt and geomstats."""

import math

import geoopt
import pytest
import torch

import rmatch as rm
from rmatch.interop import _volumes as volumes

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def geomstats(module: str, name: str, *arguments: object) -> rm.Manifold:
    cls = getattr(rm.interop.import_geomstats(f"geometry.{module}"), name)
    return rm.interop.from_geomstats(cls(*arguments))


COMPACT: list[rm.Manifold] = [
    geomstats("hypersphere", "Hypersphere", 2),
    geomstats("special_orthogonal", "SpecialOrthogonal", 3),
    geomstats("grassmannian", "Grassmannian", 3, 1),
    geomstats("grassmannian", "Grassmannian", 4, 2),
    geomstats("stiefel", "Stiefel", 3, 2),
    rm.interop.from_geoopt(geoopt.Sphere(), (3,)),
    rm.interop.from_geoopt(geoopt.EuclideanStiefel(), (3, 2)),
]


def test_volumes_that_are_known_otherwise() -> None:
    assert math.isclose(volumes.sphere(2), 4 * math.pi)
    assert math.isclose(volumes.rotations(2), 2 * math.pi)
    assert math.isclose(volumes.rotations(3), rm.SpecialOrthogonal(3).volume)
    assert math.isclose(volumes.canonical_stiefel(5, 1), volumes.sphere(4))
    assert math.isclose(volumes.canonical_stiefel(4, 3), volumes.rotations(4))
    assert math.isclose(volumes.euclidean_stiefel(2, 2), 2 * 2 * math.pi * math.sqrt(2))  # two circles in R⁴
    assert math.isclose(volumes.grassmannian(3, 1), 4 * math.pi)  # half a sphere, by √2 as long
    assert math.isclose(volumes.grassmannian(4, 2), 8 * math.pi**2)  # the half of S² × S² with radius 1, 4 dimensions


@pytest.mark.parametrize("M", COMPACT, ids=repr)
def test_the_volume_is_that_of_the_vectors_before_the_cut_locus(M: rm.Manifold) -> None:
    """By importance sampling of the Jacobian of `exp`: it knows nothing of the closed form; five standard errors."""
    u = torch.rand(1600, M.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = rm.Manifold.from_cube(M, u).weights
    assert abs(float(weights.mean()) - M.volume) < 5 * float(weights.std()) / math.sqrt(1600) < 0.3 * M.volume


@pytest.mark.parametrize("M", COMPACT, ids=repr)
def test_the_uniform_law_looks_the_same_from_everywhere(M: rm.Manifold) -> None:
    """The mean of the distance to a point is that of the uniform law: the same for two points, and right by exp."""
    p = rm.default_base(M)
    assert repr(p) == f"Uniform({M!r})"
    x = p.sample((1500,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert M.check_point(x) is None
    assert float(p.log_prob(x[:1])) == -math.log(M.volume)
    flat = x.flatten(1)
    here, there = M.origin(dtype=torch.float64).flatten(), flat[0]
    a, b = ((flat[1:] - y).square().sum(-1) for y in (here, there))
    assert abs(float(a.mean() - b.mean())) < 5 * float((a - b).std()) / math.sqrt(len(a))


def test_a_volume_that_is_given_counts_and_others_are_infinite() -> None:
    sphere = rm.interop.import_geomstats("geometry.hypersphere").Hypersphere(2)
    assert rm.interop.from_geomstats(sphere, volume=1.0).volume == 1.0
    assert rm.interop.from_geoopt(geoopt.PoincareBall(), (2,)).volume == math.inf
    assert rm.interop.from_geoopt(geoopt.Sphere(torch.eye(4, dtype=torch.float64)[:, :3]), (4,)).volume == math.inf


def test_a_wrapped_normal_is_refused_where_its_preimages_are_unknown() -> None:
    M = COMPACT[4]
    with pytest.raises(rm.OptionError, match="sum over all geodesics"):
        rm.WrappedNormal(M, M.origin(), 0.3)
