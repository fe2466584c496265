"""Kernels of every member: mass one, closed forms, samples that follow the density, widths that fit the data."""

import math
import time

import mpmath as mp
import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.distributions._bingham import log_rotation_normaliser

F64 = torch.float64
BALL, HYPERBOLOID = rm.PoincareBall(2), rm.Lorentz(2, curvature=-0.25)
SPD, ROTATIONS = rm.SPD(2), rm.SpecialOrthogonal(3)
PRODUCT = rm.Product(rm.Sphere(2), rm.Torus(1))
MIXED = rm.Product(rm.Lorentz(2), rm.Torus(1))
MEMBERS: list[rm.Manifold] = [
    BALL,
    HYPERBOLOID,
    SPD,
    rm.SPD(2, metric="log-euclidean"),
    ROTATIONS,
    PRODUCT,
    MIXED,
    rm.Sphere(2, radius=2.0),
    rm.Torus(1, periods=3.0),
]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)


def spread(M: rm.Manifold, n: int, seed: int = 0, scale: float = 0.7) -> Tensor:
    """Points around the origin."""
    generator = torch.Generator().manual_seed(seed)
    origin = M.origin(dtype=F64).expand(n, *M.point_shape)
    return M.project(M.exp(origin, scale * M.random_tangent(origin, generator=generator)))


@every_member
def test_the_density_has_mass_one(M: rm.Manifold) -> None:
    p = rm.KernelDensity(M, spread(M, 4), 0.6)
    degree = 40 if M.dim < 3 else 30
    assert float(M.integrate(lambda x: p.log_prob(x).exp(), degree=degree)) == pytest.approx(
        1.0, abs=1e-4
    )  # the error of the rule


@pytest.mark.parametrize(
    ("M", "width"),
    [*((M, 0.4) for M in MEMBERS), (ROTATIONS, 1.5), (rm.Sphere(2, radius=2.0), 3.0), (rm.Torus(1, periods=3.0), 1.0)],
    ids=str,
)
def test_samples_follow_the_density(M: rm.Manifold, width: float) -> None:
    """The mean of every feature, and of its square, over 4000 samples against the integral: 5 standard errors.

    At the wide ones a kernel is far from a wrapped normal law.
    """
    p = rm.KernelDensity(M, spread(M, 3), width)
    x = p.sample((4000,), generator=torch.Generator().manual_seed(1))
    assert M.check_point(x) is None
    nodes, weights = M.quadrature(30)
    mass = weights * p.log_prob(nodes).exp()
    values, there = M.features(x), M.features(nodes)
    for drawn, exact in ((values, there), (values.square(), there.square())):
        gap = drawn.mean(0) - mass @ exact
        assert bool((gap.abs() < 5 * drawn.std(0) / math.sqrt(4000) + 1e-5).all())


@every_member
def test_rows_of_float32_and_gradients_at_a_centre(M: rm.Manifold) -> None:
    centres = spread(M, 5)
    p = rm.KernelDensity(M, centres, 0.4)
    x = torch.cat([centres[:2], spread(M, 4, 3)])
    together = p.log_prob(x)
    for row in range(6):
        torch.testing.assert_close(p.log_prob(x[row]), together[row])
    torch.testing.assert_close(p.log_prob(x.reshape(2, 3, *M.point_shape)), together.reshape(2, 3))
    assert p.log_prob(x[:0]).shape == (0,)
    single = p.log_prob(M.project(x.float()))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, rtol=1e-4, atol=1e-4)
    assert bool(p.score(x).isfinite().all())
    assert M.check_tangent(x, p.score(x)) is None


@pytest.mark.parametrize("M", [BALL, HYPERBOLOID, rm.Lorentz(3), rm.SPD(2, metric="log-euclidean")], ids=repr)
def test_without_a_cut_locus_it_is_a_mixture_of_wrapped_normal_laws(M: rm.Manifold) -> None:
    """The log-Euclidean metric is flat, so there the normal law of the logarithm is that too."""
    centres, x = spread(M, 4), spread(M, 6, 2, scale=1.5)
    mixture = rm.Mixture([rm.WrappedNormal(M, centre, 0.3) for centre in centres])
    torch.testing.assert_close(rm.KernelDensity(M, centres, 0.3).log_prob(x), mixture.log_prob(x))


