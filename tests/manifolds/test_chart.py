"""A chart with only its metric given reproduces surfaces that are known in closed form."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.special import ellipeinc, ellipkinc
from torch import Tensor

import rmatch as rm

TWO_PI = 2 * math.pi


def conformal(scale: Tensor) -> Tensor:
    return scale[..., None, None] * torch.eye(2, dtype=scale.dtype)


def stereographic(x: Tensor) -> Tensor:
    """The unit sphere without its south pole."""
    return conformal(4 / (1 + x.square().sum(-1)) ** 2)


def ball(x: Tensor) -> Tensor:
    return conformal(4 / (1 - x.square().sum(-1)) ** 2)


def polar(x: Tensor) -> Tensor:
    """The plane in polar coordinates (r, φ)."""
    return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), x[..., 0].square()], -1))


def doughnut(x: Tensor) -> Tensor:
    """The torus of revolution with radii 2 and 1, in (φ, θ)."""
    return torch.diag_embed(torch.stack([(2 + x[..., 1].cos()).square(), torch.ones_like(x[..., 1])], -1))


AXES = (1.0, 1.5, 2.0)


def on_ellipsoid(x: Tensor) -> Tensor:
    """The point of R³ with polar angle θ and azimuth φ."""
    theta, phi = x.unbind(-1)
    a, b, c = AXES
    return torch.stack([a * theta.sin() * phi.cos(), b * theta.sin() * phi.sin(), c * theta.cos()], -1)


def ellipsoid(x: Tensor) -> Tensor:
    columns = [torch.func.jvp(on_ellipsoid, (x,), (e.expand_as(x),))[1] for e in torch.eye(2, dtype=x.dtype)]
    jacobian = torch.stack(columns, -1)
    return jacobian.mT @ jacobian


def equidistant(x: Tensor) -> Tensor:
    """The hyperbolic plane: (distance to a geodesic, position along it)."""
    return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), x[..., 0].cosh().square()], -1))


SPHERE = rm.ChartManifold(2, stereographic, volume=4 * math.pi)
BALL = rm.ChartManifold(2, ball, domain=lambda x: x.square().sum(-1) < 1)
PLANE = rm.ChartManifold(2, polar, domain=[(0, math.inf), (0, TWO_PI)], periodic=[1])
DOUGHNUT = rm.ChartManifold(2, doughnut, domain=[(0, TWO_PI)] * 2, periodic=[0, 1])
ELLIPSOID = rm.ChartManifold(2, ellipsoid, domain=[(0, math.pi), (0, TWO_PI)], periodic=[1])


def normal(n: int, seed: int, size: float) -> Tensor:
    return size * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lifted(x: Tensor) -> Tensor:
    """From stereographic coordinates to unit vectors."""
    square = x.square().sum(-1, keepdim=True)
    return torch.cat([2 * x, 1 - square], -1) / (1 + square)


def pushed(x: Tensor, v: Tensor) -> Tensor:
    return torch.func.jvp(lifted, (x,), (v,))[1]


def curvature(M: rm.ChartManifold, x: Tensor) -> Tensor:
    """Gauss' curvature R_1212 / det g, with R^l_212 from the Christoffel symbols and their derivatives."""
    gamma = M.christoffel(x)
    d = [torch.func.jvp(M.christoffel, (x,), (e.expand_as(x),))[1] for e in torch.eye(2, dtype=x.dtype)]
    riemann = d[0][..., :, 1, 1] - d[1][..., :, 0, 1]
    riemann = riemann + torch.einsum("...lm,...m->...l", gamma[..., :, 0, :], gamma[..., :, 1, 1])
    riemann = riemann - torch.einsum("...lm,...m->...l", gamma[..., :, 1, :], gamma[..., :, 0, 1])
    g = M.metric(x)
    return (g[..., 0, :] * riemann).sum(-1) / torch.linalg.det(g)


# ------------------------------------------------------------------------------------ known surfaces


