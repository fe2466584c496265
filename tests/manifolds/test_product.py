"""Products: every method against the factors, the laws that only a product has, and integrals in closed form."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.special import i0
from torch import Tensor
from torch.func import hessian, jacrev, vmap

import rmatch as rm
from rmatch.manifolds import EmbeddedManifold, Euclidean, Manifold, Product, Sphere, Torus

from .cases import cut_point, every_dtype, points

close = torch.testing.assert_close
F64 = torch.float64

MEMBERS = [
    Product(Sphere(2), Torus(1)),
    Product(Torus(2), Euclidean(1)),
    Product(Sphere(1), Sphere(3), Euclidean(2)),
    Product(Sphere(2)),
]
every_product = pytest.mark.parametrize("M", MEMBERS, ids=repr)


def on(M: Product, make: Callable[..., Tensor], batch: tuple[int, ...] = (5,), seed: int = 0) -> Tensor:
    """Points made on each factor."""
    return M.join([make(factor, batch, seed + 100 * k) for k, factor in enumerate(M.factors)])


def sample(M: Product, batch: tuple[int, ...] = (5,)) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two batches of points, and two of tangent vectors at the first."""
    x, y = on(M, points, batch, 0), on(M, points, batch, 1)
    u, v = (M.random_tangent(x, generator=torch.Generator().manual_seed(seed)) for seed in (2, 3))
    return x, y, u, v


# ---------------------------------------------------------------------------------------------- coordinates


@every_product
@pytest.mark.parametrize("batch", [(), (0,), (4,), (2, 3)], ids=str)
def test_split_undoes_join(M: Product, batch: tuple[int, ...]) -> None:
    parts = [points(factor, batch, k) for k, factor in enumerate(M.factors)]
    x = M.join(parts)
    assert x.shape == (*batch, *M.point_shape)
    for part, again in zip(parts, M.split(x), strict=True):
        assert torch.equal(part, again)


def test_join_broadcasts_the_batches_of_its_parts() -> None:
    M = Product(Sphere(2), Torus(1))
    x = M.join([Sphere(2).origin(), torch.zeros(7, 1)])
    assert x.shape == (7, 4)
    assert M.check_point(x) is None


class Line(Euclidean):
    """Numbers without an axis of coordinates."""

    def __init__(self) -> None:
        super().__init__(1)
        self.point_shape = ()


def test_split_undoes_join_where_the_points_of_a_factor_are_numbers() -> None:
    M = Product(Line(), Sphere(1), Line())
    assert M.point_shape == (4,)
    for batch in ((), (3,), (2, 3)):
        parts = [torch.randn(batch), points(Sphere(1), batch).float(), torch.randn(batch)]
        x = M.join(parts)
        assert x.shape == (*batch, 4)
        assert torch.equal(x[..., 3], parts[2])
        for part, again in zip(parts, M.split(x), strict=True):
            assert torch.equal(part, again)


def test_products_within_products_are_flat() -> None:
    inner = Product(Sphere(2), Torus(1))
    nested = Product(inner, Product(Euclidean(1)))
    assert nested == Product(Sphere(2), Torus(1), Euclidean(1))
    assert nested.factors == (Sphere(2), Torus(1), Euclidean(1))
    x = on(inner, points)
    y = points(Euclidean(1), (5,))
    assert torch.equal(nested.join([*inner.split(x), y]), torch.cat([x, y], -1))


def test_repr_is_the_constructor_call() -> None:
    assert repr(Product(Sphere(2), Torus(1))) == "Product(Sphere(2), Torus(1))"
    assert Product(Sphere(2), Torus(1)) != Product(Torus(1), Sphere(2))
    assert hash(Product(Sphere(2))) == hash(Product(Sphere(2)))
    assert Product(Sphere(2)) != Sphere(2)


def test_dimension_and_volume_add_and_multiply() -> None:
    M = Product(Sphere(2), Torus(1))
    assert M.dim == 3
    assert M.point_shape == (4,)
    assert math.isclose(M.volume, 4 * math.pi * 2 * math.pi)
    assert Product(Sphere(2), Euclidean(1)).volume == math.inf


