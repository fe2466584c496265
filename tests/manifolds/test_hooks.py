"""What solvers and random probes ask of every geometry: laws with constants that are known in closed form."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm

F64 = torch.float64
EPS = torch.finfo(F64).eps


def hyperbolic_plane(x: Tensor) -> Tensor:
    """The metric of curvature -1 in the distance to a geodesic and the position along it."""
    return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), x[..., 0].cosh().square()], -1))


CHART = rm.ChartManifold(2, hyperbolic_plane)
CURVED = [rm.Lorentz(2), rm.Lorentz(3, curvature=-0.25), rm.PoincareBall(2), rm.PoincareBall(3, curvature=-0.25)]
MEMBERS: list[rm.Manifold] = [
    *CURVED,
    rm.SPD(2),
    rm.SPD(3, metric="log-euclidean"),
    rm.SpecialOrthogonal(3),
    rm.Sphere(2, radius=3.0),
    rm.Torus(2, periods=[1.0, 5.0]),
    rm.Euclidean(3),
    CHART,
    rm.Product(rm.Sphere(2), rm.PoincareBall(2), rm.SPD(2)),
]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
with_own_lengths = pytest.mark.parametrize("M", [*CURVED, rm.SPD(2), rm.SpecialOrthogonal(3), CHART], ids=repr)


def points(M: rm.Manifold, n: int, seed: int = 0) -> Tensor:
    origin = M.origin(dtype=F64).expand(n, *M.point_shape)
    return M.exp(origin, 0.5 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


def moving(M: rm.Manifold, x: Tensor) -> Tensor:
    """A smooth field that mixes all coordinates."""
    flat = x.flatten(x.dim() - len(M.point_shape))
    size = flat.shape[-1]
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(3), dtype=F64)
    return M.to_tangent(x, (flat @ matrix).sin().reshape(x.shape))


@every_member
def test_the_hutchinson_estimate_is_unbiased_on_every_geometry(M: rm.Manifold) -> None:
    """The mean over 2000 probes lies within five standard errors of the exact divergence."""
    x = points(M, 2)
    wanted = M.divergence(lambda z: moving(M, z))(x)
    copies = x.expand(2000, *x.shape)
    generator = torch.Generator().manual_seed(0)
    estimates = M.divergence(lambda z: moving(M, z), method="hutchinson", generator=generator)(copies)
    error = estimates.std(0) / math.sqrt(2000)
    assert bool((error > 0).all())
    assert bool(((estimates.mean(0) - wanted).abs() <= 5 * error).all())


@every_member
def test_a_random_tangent_vector_has_the_identity_as_its_covariance(M: rm.Manifold) -> None:
    """On an orthonormal frame; the standard error of an entry is 1/√n, on the diagonal √2 times that."""
    x = points(M, 1).expand(4000, *M.point_shape)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(1))
    rank = len(M.point_shape)
    c = M.inner(x.unsqueeze(-1 - rank), v.unsqueeze(-1 - rank), M.frame(x))
    covariance = c.mT @ c / 4000
    assert float((covariance - torch.eye(M.dim, dtype=F64)).abs().max()) <= 5 * math.sqrt(2 / 4000)
    assert float(c.mean(0).abs().max()) <= 5 / math.sqrt(4000)


@with_own_lengths
def test_an_error_is_as_large_as_its_length_over_that_of_the_tolerance(M: rm.Manifold) -> None:
    """`|v| / (√dim (atol + rtol))`, wherever it is: tolerances are lengths, not sizes of coordinates."""
    x = points(M, 5)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(2))
    size = M.error_size(x, x, v, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(size, M.norm(x, v) / (math.sqrt(M.dim) * 1.1e-2), rtol=1e-9, atol=0)


def test_an_error_in_flat_coordinates_is_relative_to_their_size() -> None:
    x, y, v = (torch.tensor(a, dtype=F64) for a in ([3.0, -4.0], [1.0, 5.0], [0.6, 1.2]))
    ours = rm.Euclidean(2).error_size(x, y, v, rtol=0.1, atol=0.3)
    assert float(ours) == pytest.approx(math.sqrt(((0.6 / 0.6) ** 2 + (1.2 / 0.8) ** 2) / 2), rel=1e-14)
    far, up = torch.tensor([0.0, 3.0], dtype=F64), torch.tensor([0.9, 0.0], dtype=F64)
    assert float(rm.Sphere(1, radius=3.0).error_size(far, far, up, rtol=0.1, atol=0.0)) == pytest.approx(
        3 / math.sqrt(2), rel=1e-14
    )
    turn = rm.Torus(2, periods=[2 * math.pi, 20 * math.pi])  # of radius 1 and 10
    assert float(turn.error_size(x, x, v, rtol=0.1, atol=0.0)) == pytest.approx(math.sqrt((36 + 1.44) / 2), rel=1e-12)
    assert torch.equal(turn.magnitude(x), torch.tensor([1.0, 10.0], dtype=F64))


def test_the_error_on_a_product_is_the_root_mean_square_over_its_dimensions() -> None:
    M = rm.Product(rm.Sphere(2), rm.PoincareBall(3), rm.Euclidean(1))
    x, y = points(M, 4), points(M, 4, 1)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(2))
    parts = zip(M.factors, M.split(x), M.split(y), M.split(v), strict=True)
    squares = [N.dim * N.error_size(a, b, u, rtol=0.1, atol=0.2).square() for N, a, b, u in parts]
    torch.testing.assert_close(M.error_size(x, y, v, rtol=0.1, atol=0.2).square(), sum(squares) / 6)
    assert torch.equal(M.magnitude(x)[:, :6], torch.ones(4, 6, dtype=F64))
    assert torch.equal(M.magnitude(x)[:, 6], x[:, 6].abs())


@pytest.mark.parametrize("r", [0.0, 1.0, 9.0])
def test_no_step_is_told_from_rounding_below_a_hundred_roundings_of_the_hyperboloid(r: float) -> None:
    """`100 eps R cosh(r/R)` at the distance r from the origin; nothing on manifolds without an end."""
    for M in (rm.Lorentz(2, curvature=-0.25), rm.PoincareBall(2, curvature=-0.25)):
        origin = M.origin(dtype=F64)
        x = M.exp(origin, r * M.frame(origin)[0])
        wanted = 100 * EPS * 2 * math.cosh(r / 2)
        assert float(M.resolution(x)) == pytest.approx(wanted, rel=1e-9)
        product = rm.Product(M, rm.Sphere(2), M)
        both = product.join([x, rm.Sphere(2).origin(dtype=F64), x])
        assert float(product.resolution(both)) == pytest.approx(2 * wanted, rel=1e-9)
        size = M.error_size(x, x, M.frame(x)[0], rtol=0.0, atol=wanted)
        assert float(size) == pytest.approx(1 / (2 * wanted * math.sqrt(2)), rel=1e-6)
    assert rm.SPD(2).resolution(rm.SPD(2).origin()) == 0.0


def test_what_projection_leaves_of_an_error_on_the_hyperboloid_is_its_spatial_part() -> None:
    """The point (cosh 1, sinh 1, 0) and an error along its boost: length 1 for the tangent (sinh 1, cosh 1, 0)."""
    c, s = math.cosh(1.0), math.sinh(1.0)
    x, v = torch.tensor([c, s, 0.0], dtype=F64), torch.tensor([123.0, c, 0.0], dtype=F64)
    assert float(rm.Lorentz(2).error_size(x, x, v, rtol=0.0, atol=1.0)) == pytest.approx(1 / math.sqrt(2), rel=1e-12)


def test_geodesics_of_what_has_no_cut_locus_are_all_minimising() -> None:
    for M in (rm.Euclidean(2), rm.Lorentz(2), rm.PoincareBall(2), rm.SPD(2)):
        x = points(M, 6).reshape(2, 3, *M.point_shape)
        assert M.is_minimising(x, 9 * M.random_tangent(x)).tolist() == [[True] * 3] * 2
        assert M.is_minimising(x[0, 0], M.random_tangent(x)).shape == (2, 3)