def test_stereographic_sphere_has_the_geodesics_of_the_sphere() -> None:
    S, x, y, w = rm.Sphere(2), normal(8, 0, 0.4), normal(8, 1, 0.4), normal(8, 2, 1.0)
    v = SPHERE.log(x, y)
    torch.testing.assert_close(pushed(x, v), S.log(lifted(x), lifted(y)), atol=1e-11, rtol=0)
    torch.testing.assert_close(lifted(SPHERE.exp(x, v)), lifted(y), atol=1e-11, rtol=0)
    torch.testing.assert_close(SPHERE.dist(x, y), S.dist(lifted(x), lifted(y)), atol=1e-11, rtol=0)
    moved = S.transport(lifted(x), lifted(y), pushed(x, w))
    torch.testing.assert_close(pushed(y, SPHERE.transport(x, y, w)), moved, atol=1e-11, rtol=0)
    torch.testing.assert_close(curvature(SPHERE, x), torch.ones(8, dtype=torch.float64), atol=1e-12, rtol=0)


def test_geodesic_with_velocity_is_the_spheres_from_start_to_end() -> None:
    S, x, y = rm.Sphere(2), normal(3, 0, 0.4), normal(3, 1, 0.4)
    t = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    point, velocity = SPHERE.geodesic_with_velocity(x, y, t)
    expected, rate = S.geodesic_with_velocity(lifted(x), lifted(y), t)
    torch.testing.assert_close(lifted(point), expected, atol=1e-11, rtol=0)
    torch.testing.assert_close(pushed(point, velocity), rate, atol=1e-11, rtol=0)


def test_ball_has_hyperbolic_distances_and_curvature() -> None:
    x, y = normal(8, 0, 0.3), normal(8, 1, 0.3)
    gap = (x - y).square().sum(-1) / ((1 - x.square().sum(-1)) * (1 - y.square().sum(-1)))
    torch.testing.assert_close(BALL.dist(x, y), 2 * gap.sqrt().asinh(), atol=1e-11, rtol=0)
    torch.testing.assert_close(curvature(BALL, x), -torch.ones(8, dtype=torch.float64), atol=1e-11, rtol=0)


def test_ball_geodesic_keeps_its_distance_to_the_edge() -> None:
    """Eight units out, where 1 - |x| is 2e-7: the error is measured in the metric and not in the coordinates."""
    x = BALL.exp(torch.zeros(2, dtype=torch.float64), torch.tensor([4.0, 0.0], dtype=torch.float64))
    edge = 2 / (1 + math.exp(8.0))
    assert float(1 - x[0]) == pytest.approx(edge, rel=1e-9)  # one rounding of x is 1e-13 of it


def test_polar_coordinates_have_straight_lines_and_their_christoffel_symbols() -> None:
    x = torch.tensor([2.0, 0.5], dtype=torch.float64)
    y = torch.tensor([1.0, 6.0], dtype=torch.float64)  # across φ = 0
    xy = [(r * torch.stack([phi.cos(), phi.sin()])) for r, phi in (x, y)]
    torch.testing.assert_close(PLANE.dist(x, y), (xy[0] - xy[1]).norm(), atol=1e-12, rtol=0)
    middle = PLANE.geodesic(x, y, 0.5)
    torch.testing.assert_close(middle[0], ((xy[0] + xy[1]) / 2).norm(), atol=1e-12, rtol=0)
    expected = torch.zeros(2, 2, 2, dtype=torch.float64)
    expected[0, 1, 1], expected[1, 0, 1], expected[1, 1, 0] = -2.0, 0.5, 0.5
    torch.testing.assert_close(PLANE.christoffel(x), expected, atol=1e-14, rtol=0)