# ------------------------------------------------------------------------------------- against the factors

BY_PARTS: dict[str, Callable[[Manifold, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "exp": lambda M, x, y, u, v: M.exp(x, u),
    "log": lambda M, x, y, u, v: M.log(x, y),
    "project": lambda M, x, y, u, v: M.project(1.5 * x),
    "to_tangent": lambda M, x, y, u, v: M.to_tangent(x, y),
    "transport": lambda M, x, y, u, v: M.transport(x, y, u),
    "sharp": lambda M, x, y, u, v: M.sharp(x, y),
    "geodesic": lambda M, x, y, u, v: M.geodesic(x, y, 0.3),
    "point": lambda M, x, y, u, v: M.geodesic_with_velocity(x, y, 0.3)[0],
    "velocity": lambda M, x, y, u, v: M.geodesic_with_velocity(x, y, 0.3)[1],
    "magnitude": lambda M, x, y, u, v: M.magnitude(x),
    "coordinate_covector": lambda M, x, y, u, v: M.coordinate_covector(u),
}
SUMS: dict[str, Callable[[Manifold, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "inner": lambda M, x, y, u, v: M.inner(x, u, v),
    "squared dist": lambda M, x, y, u, v: M.dist(x, y).square(),
    "squared norm": lambda M, x, y, u, v: M.norm(x, u).square(),
    "log_det_exp": lambda M, x, y, u, v: M.log_det_exp(x, 0.2 * u),
    "log_volume_density": lambda M, x, y, u, v: M.log_volume_density(x),
    "squared error size": lambda M, x, y, u, v: M.dim * M.error_size(x, y, u, rtol=1e-3, atol=1e-4).square(),
}


@every_product
@pytest.mark.parametrize("name", BY_PARTS)
def test_each_factor_goes_its_own_way(M: Product, name: str) -> None:
    arrays = sample(M)
    whole = BY_PARTS[name](M, *arrays)
    for factor, part, *mine in zip(M.factors, M.split(whole), *map(M.split, arrays), strict=True):
        close(part, BY_PARTS[name](factor, *mine), rtol=0, atol=0)


@every_product
@pytest.mark.parametrize("name", SUMS)
def test_the_whole_is_the_sum_over_the_factors(M: Product, name: str) -> None:
    arrays = sample(M)
    parts = [SUMS[name](factor, *mine) for factor, *mine in zip(M.factors, *map(M.split, arrays), strict=True)]
    close(SUMS[name](M, *arrays), torch.stack(parts).sum(0), rtol=1e-13, atol=1e-13)


def test_a_geodesic_is_minimising_where_every_part_of_it_is() -> None:
    """Up to a length of π on the sphere, of half a turn on the circle, and of any on the line."""
    M = Product(Sphere(2), Torus(1), Euclidean(1))
    x = M.origin(dtype=F64)
    on_sphere, on_circle, on_line = M.factors[0].frame(M.split(x)[0])[0], torch.ones(1, dtype=F64), 9 * torch.ones(1)
    lengths = [(3.1, 3.1), (3.2, 3.1), (3.1, 3.2), (3.2, 3.2), (0.0, 0.0), (0.0, -3.2)]
    v = torch.stack([M.join([a * on_sphere, b * on_circle, on_line.double()]) for a, b in lengths])
    wanted = [True, False, False, False, True, False]
    assert M.is_minimising(x.expand(6, -1), v).tolist() == wanted
    assert M.is_minimising(x, v.reshape(2, 3, -1)).tolist() == [wanted[:3], wanted[3:]]


@every_product
def test_frame_is_orthonormal_and_the_metric_reproduces_the_inner_product(M: Product) -> None:
    x, _, u, v = sample(M)
    e = M.frame(x)
    assert e.shape == (5, M.dim, *M.point_shape)
    close(M.inner(x[:, None, None], e[:, :, None], e[:, None]), torch.eye(M.dim, dtype=F64).expand(5, -1, -1))
    close(torch.einsum("bi,bij,bj->b", u, M.metric(x), v), M.inner(x, u, v), rtol=1e-12, atol=1e-13)
    close(M.metric(x), Manifold.metric(M, x), rtol=0, atol=1e-14)
    assert M.coordinate_frame(x).shape == e.shape


@every_product
def test_span_is_tangent_linear_and_reaches_every_vector(M: Product) -> None:
    x = on(M, points)
    basis = torch.eye(M.span_size, dtype=F64)
    vectors = M.span(x.unsqueeze(1).expand(5, M.span_size, -1), basis.expand(5, -1, -1))
    assert M.check_tangent(x.unsqueeze(1), vectors) is None
    assert torch.linalg.matrix_rank(vectors).tolist() == [M.dim] * 5
    c = torch.randn(5, M.span_size, generator=torch.Generator().manual_seed(0), dtype=F64)
    close(M.span(x, c), torch.einsum("bk,bki->bi", c, vectors))


@every_product
def test_volume_form_is_oriented_and_its_square_is_the_gram_determinant(M: Product) -> None:
    x = on(M, points)
    vectors = torch.stack([M.random_tangent(x, generator=torch.Generator().manual_seed(s)) for s in range(M.dim)], -2)
    volume = M.volume_form(x, vectors)
    close(volume.abs(), Manifold.volume_form(M, x, vectors), rtol=1e-9, atol=1e-9)
    close(M.volume_form(x, -vectors), (-1) ** M.dim * volume)
    # dV of a product on vectors of the factors is the product of the factors' forms, in their order
    e = M.frame(x)
    wanted = torch.ones(5, dtype=F64)
    for factor, part in zip(M.factors, M.split(x), strict=True):
        wanted = wanted * factor.volume_form(part, factor.frame(part))
    close(M.volume_form(x, e), wanted)


class Unoriented(EmbeddedManifold):
    """S² without an orientation: its volume form is the default one."""

    dim, point_shape, volume = 2, (3,), 4 * math.pi
    exp, log, origin, project = Sphere(2).exp, Sphere(2).log, Sphere(2).origin, Sphere(2).project  # type: ignore[assignment]
    to_tangent, transport = Sphere(2).to_tangent, Sphere(2).transport  # type: ignore[assignment]


def test_without_an_orientation_of_every_factor_the_volume_is_positive() -> None:
    M, oriented = Product(Unoriented(), Torus(1)), Product(Sphere(2), Torus(1))
    x = on(oriented, points)
    vectors = torch.stack([oriented.random_tangent(x) for _ in range(3)], -2)
    close(M.volume_form(x, vectors), oriented.volume_form(x, vectors).abs())
    close(M.volume_form(x, -vectors), oriented.volume_form(x, vectors).abs())


# ------------------------------------------------------------------------------------------ derivatives


@every_product
@every_dtype
def test_derivatives_are_finite_where_points_agree_or_are_opposite(M: Product, dtype: torch.dtype) -> None:
    """In every factor, in none, and in one but not in the others: first and second derivatives."""
    a = on(M, points, ()).to(dtype)
    opposite = M.join([cut_point(factor, part) for factor, part in zip(M.factors, M.split(a), strict=True)])
    other = on(M, points, (), 7).to(dtype)
    mixed = M.join([M.split(a)[0], *M.split(other)[1:]])
    y = torch.stack([a, opposite, other, mixed])
    x = a.expand_as(y)
    maps: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "dist": M.dist,
        "log": lambda p, q: M.log(p, q).sum(),
        "velocity": lambda p, q: M.geodesic_with_velocity(p, q, 0.3)[1].sum(),
    }
    for name, f in maps.items():
        for order in (jacrev, hessian):
            for derivative in vmap(order(f, argnums=1))(x, y), vmap(order(f, argnums=0))(x, y):
                assert bool(derivative.isfinite().all()), name


def test_squared_distance_has_the_right_second_derivative_where_one_factor_agrees() -> None:
    """½ dist² has the identity as its Hessian in the factor in which the points agree, whatever the others do.

    On a circle and a line there is no curvature, so it is the identity in all.
    """
    M = Product(Torus(1), Euclidean(2))
    y = torch.tensor([1.0, 0.5, -0.5], dtype=F64)
    for x in ([1.0, 2.0, 3.0], [2.5, 0.5, -0.5], [1.0, 0.5, -0.5]):
        for transform in (lambda f: f, lambda f: lambda z: vmap(f)(z[None])[0]):
            energy = transform(lambda z: M.dist(z, y).square() / 2)
            found = hessian(energy)(torch.tensor(x, dtype=F64))
            if x != y.tolist():  # there the distance itself has no derivative
                close(found, torch.eye(3, dtype=F64), rtol=0, atol=1e-12)


def test_laplacian_of_a_product_of_eigenfunctions() -> None:
    """Δ (z cos 3θ) = (-2 - 9) z cos 3θ on S² × T¹."""
    M = Product(Sphere(2), Torus(1))

    def f(x: Tensor) -> Tensor:
        return x[..., 2] * (3 * x[..., 3]).cos()

    x = on(M, points)
    close(M.laplacian(f)(x), -11 * f(x), rtol=1e-12, atol=1e-12)


def test_divergence_adds_up_also_where_a_field_mixes_the_factors() -> None:
    """V = cos θ grad z + z ∂_θ on S² × T¹ has Div V = -2 z cos θ."""
    M = Product(Sphere(2), Torus(1))
    up = torch.tensor([0.0, 0.0, 1.0], dtype=F64)

    def field(x: Tensor) -> Tensor:
        p, angle = M.split(x)
        return M.join([Sphere(2).to_tangent(p, angle.cos() * up), p[..., 2:]])

    x = on(M, points)
    close(M.divergence(field)(x), -2 * x[..., 2] * x[..., 3].cos(), rtol=1e-12, atol=1e-13)


@every_product
def test_rows_are_the_same_under_vmap_and_alone(M: Product) -> None:
    x, y, u, v = sample(M)
    cases: list[tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = [
        (M.dist, (x, y)),
        (M.log, (x, y)),
        (M.transport, (x, y, u)),
        (M.frame, (x,)),
        (M.features, (x,)),
    ]
    for f, given in cases:
        together = f(*given)
        close(vmap(f)(*given), together)
        close(f(*(a[3] for a in given)), together[3])
    close(M.exp(x[0], u[:1].expand(4, -1)), M.exp(x[0], u[0]).expand(4, -1))
    assert M.inner(x[0], u, v).shape == (5,)


@pytest.mark.parametrize("name", ["dist", "log", "exp", "transport"])
def test_compiled_without_a_graph_break_gives_the_same_numbers(name: str) -> None:
    M = MEMBERS[0]
    x, y, u, _ = sample(M)
    given = {"dist": (x, y), "log": (x, y), "exp": (x, u), "transport": (x, y, u)}[name]
    torch._dynamo.reset()
    compiled = torch.compile(getattr(M, name), fullgraph=True, backend="aot_eager")
    close(compiled(*given), getattr(M, name)(*given), rtol=1e-13, atol=1e-13)


# ------------------------------------------------------------------------------------------ integration


def test_the_tensor_rule_integrates_what_its_factors_do() -> None:
    """∫ exp(a·x) exp(cos θ) over S² × T¹ is 4π sinh|a|/|a| · 2π I_0(1)."""
    M = Product(Sphere(2), Torus(1))
    a = torch.tensor([0.6, -0.8, 1.0], dtype=F64)
    assert M.quadrature_is_exact(30)
    nodes, weights = M.quadrature(30)
    assert len(weights) == 16 * 31 * 31
    assert M.check_point(nodes) is None
    r = float(a.norm())
    wanted = 4 * math.pi * math.sinh(r) / r * 2 * math.pi * float(i0(1.0))
    value = M.integrate(lambda x: (x[..., :3] @ a + x[..., 3].cos()).exp(), degree=30, with_error=True)
    assert float(value.value) == pytest.approx(wanted, rel=1e-13)
    assert float(value.error) < 1e-10 * wanted


def test_what_is_too_large_for_a_tensor_rule_has_an_error_that_covers_the_truth() -> None:
    """61² · 31 · 61 nodes would be 7 million; a Student's t with seven degrees of freedom holds 99.9 % within 5.4."""
    M = Product(Sphere(2), Torus(2))
    assert not M.quadrature_is_exact(60)
    value, error = M.integrate(lambda x: (x[..., 2] + x[..., 3].cos()).exp(), with_error=True)
    wanted = 4 * math.pi * math.sinh(1) * (2 * math.pi) ** 2 * float(i0(1.0))
    assert abs(float(value) - wanted) <= 5.4 * float(error) <= 0.01 * wanted


def test_a_factor_without_an_exact_rule_makes_the_product_a_sequence() -> None:
    """∫ over S² × R⁴ of a normal density of scale 0.8 times (1 + z²) is 4π (1 + 1/3)."""
    M = Product(Sphere(2), Euclidean(4))

    def f(x: Tensor) -> Tensor:
        normal = torch.exp(-x[..., 3:].square().sum(-1) / (2 * 0.64)) / (2 * math.pi * 0.64) ** 2
        return normal * (1 + x[..., 2].square())

    value, error = M.integrate(f, with_error=True)
    assert abs(float(value) - 16 * math.pi / 3) <= 5.4 * float(error) <= 0.2


@pytest.mark.parametrize(
    "M",
    [Sphere(2), Sphere(15), Torus(3), Euclidean(3), rm.SpecialOrthogonal(3), rm.Lorentz(2), rm.PoincareBall(3)],
    ids=repr,
)
def test_points_of_the_cube_have_weights_that_average_to_the_integral(M: Manifold) -> None:
    u = torch.rand(4096, M.cube_size, generator=torch.Generator().manual_seed(0), dtype=F64)
    nodes, weights = M.from_cube(u)
    assert M.check_point(nodes) is None
    # on a compact manifold all weights are the same, so that the uniform law would not tell where the nodes are
    law = rm.Uniform(M) if M.dim > 3 else rm.WrappedNormal(M, M.origin(dtype=F64), 0.8)
    density = law.log_prob(nodes).exp()
    terms = weights * density
    assert abs(float(terms.mean()) - 1) <= 5 * float(terms.std()) / 64 + 1e-12


# --------------------------------------------------------------------------------------------- bad input


def test_a_product_of_nothing_or_of_something_else_is_refused() -> None:
    with pytest.raises(rm.OptionError, match=r"one factor or more, got Product\(\)"):
        Product()
    with pytest.raises(rm.OptionError, match="factor 2 is 'torus'"):
        Product(Sphere(2), "torus")  # type: ignore[arg-type]


def test_the_problem_of_a_point_names_the_factor() -> None:
    M = Product(Sphere(2), Torus(1))
    x = on(M, points)
    assert M.check_point(x) is None
    low, high = x.clone(), x.clone()
    low[3, :3] *= 1.1
    high[2, 3] = 7.0
    assert (M.check_point(low) or "").startswith("factor 1 of Product(Sphere(2), Torus(1)): on Sphere(2), row 3 is 0.")
    assert (M.check_point(high) or "").startswith("factor 2 of Product(Sphere(2), Torus(1)): angles on Torus(1)")
    assert "have shape (*batch, 4), got (5, 3)" in (M.check_point(x[:, :3]) or "")
    with pytest.raises(rm.PointError, match="factor 1"):
        M.require_point(low)


def test_the_problem_of_a_tangent_vector_names_the_factor() -> None:
    M = Product(Torus(1), Sphere(2))
    x = on(M, points)
    v = M.random_tangent(x)
    assert M.check_tangent(x, v) is None
    assert (M.check_tangent(x, v + 0.1 * x) or "").startswith("factor 2 of Product(Torus(1), Sphere(2)): on Sphere(2)")


def test_mismatched_parts_are_refused_by_name() -> None:
    M = Product(Sphere(2), Torus(1))
    with pytest.raises(rm.ShapeError, match="have 2 parts, got 1"):
        M.join([torch.zeros(3)])
    with pytest.raises(rm.ShapeError, match=r"part 2, on Torus\(1\), has shape \(\*batch, 1\), got \(2,\)"):
        M.join([torch.zeros(3), torch.zeros(2)])
    with pytest.raises(rm.ShapeError, match=r"have shape \(\*batch, 4\), got \(2, 5\)"):
        M.split(torch.zeros(2, 5))
