"""Both models of hyperbolic space against numbers of 60 digits, closed forms, geomstats and one another."""

import math
from itertools import product

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import jvp

import rmatch as rm

from . import reference_hyperbolic as ref
from .reference import ONE, combine, exact, norm

close = torch.testing.assert_close
MODELS: dict[str, type[rm.HyperbolicSpace]] = {"Lorentz": rm.Lorentz, "PoincareBall": rm.PoincareBall}
every_model = pytest.mark.parametrize("model", MODELS)
every_curvature = pytest.mark.parametrize("curvature", [-1.0, -0.25, -4.0, -0.3])

SEPARATIONS = [(1e-6, "any"), (1e-3, "any"), (1.0, "any"), (1.0, "inward"), (1e-3, "outward")]
FAR = {1.0: (2.0,), 5.0: (5.0, 10.0), 10.0: (10.0, 20.0), 20.0: (20.0, 40.0)}
CASES = [
    pytest.param(dtype, radius, separation, direction, id=f"{str(dtype)[6:]}-r{radius:g}-{separation:g}-{direction}")
    for dtype, radii in ((torch.float64, (1.0, 5.0, 10.0, 20.0)), (torch.float32, (1.0, 5.0, 10.0)))
    for radius in radii
    for separation, direction in (*SEPARATIONS, *((far, "inward") for far in FAR[radius]))
]
every_case = pytest.mark.parametrize(("dtype", "radius", "separation", "direction"), CASES)


Pair = tuple[rm.HyperbolicSpace, Tensor, Tensor]


def pairs(model: str, dtype: torch.dtype, radius: float, separation: float, direction: str) -> list[Pair]:
    """Pairs of floats; those of the ball are so coarse near its edge that some coincide or are not inside."""
    found: list[Pair] = []
    for seed, n in product(range(3), (2, 3)):
        M = MODELS[model](n)
        x, y = (ref.as_tensor(model, p, dtype) for p in ref.pair(n, radius, separation, direction, seed))
        if M.check_point(x, tolerance=1e-6) is None and M.check_point(y, tolerance=1e-6) is None:
            x, y = M.project(x), M.project(y)
            if not torch.equal(x, y):
                found.append((M, x, y))
    return found


def roundings(model: str, radius: float, direction: str) -> float:
    """How many roundings a distance or a logarithm may be off, relative to its size.

    In the ball a few, for the gap is exact. On the hyperboloid what lies across the radius is a small difference of
    coordinates of the size cosh r, each rounded; along the radius nothing is lost but second-order terms.
    """
    if model == "PoincareBall":
        return 6.0
    return 32.0 if direction == "inward" else 8 + math.cosh(radius)


@every_model
@every_case
def test_dist_at_any_radius(model: str, dtype: torch.dtype, radius: float, separation: float, direction: str) -> None:
    allowed = roundings(model, radius, direction) * torch.finfo(dtype).eps
    for M, x, y in pairs(model, dtype, radius, separation, direction):
        wanted = ref.dist(ref.point(model, x), ref.point(model, y))
        got = M.dist(x, y)
        assert float(abs(exact(got[None])[0] - wanted) / wanted) <= allowed
        assert torch.equal(got, M.dist(y, x))


@every_model
@every_case
def test_log_at_any_radius(model: str, dtype: torch.dtype, radius: float, separation: float, direction: str) -> None:
    """Judged in the metric; the floats of the hyperboloid's vectors resolve only eps cosh r of a vector's length."""
    allowed = roundings(model, radius, "any") * torch.finfo(dtype).eps
    for M, x, y in pairs(model, dtype, radius, separation, direction):
        at, to = ref.point(model, x), ref.point(model, y)
        got = ref.vector(model, x, M.log(x, y))
        assert float(ref.length(combine(ONE, got, -ONE, ref.log(at, to))) / ref.dist(at, to)) <= allowed