def test_doughnut_has_its_area_and_curvature_and_no_total_curvature() -> None:
    assert pytest.approx(8 * math.pi**2, rel=1e-14) == DOUGHNUT.volume
    x = torch.tensor([[0.3, 0.2], [5.0, 3.0]], dtype=torch.float64)
    expected = x[:, 1].cos() / (2 + x[:, 1].cos())
    torch.testing.assert_close(curvature(DOUGHNUT, x), expected, atol=1e-13, rtol=0)
    total = DOUGHNUT.integrate(lambda z: curvature(DOUGHNUT, z), degree=40)  # Gauss and Bonnet: 2π times 0
    assert abs(float(total)) < 1e-11


def test_doughnut_geodesics_keep_clairauts_constant_and_their_speed() -> None:
    x = torch.tensor([[0.1, 0.2], [6.0, 3.0]], dtype=torch.float64)
    v = torch.tensor([[2.0, 5.0], [-1.5, 4.0]], dtype=torch.float64)  # several times round
    y, w = (
        DOUGHNUT.exp(x, v),
        torch.func.jvp(lambda t: DOUGHNUT.exp(x, t * v), (torch.ones(()).double(),), (torch.ones(()).double(),))[1],
    )
    assert DOUGHNUT.check_point(y) is None
    before, after = ((2 + p[..., 1].cos()) ** 2 * u[..., 0] for p, u in ((x, v), (y, w)))
    torch.testing.assert_close(after, before, atol=1e-9, rtol=0)
    torch.testing.assert_close(DOUGHNUT.norm(y, w), DOUGHNUT.norm(x, v), atol=1e-9, rtol=0)


def test_ellipsoid_has_its_area_and_curvature() -> None:
    a, b, c = sorted(AXES, reverse=True)
    phi = math.acos(c / a)
    k = a**2 * (b**2 - c**2) / (b**2 * (a**2 - c**2))
    legendre = ellipeinc(phi, k) * math.sin(phi) ** 2 + ellipkinc(phi, k) * math.cos(phi) ** 2
    assert pytest.approx(TWO_PI * (c**2 + a * b / math.sin(phi) * legendre), rel=1e-12) == ELLIPSOID.volume
    x = torch.tensor([[0.8, 0.2], [1.5, 4.0]], dtype=torch.float64)
    p, axes = on_ellipsoid(x), torch.tensor(AXES, dtype=torch.float64)
    expected = 1 / (axes.prod() * (p / axes**2).square().sum(-1)) ** 2
    torch.testing.assert_close(curvature(ELLIPSOID, x), expected, atol=1e-12, rtol=0)


def test_calculus_on_a_chart_is_the_spheres() -> None:
    x = normal(5, 3, 0.6)

    def height(z: Tensor) -> Tensor:  # a harmonic of degree 1
        return lifted(z)[..., 2]

    def field(z: Tensor) -> Tensor:
        return torch.stack([z[..., 0].sin() * z[..., 1].cos(), (z[..., 0] + z[..., 1]).sin()], -1)

    torch.testing.assert_close(SPHERE.laplacian(height)(x), -2 * height(x), atol=1e-13, rtol=0)
    slope = pushed(x, SPHERE.gradient(height)(x))
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(5, 3)
    torch.testing.assert_close(slope, rm.Sphere(2).to_tangent(lifted(x), up), atol=1e-13, rtol=0)
    flux = DOUGHNUT.integrate(DOUGHNUT.divergence(field))  # a closed surface lets nothing out
    assert abs(float(flux)) < 1e-11
    e = SPHERE.frame(x)
    assert bool((SPHERE.volume_form(x, e) > 0).all())
    assert bool((SPHERE.volume_form(x, e.flip(-2)) < 0).all())


# ---------------------------------------------------------------------------------------- quadrature


def test_quadrature_reaches_over_unbounded_and_half_bounded_axes() -> None:
    assert float(SPHERE.integrate(lambda x: torch.ones_like(x[..., 0]), degree=90)) == pytest.approx(
        4 * math.pi, rel=1e-9
    )
    bell = PLANE.integrate(lambda x: torch.exp(-x[..., 0].square() / 2), degree=120)
    assert float(bell) == pytest.approx(TWO_PI, rel=1e-10)