def test_positive_definite_matrices_have_normal_logarithms() -> None:
    """N(log x; log m, h²) in Frobenius coordinates, times |d log x / dx| det(x)^{3/2}, by the formula for 2 × 2."""
    m, x = spread(SPD, 1)[0], spread(SPD, 1, 5)[0]
    values, vectors = torch.linalg.eigh(x)
    log_x = vectors @ torch.diag(values.log()) @ vectors.T
    values_m, vectors_m = torch.linalg.eigh(m)
    gap = log_x - vectors_m @ torch.diag(values_m.log()) @ vectors_m.T
    a, b = values.tolist()
    jacobian = 1 / (a * b) * (math.log(b) - math.log(a)) / (b - a)  # of log, a third of it from the off-diagonal entry
    h = 0.3
    wanted = -float(gap.square().sum()) / (2 * h * h) - 1.5 * math.log(2 * math.pi * h * h)
    wanted += math.log(jacobian) + 1.5 * math.log(a * b)
    assert float(rm.KernelDensity(SPD, m[None], h).log_prob(x)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("kappa", [1e-3, 1.0, 30.0, 99.9, 100.1, 1e5, 1e12])
def test_normaliser_of_rotations_against_sixty_digits(kappa: float) -> None:
    with mp.workdps(60):
        k = mp.mpf(kappa)
        wanted = -mp.log(8 * mp.pi**2 * mp.exp(-k) * (mp.besseli(0, k) - mp.besseli(1, k)))
    assert log_rotation_normaliser(kappa) == pytest.approx(float(wanted), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("M", [MIXED, rm.Product(BALL, HYPERBOLOID), rm.Product(SPD, SPD)], ids=repr)
def test_the_kernel_of_a_product_is_the_product_of_the_kernels(M: rm.Product) -> None:
    """Whichever of the parts of a kernel the factors have: two, one or none."""
    centre, x = spread(M, 1), spread(M, 5, 1)
    for widths in (0.4, (0.3, 0.6)):
        whole = rm.KernelDensity(M, centre, widths).log_prob(x)
        each = widths if isinstance(widths, tuple) else (widths, widths)
        parts = zip(M.factors, M.split(centre), each, M.split(x), strict=True)
        wanted = [rm.KernelDensity(factor, c, h).log_prob(part) for factor, c, h, part in parts]
        torch.testing.assert_close(whole, wanted[0] + wanted[1])


def test_the_chosen_width_is_where_held_out_points_are_most_likely() -> None:
    for M in (BALL, ROTATIONS, SPD, MIXED):
        x = spread(M, 400)
        best = rm.KernelDensity.fit(M, x[:300], x[300:])
        widths = best.bandwidths

        def nll(factor: float, M=M, x=x, widths=widths) -> float:
            scaled = [factor * width for width in widths]
            return -float(
                rm.KernelDensity(M, x[:300], scaled if len(widths) > 1 else scaled[0]).log_prob(x[300:]).mean()
            )

        assert nll(1.0) <= min(nll(0.9), nll(1.1)), M


def test_each_factor_of_a_product_has_a_width_in_its_own_unit() -> None:
    M = rm.Product(rm.Euclidean(1), rm.Torus(1))
    x = spread(M, 500)
    large = x * torch.tensor([1000.0, 1.0], dtype=F64)
    small, wide = (rm.KernelDensity.fit(M, y[:400], y[400:]) for y in (x, large))
    assert wide.bandwidths[0] == pytest.approx(1000 * small.bandwidths[0], rel=1e-6)
    assert wide.bandwidths[1] == pytest.approx(small.bandwidths[1], rel=1e-6)
    assert small.bandwidth == pytest.approx(math.sqrt(math.prod(small.bandwidths)))
    assert repr(small).startswith("KernelDensity(Product(Euclidean(1), Torus(1)), <400 points>, bandwidth=(0.")


def test_bandwidths_that_do_not_fit_are_refused() -> None:
    x = spread(PRODUCT, 3)
    for widths in ([0.1], [0.1, 0.2, 0.3]):
        with pytest.raises(rm.OptionError, match=f"{len(widths)} bandwidths fit a product"):
            rm.KernelDensity(PRODUCT, x, widths)
    with pytest.raises(rm.OptionError, match="2 bandwidths fit a product"):
        rm.KernelDensity(rm.Sphere(2), torch.eye(3), [0.1, 0.2])
    with pytest.raises(rm.OptionError, match="positive number"):
        rm.KernelDensity(PRODUCT, x, [0.1, -0.2])


def test_on_a_chart_of_the_hyperbolic_plane_it_is_that_of_the_ball() -> None:
    """A manifold that the library knows only by its metric: the law and its width are those of the closed forms."""

    def metric(x: Tensor) -> Tensor:
        return (2 / (1 - x.square().sum(-1)))[..., None, None].square() * torch.eye(2, dtype=x.dtype)

    chart = rm.ChartManifold(2, metric, domain=lambda x: x.square().sum(-1) < 1)
    points, x = spread(BALL, 2), spread(BALL, 2, 1)
    ours, known = (rm.KernelDensity.fit(M, points[:1], points[1:]) for M in (chart, BALL))
    assert ours.bandwidth == pytest.approx(known.bandwidth, rel=1e-6)
    torch.testing.assert_close(ours.log_prob(x), known.log_prob(x), rtol=1e-6, atol=1e-6)
    lengths = BALL.dist(rm.KernelDensity(chart, points[:1], 0.5).sample((60,)), points[0])
    assert float(lengths.square().mean()) == pytest.approx(0.5, rel=0.6)  # 2 h²: five standard errors


def test_the_width_of_a_large_table_is_that_of_rows_drawn_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 400 points and 200 queries, 100 and 50 tell the width as well as so few can."""
    import rmatch.distributions._bandwidth as bandwidth

    x = spread(BALL, 600)
    whole = rm.KernelDensity.fit(BALL, x[:100], x[400:450]).bandwidth
    monkeypatch.setattr(bandwidth, "_MOST_POINTS", 100)
    monkeypatch.setattr(bandwidth, "_MOST_QUERIES", 50)
    few = rm.KernelDensity.fit(BALL, x[:400], x[400:])
    assert few.bandwidth != whole
    assert few.bandwidth == rm.KernelDensity.fit(BALL, x[:400], x[400:]).bandwidth
    assert few.bandwidth == pytest.approx(whole, rel=0.3)
    assert len(few.points) == 400


@pytest.mark.slow
@pytest.mark.parametrize("M", [BALL, SPD, rm.SPD(3), ROTATIONS, MIXED], ids=repr)
def test_ten_thousand_points_take_seconds(M: rm.Manifold) -> None:
    x = spread(M, 10_000)
    start = time.perf_counter()
    rm.KernelDensity.fit(M, x[:8000], x[8000:9000]).log_prob(x[9000:])
    assert time.perf_counter() - start < 20  # a few on a quiet core
