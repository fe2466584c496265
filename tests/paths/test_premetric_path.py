"""Paths of premetrics: the level law, the field that moves them, their density, and the geodesic as a special case."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm

F64 = torch.float64
TIGHT = rm.DormandPrince(1e-9, 1e-9)
ONE = torch.ones(1, dtype=F64)
SMOOTH = rm.Torus(2, periods=(3.0, 4.0))
PREMETRICS: list[rm.Premetric] = [
    rm.GeodesicDistance(rm.Lorentz(2)),
    rm.GeodesicDistance(rm.SPD(2)),
    rm.BiharmonicDistance(rm.Sphere(2)),
    rm.BiharmonicDistance(rm.Sphere(3, radius=2.0)),
    rm.BiharmonicDistance(rm.Torus(1)),
    rm.BiharmonicDistance(rm.Torus(2)),
    rm.BiharmonicDistance(rm.Torus(3)),
    rm.DiffusionDistance(rm.Sphere(2), 0.25),
    rm.DiffusionDistance(rm.Torus(1), 0.2),
    rm.DiffusionDistance(SMOOTH, 0.1),
    rm.SpectralDistance(rm.Sphere(2), torch.reciprocal, degree=1),
]
every_premetric = pytest.mark.parametrize("d", PREMETRICS, ids=repr)


class Unknown(rm.Premetric):
    """A premetric of which nothing is known but its values, as a user writes it."""

    def __init__(self, other: rm.Premetric) -> None:
        self.other = other
        self.manifold = other.manifold

    @property
    def largest(self) -> float:
        return self.other.largest

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        return self.other.dist(x, y)


def pairs(M: rm.Manifold, rows: int) -> tuple[Tensor, Tensor]:
    origin = M.origin(dtype=F64).expand(rows, *M.point_shape)
    x0, x1 = (
        M.exp(origin, 0.9 * M.random_tangent(origin, generator=torch.Generator().manual_seed(seed))) for seed in (0, 1)
    )
    return x0, x1


@every_premetric
@pytest.mark.parametrize("schedule", [rm.Linear(), rm.Cosine()], ids=repr)
def test_the_premetric_falls_as_the_schedule_says(d: rm.Premetric, schedule: rm.Schedule) -> None:
    """d(x_t, x1) = (1 - κ(t)) d(x0, x1), also with the solver's default tolerance, as the result is put right."""
    M = d.manifold
    path = rm.PremetricPath(d, schedule)
    x0, x1 = pairs(M, 8)
    t = torch.tensor([0.0, 0.01, 0.3, 0.5, 0.8, 0.99, 0.999, 1.0], dtype=F64)
    x_t, _ = path.sample(t, x0, x1)
    assert M.check_point(x_t) is None
    root = isinstance(d, rm.BiharmonicDistance) and M.dim == 3  # like the root of the distance: 1e-8 for a rounding
    expected = (1 - schedule.kappa(t)) * d.dist(x0, x1)
    torch.testing.assert_close(d.dist(x_t, x1), expected, rtol=1e-9, atol=3e-8 if root else 1e-13)
    torch.testing.assert_close(M.dist(x_t[:1], x0[:1]), torch.zeros(1, dtype=F64), rtol=0, atol=1e-13)
    torch.testing.assert_close(M.dist(x_t[-1:], x1[-1:]), torch.zeros(1, dtype=F64), rtol=0, atol=1e-13)