def test_quadrature_in_many_dimensions_says_how_far_off_it_is() -> None:
    M = rm.ChartManifold(4, lambda x: torch.diag_embed((1 + x).square()), domain=[(0, 1)] * 4, volume=1.5**4)
    total = M.integrate(lambda x: torch.ones_like(x[..., 0]), degree=60, with_error=True)
    assert not M.quadrature_is_exact(60)
    assert abs(float(total.value) - 1.5**4) < 10 * float(total.error) < 0.05


# --------------------------------------------------------------------------------------- derivatives


def test_log_keeps_relative_precision_between_close_points() -> None:
    x = torch.tensor([0.5, 0.25], dtype=torch.float64)
    step = torch.tensor([2.0**-40, 2.0**-41], dtype=torch.float64)  # x + step is exact
    torch.testing.assert_close(SPHERE.log(x, x + step), step, rtol=1e-11, atol=0)


def test_first_and_second_derivatives_of_the_squared_distance_are_the_spheres() -> None:
    S, x, y = rm.Sphere(2), normal(1, 4, 0.5)[0], normal(1, 5, 0.5)[0]

    def derivatives(f: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        z = torch.cat([x, y]).requires_grad_()
        (first,) = torch.autograd.grad(f(z[:2], z[2:]), z, create_graph=True)
        rows = [torch.autograd.grad(first[i], z, retain_graph=True)[0] for i in range(4)]
        return [first.detach(), torch.stack(rows)]

    got = derivatives(lambda a, b: SPHERE.dist(a, b).square() / 2)
    expected = derivatives(lambda a, b: S.dist(lifted(a), lifted(b)).square() / 2)
    torch.testing.assert_close(got[0], expected[0], atol=1e-10, rtol=0)
    torch.testing.assert_close(got[1], expected[1], atol=1e-9, rtol=0)


def test_exp_and_log_work_under_vmap_and_jvp() -> None:
    x, y = normal(3, 0, 0.3), normal(3, 1, 0.3)
    v = SPHERE.log(x, y)
    torch.testing.assert_close(torch.func.vmap(SPHERE.log)(x, y), v, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.func.vmap(SPHERE.exp)(x, v), y, atol=1e-11, rtol=0)
    torch.testing.assert_close(torch.func.vmap(SPHERE.exp, (None, 0))(x[0], v), SPHERE.exp(x[0], v), atol=1e-11, rtol=0)
    rate = torch.func.jvp(lambda b: SPHERE.log(x, b), (y,), (torch.ones_like(y),))[1]
    shift = 1e-5
    difference = (SPHERE.log(x, y + shift) - SPHERE.log(x, y - shift)) / (2 * shift)
    torch.testing.assert_close(rate, difference, atol=1e-7, rtol=0)


def test_a_metric_can_be_learned_through_its_geodesics() -> None:
    stretch = torch.nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
    M = rm.ChartManifold(
        2, lambda x: torch.diag_embed(torch.stack([stretch.exp() + 0 * x[..., 0], 1 + 0 * x[..., 0]], -1))
    )
    x, y = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 0.0], dtype=torch.float64)
    slope = torch.autograd.grad(M.dist(x, y), stretch)[0]
    assert float(slope) == pytest.approx(1.5 * math.exp(0.15), rel=1e-12)  # of 3 exp(s / 2)


def test_single_precision_is_single_precision_accurate() -> None:
    x, y = normal(4, 0, 0.3), normal(4, 1, 0.3)
    got = SPHERE.dist(x.float(), y.float())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), SPHERE.dist(x, y), atol=2e-6, rtol=0)