@every_model
@every_case
def test_exp_at_any_radius(model: str, dtype: torch.dtype, radius: float, separation: float, direction: str) -> None:
    """A direction at x is known to eps cosh r, which grows with the sinh of the way, and the result is rounded too."""
    for M, x, y in pairs(model, dtype, radius, separation, direction):
        v = M.log(x, y)
        wanted = ref.exp(ref.point(model, x), ref.vector(model, x, v))
        error = ref.dist(ref.point(model, M.exp(x, v)), wanted)
        spread = math.cosh(radius) * (1 + math.sinh(separation)) + float(wanted[0])
        assert float(error) <= 4 * torch.finfo(dtype).eps * spread


@pytest.mark.parametrize("radius", [1.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("separation", [1e-6, 1e-3, 0.1])
def test_exp_of_the_logarithm_in_the_ball_is_the_other_point_to_the_last_digit(
    radius: float, separation: float
) -> None:
    """A short step is added to the point: what it lands on is rounded once, and is the float that it came from."""
    for M, x, y in pairs("PoincareBall", torch.float64, radius, separation, "any"):
        assert torch.equal(M.exp(x, M.log(x, y)), y)


@every_model
@every_case
def test_transport_at_any_radius(
    model: str, dtype: torch.dtype, radius: float, separation: float, direction: str
) -> None:
    for M, x, y in pairs(model, dtype, radius, separation, direction):
        v = M.random_tangent(x, generator=torch.Generator().manual_seed(3))
        at, to, vector = ref.point(model, x), ref.point(model, y), ref.vector(model, x, v)
        error = ref.length(
            combine(ONE, ref.vector(model, y, M.transport(x, y, v)), -ONE, ref.transport(at, to, vector))
        )
        spread = math.cosh(radius) + float(to[0])
        if model == "Lorentz":  # what is rounded at x, in coordinates of the size cosh r, is carried along
            spread *= math.cosh(min(separation, radius))
        assert float(error / ref.length(vector)) <= 8 * torch.finfo(dtype).eps * spread


def test_distance_through_the_origin_and_from_it_is_exact_where_the_usual_forms_lose_it() -> None:
    """Opposite points at a distance of 20 from the origin, and the origin itself: relative error below 1e-15."""
    M = rm.Lorentz(2)
    x = M.polar(torch.tensor([20.0, 19.0]).double(), torch.tensor([[0.6, 0.8], [-0.6, -0.8]]).double())
    for a, b in ((x[0], x[1]), (x[0], M.origin(dtype=torch.float64)), (M.origin(dtype=torch.float64), x[1])):
        wanted = ref.dist(ref.point("Lorentz", a), ref.point("Lorentz", b))
        assert abs(float(M.dist(a, b)) / float(wanted) - 1) <= 1e-15


FAR_APART = [
    *(
        (torch.float64, *case)
        for case in ((1.0, 300.0), (150.0, 300.0), (300.0, 300.0), (300.0, 600.0), (350.0, 700.0))
    ),
    *((torch.float32, *case) for case in ((1.0, 42.0), (20.0, 40.0), (40.0, 40.0), (30.0, 60.0), (42.0, 84.0))),
]


@pytest.mark.parametrize(("dtype", "radius", "separation"), FAR_APART, ids=str)
def test_dist_and_its_gradients_where_squares_of_cosh_overflow(
    dtype: torch.dtype, radius: float, separation: float
) -> None:
    """As far as cosh θ itself and the squares of the coordinates are floats; a rounding of θ is all that is lost."""
    M = rm.Lorentz(2)
    with mp.workdps(700):  # the reference subtracts numbers of the size exp(2r)
        pair = ref.pair(2, mp.mpf(radius), mp.mpf(separation), "inward", 0)
        x, y = (M.project(ref.as_tensor("Lorentz", p, dtype)).requires_grad_() for p in pair)
        at, to = ref.point("Lorentz", x), ref.point("Lorentz", y)
        wanted = ref.dist(at, to)
        got = M.dist(x, y)
        assert float(abs(exact(got[None])[0] - wanted) / wanted) <= 2 * torch.finfo(dtype).eps
        away = [-p / wanted for p in ref.log(at, to)]
        covector = [0.0, *(q - away[0] / at[0] * p for p, q in zip(at[1:], away[1:], strict=True))]
        (gradient,) = torch.autograd.grad(got, x)
        error = norm(combine(ONE, exact(gradient), -ONE, covector)) / norm(covector)
        # where the origin lies between, a covector is a radial one, of the size 1/cosh r, and known to its last digits
        assert float(error) <= 8 * torch.finfo(dtype).eps
    v = M.log(x, y)
    for value in (M.dist(x, y), v.sum(), M.norm(x, v), M.half_chord(x, y), M.geodesic(x, y, 0.5).sum()):
        assert bool(value.isfinite())
        plain = torch.autograd.grad(value, (x, y), retain_graph=True)
        first = torch.autograd.grad(value, (x, y), create_graph=True)
        second = torch.autograd.grad(sum((g.sum() for g in first), torch.zeros(())), (x, y), retain_graph=True)
        assert all(bool(g.isfinite().all()) for g in (*plain, *first, *second))


@pytest.mark.parametrize(("radius", "separation"), [(10.0, 20.0), (20.0, 40.0), (150.0, 300.0)])
def test_geodesics_to_the_far_side_pass_where_they_should(radius: float, separation: float) -> None:
    """The point is a mean of both ends: its error is that of rounding coordinates of its own size and of the ends'."""
    M = rm.Lorentz(2)
    with mp.workdps(300):
        pair = ref.pair(2, mp.mpf(radius), mp.mpf(separation), "inward", 0)
        x, y = (M.project(ref.as_tensor("Lorentz", p, torch.float64)) for p in pair)
        at, to = ref.point("Lorentz", x), ref.point("Lorentz", y)
        angle = ref.dist(at, to)
        for t in (0.25, 0.5, 0.7):
            a, b = mp.sinh((1 - mp.mpf(t)) * angle) / mp.sinh(angle), mp.sinh(mp.mpf(t) * angle) / mp.sinh(angle)
            wanted = combine(a, at, b, to)
            got = exact(M.geodesic(x, y, t))
            error = norm(combine(ONE, got, -ONE, wanted)) / norm(wanted)
            assert float(error) <= 8 * (1 + separation) * torch.finfo(x.dtype).eps  # exp(tθ) magnifies that of θ


@every_model
@pytest.mark.parametrize(("dtype", "radius"), [(torch.float64, 20.0), (torch.float32, 10.0)], ids=str)
def test_nothing_is_nan_far_out(model: str, dtype: torch.dtype, radius: float) -> None:
    M = MODELS[model](3)
    normal = torch.randn(64, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions = torch.nn.functional.normalize(normal, dim=-1)
    x = M.polar(torch.full((64,), radius, dtype=dtype), directions.to(dtype)).requires_grad_()
    for y in (x.detach(), x.detach().flip(0), M.origin(dtype=dtype).expand_as(x)):
        y = y.clone().requires_grad_()
        v = M.log(x, y)
        values = [M.dist(x, y), v, M.exp(x, v), M.norm(x, v), M.transport(x, y, v), M.geodesic(x, y, 0.5)]
        values += [M.features(x), M.log_volume_density(x), M.log_det_exp(x, v), *M.geodesic_with_velocity(x, y, 0.5)]
        for value in values:
            assert bool(value.isfinite().all())
            if value.requires_grad:
                first = torch.autograd.grad(value.sum(), (x, y), create_graph=True, allow_unused=True)
                total = sum((g.sum() for g in first if g is not None and g.requires_grad), torch.zeros((), dtype=dtype))
                assert all(bool(g.isfinite().all()) for g in first if g is not None)
                if total.requires_grad:
                    second = torch.autograd.grad(total, (x, y), retain_graph=True, allow_unused=True)
                    assert all(bool(g.isfinite().all()) for g in second if g is not None)


# ---- the two models are one space -----------------------------------------------------------------------------------


def both(n: int, curvature: float) -> tuple[rm.Lorentz, rm.PoincareBall, Tensor, Tensor, Tensor]:
    """The models, points of the ball, and tangent vectors at the first of them."""
    ball = rm.PoincareBall(n, curvature)
    origin = ball.origin(dtype=torch.float64).expand(20, n)
    generator = torch.Generator().manual_seed(n)
    x, y = (ball.exp(origin, ball.radius / 2 * ball.random_tangent(origin, generator=generator)) for _ in range(2))
    return rm.Lorentz(n, curvature), ball, x, y, ball.random_tangent(x, generator=generator)


@every_curvature
@pytest.mark.parametrize("n", [1, 2, 5])
def test_isometry_keeps_all_of_the_geometry(n: int, curvature: float) -> None:
    sheet, ball, x, y, v = both(n, curvature)

    def there(z: Tensor) -> Tensor:
        return rm.poincare_to_lorentz(z, curvature)

    def push(z: Tensor, w: Tensor) -> Tensor:
        return jvp(there, (z,), (w,))[1]

    p, q = there(x), there(y)
    assert sheet.check_point(p, tolerance=1e-14) is None
    close(rm.lorentz_to_poincare(p, curvature), x, rtol=0, atol=1e-15)
    close(sheet.dist(p, q), ball.dist(x, y), rtol=1e-13, atol=0)
    close(sheet.inner(p, push(x, v), push(x, v)), ball.inner(x, v, v), rtol=1e-12, atol=0)

    def same(a: Tensor, b: Tensor) -> None:
        close(a, b, rtol=1e-10, atol=1e-11)  # coordinates of the hyperboloid are of the size 100 here

    same(sheet.log(p, q), push(x, ball.log(x, y)))
    same(sheet.exp(p, push(x, v)), there(ball.exp(x, v)))
    same(sheet.transport(p, q, push(x, v)), push(y, ball.transport(x, y, v)))
    for t in (0.0, 0.3, 1.0):
        point, velocity = ball.geodesic_with_velocity(x, y, t)
        for got, wanted in zip(
            sheet.geodesic_with_velocity(p, q, t), (there(point), push(point, velocity)), strict=True
        ):
            same(got, wanted)
    same(sheet.log_det_exp(p, push(x, v)), ball.log_det_exp(x, v))
    same(sheet.features(p), ball.features(x))
    same(sheet.normal_coordinates(p), ball.normal_coordinates(x))
    frame = torch.stack([push(x, e) for e in ball.frame(x).unbind(-2)], -2)
    same(sheet.volume_form(p, frame), torch.ones(20).double())


@every_curvature
def test_calculus_does_not_depend_on_the_model(curvature: float) -> None:
    sheet, ball, x, _, _ = both(2, curvature)
    weights = torch.randn(4, generator=torch.Generator().manual_seed(0)).double()

    def on_the_sheet(p: Tensor) -> Tensor:
        return torch.sin(sheet.features(p) @ weights)

    def in_the_ball(z: Tensor) -> Tensor:
        return torch.sin(ball.features(z) @ weights)

    p = rm.poincare_to_lorentz(x, curvature)
    close(sheet.laplacian(on_the_sheet)(p), ball.laplacian(in_the_ball)(x), rtol=1e-10, atol=1e-11)
    gradient = ball.gradient(in_the_ball)(x)
    pushed = jvp(lambda z: rm.poincare_to_lorentz(z, curvature), (x,), (gradient,))[1]
    close(sheet.gradient(on_the_sheet)(p), pushed, rtol=1e-10, atol=1e-11)


# ---- calculus -------------------------------------------------------------------------------------------------------


@every_model
@every_curvature
@pytest.mark.parametrize("n", [1, 2, 4])
def test_cosh_of_the_distance_has_n_times_itself_as_its_laplacian(model: str, curvature: float, n: int) -> None:
    """Δ cosh(r/R) = n/R² cosh(r/R): on the hyperboloid it is the time component."""
    M = MODELS[model](n, curvature)
    origin = M.origin(dtype=torch.float64)
    x = M.exp(origin.expand(8, -1), M.radius * M.random_tangent(origin.expand(8, -1)))

    def f(z: Tensor) -> Tensor:
        return torch.cosh(M.norm(origin, M.log(origin, z)) / M.radius)

    close(M.laplacian(f)(x), n / M.radius**2 * f(x), rtol=1e-10, atol=0)


@every_model
@every_curvature
def test_half_chord_is_smooth_where_the_points_meet(model: str, curvature: float) -> None:
    """sinh²(d/2R), and its Laplacian at d = 0 is that of d²/4R²: n/2R²."""
    M = MODELS[model](3, curvature)
    o = M.origin(dtype=torch.float64)
    x, y = M.exp(o, 0.5 * M.frame(o)[0]), M.exp(o, 0.7 * M.frame(o)[1])
    close(M.half_chord(x, y), (M.dist(x, y) / (2 * M.radius)).sinh().square())
    close(M.laplacian(lambda z: M.half_chord(z, x))(x), torch.tensor(1.5 / M.radius**2, dtype=torch.float64))


@pytest.mark.parametrize("i", [0, 1, 2])
def test_boosts_and_rotations_have_no_divergence(i: int) -> None:
    """The infinitesimal isometries of H² in Minkowski space: two boosts and a rotation."""
    generators = torch.zeros(3, 3, 3, dtype=torch.float64)
    generators[0, 0, 1] = generators[0, 1, 0] = generators[1, 0, 2] = generators[1, 2, 0] = 1
    generators[2, 1, 2], generators[2, 2, 1] = -1, 1
    M = rm.Lorentz(2)
    x = M.exp(M.origin(dtype=torch.float64), M.random_tangent(M.origin(dtype=torch.float64).expand(10, 3)))

    def field(p: Tensor) -> Tensor:
        return p @ generators[i].T

    assert M.check_tangent(x, field(x), tolerance=1e-14) is None
    close(M.divergence(field)(x), torch.zeros(10).double(), rtol=0, atol=1e-12)
    weighted = M.divergence(lambda p: p[..., :1] ** 2 * field(p))(x)  # Div(f V) = df(V)
    close(weighted, 2 * x[..., 0] * field(x)[..., 0], rtol=0, atol=1e-11)


@every_model
def test_integration_by_parts_on_the_hyperbolic_plane(model: str) -> None:
    """∫ f Div V = -∫ <∇f, V> and ∫ Div V = 0 for fields that die out."""
    M = MODELS[model](2)
    centre = M.polar(torch.tensor(0.7).double(), torch.tensor([0.6, -0.8]).double())
    mix = torch.randn(2, 4, generator=torch.Generator().manual_seed(1)).double()

    def f(x: Tensor) -> Tensor:
        return torch.cos(M.features(x) @ mix[0])

    def field(x: Tensor) -> Tensor:
        bell = torch.exp(-M.dist(centre, x).square()).unsqueeze(-1)
        waves = torch.sin(M.features(x) @ mix.T)
        return M.span(x, bell * waves)

    left = M.integrate(lambda x: f(x) * M.divergence(field)(x))
    right = M.integrate(lambda x: M.inner(x, M.gradient(f)(x), field(x)))
    assert abs(float(right)) > 0.05
    assert abs(float(left + right)) <= 1e-10
    assert abs(float(M.integrate(M.divergence(field)))) <= 1e-10


# ---- volume and quadrature ------------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("r", [0.5, 2.0, 6.0])
def test_volume_of_a_ball(r: float, model: str) -> None:
    """2π (cosh r - 1) in the plane, π (sinh 2r - 2r) in space: ∫ |det d exp| over a ball of tangent vectors."""
    nodes, weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(60))
    s = r / 2 * (1 + nodes)
    for n, wanted in ((2, 2 * math.pi * (math.cosh(r) - 1)), (3, math.pi * (math.sinh(2 * r) - 2 * r))):
        M = MODELS[model](n)
        origin = M.origin(dtype=torch.float64)
        v = s.unsqueeze(-1) * M.frame(origin)[0]
        sphere = {2: 2 * math.pi, 3: 4 * math.pi}[n]
        volume = sphere * (r / 2 * weights * M.log_det_exp(origin, v).exp() * s ** (n - 1)).sum()
        assert abs(float(volume) / (wanted) - 1) <= 1e-12


@every_model
@every_curvature
def test_closed_integrals(model: str, curvature: float) -> None:
    """Of exp(-a cosh r) and of a Gaussian of r over H², and the mass of the heat kernel on H³, all in units of R.

    They are 2π exp(-a)/a, 2π s √(π/2) exp(s²/2) erf(s/√2), and 1 for (4πt)^(-3/2) r/sinh r exp(-t - r²/4t).
    """
    plane, space = MODELS[model](2, curvature), MODELS[model](3, curvature)

    def radius(M: rm.HyperbolicSpace, x: Tensor) -> Tensor:
        return M.dist(M.origin(dtype=x.dtype), x) / M.radius

    for a in (0.5, 2.0, 10.0):
        value = plane.integrate(lambda x, a=a: torch.exp(-a * radius(plane, x).cosh())) / plane.radius**2
        assert abs(float(value) / (2 * math.pi * math.exp(-a) / a) - 1) <= 1e-11
    for s in (0.1, 0.5, 1.5):
        value = plane.integrate(lambda x, s=s: torch.exp(-(radius(plane, x) ** 2) / (2 * s * s))) / plane.radius**2
        wanted = 2 * math.pi * s * math.sqrt(math.pi / 2) * math.exp(s * s / 2) * math.erf(s / math.sqrt(2))
        assert abs(float(value) / (wanted) - 1) <= 1e-12
    t = 0.4
    value = space.integrate(
        lambda x: (
            (4 * math.pi * t) ** -1.5
            * (radius(space, x) / radius(space, x).sinh())
            * torch.exp(-t - radius(space, x) ** 2 / (4 * t))
        ),
        degree=30,
    )
    assert abs(float(value / space.radius**3) / (1.0) - 1) <= 1e-10


@every_model
@pytest.mark.parametrize(("n", "degree"), [(1, 60), (2, 60), (3, 40)])
@pytest.mark.parametrize("scale", [0.4, 1.0])
def test_wrapped_normal_has_mass_one(model: str, n: int, degree: int, scale: float) -> None:
    M = MODELS[model](n)
    mean = M.polar(torch.tensor(0.7).double(), torch.nn.functional.normalize(torch.arange(1.0, n + 1).double(), dim=0))
    p = rm.WrappedNormal(M, mean, scale)
    mass, error = M.integrate(lambda x: p.log_prob(x).exp(), degree=degree, with_error=True)
    assert abs(float(mass) - 1) <= 1e-10
    assert abs(float(mass) - 1) <= float(error) + 1e-14


@every_model
def test_importance_sampling_covers_the_truth_in_four_dimensions(model: str) -> None:
    """Eight scramblings give a t-law with seven degrees of freedom: 5.4 standard errors hold 99.9 % of it."""
    M = MODELS[model](4)
    p = rm.WrappedNormal(M, M.polar(torch.tensor(0.5).double(), torch.eye(4).double()[0]), 0.8)
    assert not M.quadrature_is_exact(60)
    value, error = M.integrate(lambda x: p.log_prob(x).exp(), with_error=True)
    assert 0 < float(error) <= 1e-2
    assert abs(float(value) - 1) <= 5.4 * float(error)


@every_model
def test_wrapped_normal_density_at_60_digits(model: str) -> None:
    """log N(θ) - (n - 1) log(sinh θ / θ), from points next to the mean to points far out."""
    scale = 1.3
    for n, (radius, separation) in product((2, 3), ((0.5, 1e-5), (1.0, 1.0), (2.0, 8.0), (5.0, 5.0))):
        x, y = (ref.as_tensor(model, p, torch.float64) for p in ref.pair(n, radius, separation, "inward", n))
        angle = ref.dist(ref.point(model, x), ref.point(model, y))
        wanted = -n * mp.log(scale * mp.sqrt(2 * mp.pi)) - angle**2 / (2 * mp.mpf(scale) ** 2)
        wanted -= (n - 1) * mp.log(mp.sinh(angle) / angle)
        got = rm.WrappedNormal(MODELS[model](n), x, scale).log_prob(y)
        assert abs(float(got) - float(wanted)) <= 1e-12 * (1 + abs(float(wanted)))