@every_premetric
def test_the_velocity_is_the_derivative_of_the_path_and_of_the_field(d: rm.Premetric) -> None:
    M, h = d.manifold, 1e-4
    path = rm.PremetricPath(d, rm.Cosine(), solver=TIGHT)
    x0, x1 = pairs(M, 6)
    t = torch.full((6,), 0.6, dtype=F64)
    x_t, u_t = path.sample(t, x0, x1)
    there, back = (path.sample(t + step, x0, x1).x_t for step in (h, -h))
    torch.testing.assert_close((M.log(x_t, there) - M.log(x_t, back)) / (2 * h), u_t, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(path.velocity(t, x_t, x1), u_t, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("M", [rm.Sphere(2), rm.Torus(2), rm.Lorentz(2), rm.SPD(2), rm.Euclidean(3)], ids=repr)
def test_with_the_geodesic_distance_it_is_the_geodesic_path(M: rm.Manifold) -> None:
    """To rounding where d says that it is a distance, and to the solver's tolerance where nothing is known of it."""
    x0, x1 = pairs(M, 6)
    t = torch.linspace(0, 0.95, 6, dtype=F64)
    expected = rm.GeodesicPath(M, rm.Cosine()).sample(t, x0, x1)
    d = rm.GeodesicDistance(M)
    known = rm.PremetricPath(d, rm.Cosine()).sample(t, x0, x1)
    solved = rm.PremetricPath(Unknown(d), rm.Cosine(), solver=TIGHT).sample(t, x0, x1)
    for a, b, c in zip(expected, known, solved, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(c, a, rtol=1e-7, atol=1e-7)
    base = rm.default_base(M, x1)
    y = rm.GeodesicPath(M).sample(t, x0, x1).x_t
    torch.testing.assert_close(
        rm.PremetricPath(d).log_conditional(t, y, x1, base),
        rm.GeodesicPath(M).log_conditional(t, y, x1, base),
        rtol=1e-11,
        atol=1e-11,
    )


@pytest.mark.parametrize("d", [d for d in PREMETRICS if isinstance(d.manifold, rm.Sphere)], ids=repr)
def test_what_runs_along_geodesics_solves_the_differential_equation(d: rm.Premetric) -> None:
    x0, x1 = pairs(d.manifold, 6)
    t = torch.linspace(0, 0.95, 6, dtype=F64)
    known = rm.PremetricPath(d).sample(t, x0, x1)
    solved = rm.PremetricPath(Unknown(d), solver=TIGHT).sample(t, x0, x1)
    for a, b in zip(known, solved, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("d", "solved"),
    [
        *(pytest.param(d, False, marks=pytest.mark.slow if d.profile(ONE) is None else ()) for d in PREMETRICS[:-2]),
        (PREMETRICS[-2], False),
        pytest.param(PREMETRICS[0], True, marks=pytest.mark.slow),
        pytest.param(PREMETRICS[2], True, marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_the_conditional_density_is_that_of_the_change_of_variables(d: rm.Premetric, solved: bool) -> None:
    """log p_t(x_t | x1) = log p_0(x0) - log |det dx_t/dx0|, the matrix by difference quotients on frames."""
    M, h = d.manifold, 1e-4
    path = rm.PremetricPath(Unknown(d) if solved else d, solver=TIGHT)
    x0, x1 = (a[:3] for a in pairs(M, 4))
    t = torch.full((3,), 0.4, dtype=F64)
    base = rm.default_base(M, x1)
    x_t = path.sample(t, x0, x1).x_t
    frame, there = M.frame(x0), M.frame(x_t)
    columns: list[Tensor] = []
    for k in range(M.dim):
        e = frame[:, k]
        plus, minus = (path.sample(t, M.exp(x0, step * e), x1).x_t for step in (h, -h))
        columns.append((M.log(x_t, plus) - M.log(x_t, minus)) / (2 * h))
    matrix = torch.stack([torch.stack([M.inner(x_t, c, there[:, k]) for k in range(M.dim)], -1) for c in columns], -1)
    expected = base.log_prob(x0) - matrix.det().abs().log()
    torch.testing.assert_close(path.log_conditional(t, x_t, x1, base), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "d",
    [
        rm.BiharmonicDistance(rm.Sphere(2)),
        rm.DiffusionDistance(rm.Torus(1), 0.2),
        pytest.param(PREMETRICS[-2], marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_the_marginal_of_data_satisfies_the_continuity_equation(d: rm.Premetric) -> None:
    """∂ log p/∂t = -Div V - <V, ∇log p>, where at least one path comes through."""
    M = d.manifold
    x, data = pairs(M, 3)
    p = rm.EmpiricalPath(rm.PremetricPath(d, solver=TIGHT), data[:2], rm.Uniform(M))
    t, h = 0.3, 1e-3
    k = [p.log_prob(t + step * h, x) for step in (-2, -1, 1, 2)]
    reached = torch.stack(k).isfinite().all(0)
    assert bool(reached.any())
    rate = (k[0] - 8 * k[1] + 8 * k[2] - k[3]) / (12 * h)
    velocity, divergence = M.value_and_divergence(lambda y: p.velocity(t, y))(x)
    expected = -divergence - M.inner(x, velocity, p.score(t, x))
    torch.testing.assert_close(rate[reached], expected[reached], rtol=1e-6, atol=1e-6)


def test_no_path_comes_from_beyond_the_farthest_point() -> None:
    """At t = 0.9 the law given x1 is a disc around it, with all of the mass."""
    M = rm.Sphere(2)
    d = rm.BiharmonicDistance(M)
    path = rm.PremetricPath(d)
    x1 = M.origin(dtype=F64)
    theta = torch.linspace(1e-4, math.pi, 20001, dtype=F64)
    x = torch.stack([theta.sin(), torch.zeros_like(theta), theta.cos()], -1)
    density = path.log_conditional(torch.tensor(0.9, dtype=F64), x, x1, rm.Uniform(M)).exp()
    assert bool((density[d.dist(x, x1) > 0.1001 * d.largest] == 0).all())
    inside = d.dist(x, x1) < 0.0999 * d.largest
    assert bool((density[inside] > 0).all())
    mass = torch.trapezoid(2 * math.pi * density * theta.sin(), theta)
    assert float(mass) == pytest.approx(1.0, abs=2e-2)  # the density has a pole at the rim, of which a step is lost


@pytest.mark.parametrize("d", [PREMETRICS[2], PREMETRICS[-2]], ids=repr)
def test_flow_matching_can_train_on_it(d: rm.Premetric) -> None:
    M = d.manifold
    x1 = rm.Uniform(M).sample((16,), generator=torch.Generator().manual_seed(0))
    net = rm.TangentMLP(M, width=8, depth=1)
    for averaged in (False, True):
        loss = rm.FlowMatching(rm.PremetricPath(d), rm.Uniform(M), rao_blackwell=averaged)
        value = loss(net, x1[:4], generator=torch.Generator().manual_seed(1))
        value.backward()
        assert math.isfinite(float(value.detach()))


@every_premetric
def test_a_path_of_no_length_stays(d: rm.Premetric) -> None:
    x0, _ = pairs(d.manifold, 3)
    x_t, u_t = rm.PremetricPath(d).sample(torch.tensor([0.0, 0.5, 1.0], dtype=F64), x0, x0)
    torch.testing.assert_close(x_t, x0, rtol=0, atol=1e-14)
    torch.testing.assert_close(u_t, torch.zeros_like(u_t), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("d", "start", "end"),
    [
        (rm.BiharmonicDistance(rm.Torus(2)), [0.5, 1.0], [0.5 + math.pi, 1.0 + math.pi]),
        (rm.DiffusionDistance(rm.Torus(2), 0.25), [0.0, 1.0], [math.pi, 2.0]),
        (rm.BiharmonicDistance(rm.Sphere(2)), [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]),
    ],
    ids=["farthest point", "half a turn in one angle", "antipode"],
)
def test_paths_leave_the_cut_locus_to_one_side(d: rm.Premetric, start: list[float], end: list[float]) -> None:
    """Where the gradient vanishes, or leads into a saddle; the first steps are as steep as floats allow."""
    x0, x1 = (torch.tensor(a, dtype=F64).expand(4, -1) for a in (start, end))
    t = torch.tensor([0.0, 1e-3, 0.5, 1.0], dtype=F64)
    x_t, u_t = rm.PremetricPath(d).sample(t, x0, x1)
    torch.testing.assert_close(d.dist(x_t, x1), (1 - t) * d.dist(x0, x1), rtol=1e-9, atol=1e-12)
    assert float(d.manifold.dist(x_t[0], x0[0])) < 1e-5
    assert bool(u_t.isfinite().all())


def test_points_can_be_differentiated_in_both_ends() -> None:
    """The derivative of the implicit equation for the distance against difference quotients."""
    M = rm.Sphere(2)
    path, t, h = rm.PremetricPath(rm.BiharmonicDistance(M)), torch.tensor(0.4, dtype=F64), 1e-5
    x0, x1 = (a[0] for a in pairs(M, 1))
    v, w = M.frame(x0)[0], M.frame(x1)[1]
    found = torch.func.jvp(lambda a, b: path.sample(t, a, b).x_t, (x0, x1), (v, w))[1]
    there, back = (path.sample(t, M.exp(x0, s * v), M.exp(x1, s * w)).x_t for s in (h, -h))
    torch.testing.assert_close(found, (there - back) / (2 * h), rtol=1e-7, atol=1e-8)


def test_a_sum_that_is_cut_off_where_it_wiggles_is_refused() -> None:
    wiggles = rm.SpectralDistance(rm.Sphere(2), torch.reciprocal, degree=12)
    with pytest.raises(rm.OptionError, match="is no premetric: it does not grow with the distance"):
        rm.PremetricPath(wiggles)