def test_a_flow_trains_on_a_chart() -> None:
    generator = torch.Generator().manual_seed(0)
    M = rm.ChartManifold(2, equidistant)
    field = rm.TangentMLP(M, width=16, depth=2)
    objective = rm.FlowMatching(rm.GeodesicPath(M), base=rm.WrappedNormal(M, M.origin(), 0.3))
    points = 0.3 * torch.randn(8, 2, generator=generator)
    loss = objective(field, points, generator=generator)
    loss.backward()
    assert math.isfinite(float(loss.detach()))


# -------------------------------------------------------------------------------------------- errors


def test_a_metric_that_is_not_positive_definite_is_named_with_row_and_eigenvalue() -> None:
    M = rm.ChartManifold(2, lambda x: torch.diag_embed(torch.stack([1 - x[..., 0], 1 + 0 * x[..., 0]], -1)))
    x = torch.tensor([[0.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    for call in (M.require_point, M.log_volume_density, M.frame):
        with pytest.raises(rm.PointError, match=r"positive definite \(smallest eigenvalue -2\) at row 1"):
            call(x)


def test_a_metric_that_is_skew_or_not_finite_or_of_the_wrong_shape_is_refused() -> None:
    skew = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    with pytest.raises(rm.PointError, match="not symmetric"):
        rm.ChartManifold(2, lambda x: skew.expand(*x.shape, 2))
    with pytest.raises(rm.PointError, match="not finite"):
        rm.ChartManifold(2, lambda x: conformal(1 / x[..., 0]))
    with pytest.raises(rm.ShapeError, match="vmap"):
        rm.ChartManifold(2, lambda x: torch.eye(3))


def test_a_point_outside_the_domain_is_named() -> None:
    x = torch.tensor([[0.0, 0.0], [0.8, 0.9], [3.0, 4.0]], dtype=torch.float64)
    for call in (
        lambda: BALL.require_point(x),
        lambda: BALL.exp(x, x),
        lambda: BALL.log(x, 0 * x),
        lambda: BALL.log(0 * x, x),
    ):
        with pytest.raises(rm.PointError, match=r"row 1 .*0\.8.*outside the domain"):
            call()


def test_a_geodesic_that_leaves_the_chart_says_where() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    v = torch.tensor([[0.0, 1.0], [-2.0, 0.0]], dtype=torch.float64)  # the second runs into r = 0 half way
    with pytest.raises(rm.SolverError, match=r"row 1 leaves the chart.* at 0\.4999"):
        PLANE.exp(x, v)


def test_a_shot_past_the_antipode_is_refused_and_not_guessed() -> None:
    x = torch.tensor([[0.1, 0.0], [1.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[0.2, 0.0], [-1.5, 0.05]], dtype=torch.float64)
    with pytest.raises(rm.SolverError, match="row 1 converges only up to"):
        SPHERE.log(x, y)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dim": 0}, "dimension 1 or more"),
        ({"domain": [(0, 1)]}, "2 pairs"),
        ({"domain": [(0, 1), (2, 2)]}, "axis 1"),
        ({"periodic": [0]}, "two finite bounds"),
        ({"domain": [(0, 1)] * 2, "periodic": [2]}, "two finite bounds"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rm.OptionError, match=text):
        rm.ChartManifold(arguments.pop("dim", 2), stereographic, **arguments)
    with pytest.raises(rm.PointError, match="outside the domain"):
        rm.ChartManifold(2, ball, domain=[(-1, 1)] * 2, origin=[2.0, 0.0])


def test_equality_is_that_of_the_metric_and_not_of_its_name() -> None:
    def other(x: Tensor) -> Tensor:
        return stereographic(x)

    other.__name__ = "stereographic"
    assert rm.ChartManifold(2, stereographic) == rm.ChartManifold(2, stereographic)
    assert rm.ChartManifold(2, other) != rm.ChartManifold(2, stereographic)
    assert rm.ChartManifold(2, stereographic, domain=[(-1, 1)] * 2) != rm.ChartManifold(2, stereographic)
    assert repr(rm.ChartManifold(2, stereographic)) == "ChartManifold(2, stereographic)"
