"""What the base class derives from a member's few methods against the closed forms that override it."""

import math

import pytest
import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import EmbeddedManifold, Euclidean, Manifold, Sphere, Torus

from .cases import every_dtype, every_member, points, tangents

close = torch.testing.assert_close


def sample(M: Manifold, batch: tuple[int, ...] = (6,)) -> tuple[Tensor, Tensor, Tensor]:
    x = points(M, batch, 0)
    return x, points(M, batch, 1), tangents(M, x, 2)


@every_member
def test_default_dist_is_the_closed_form(M: Manifold) -> None:
    x, y, _ = sample(M)
    close(Manifold.dist(M, x, y), M.dist(x, y), rtol=1e-13, atol=0)


@every_member
def test_default_metric_is_the_closed_form_and_reproduces_the_inner_product(M: Manifold) -> None:
    x, _, u = sample(M)
    v = tangents(M, x, 3)
    metric = Manifold.metric(M, x)
    close(metric, M.metric(x), rtol=0, atol=1e-14)
    close(torch.einsum("bi,bij,bj->b", u, metric, v), M.inner(x, u, v), rtol=1e-12, atol=1e-13)
    assert torch.equal(torch.linalg.matrix_rank(metric), torch.full((6,), M.dim))


@every_member
def test_default_frame_of_no_points_is_empty(M: Manifold) -> None:
    x = points(M, (0,), 0)
    assert Manifold.frame(M, x).shape == (0, M.dim, *M.point_shape)
    assert Manifold.random_tangent(M, x).shape == x.shape


@every_member
@every_dtype
def test_default_frame_spans_the_same_space(M: Manifold, dtype: torch.dtype) -> None:
    x = torch.cat([points(M, (6,), 0, dtype), M.origin(dtype=dtype)[None]])
    default, closed = Manifold.frame(M, x), M.frame(x)
    eps = torch.finfo(dtype).eps
    close(default @ default.mT, torch.eye(M.dim, dtype=dtype).expand(7, -1, -1), rtol=0, atol=64 * eps)
    # the change of basis is orthogonal exactly where the spans agree
    change = default @ closed.mT
    close(change @ change.mT, torch.eye(M.dim, dtype=dtype).expand(7, -1, -1), rtol=0, atol=64 * eps)


@every_member
def test_default_volume_form_is_the_closed_form_up_to_orientation(M: Manifold) -> None:
    x, _, _ = sample(M)
    vectors = torch.stack([tangents(M, x, seed) for seed in range(M.dim)], -2)
    # the square root of a Gram determinant has half the digits where the volume is nearly 0, hence the wider bound
    close(Manifold.volume_form(M, x, vectors), M.volume_form(x, vectors).abs(), rtol=1e-9, atol=1e-9)


@every_member
@pytest.mark.parametrize("size", [0.0, 1e-6, 0.3, 1.0])
def test_default_log_det_exp_by_autodiff_is_the_closed_form(M: Manifold, size: float) -> None:
    x, _, v = sample(M)
    v = size * v / math.sqrt(M.dim)
    close(Manifold.log_det_exp(M, x, v), M.log_det_exp(x, v), rtol=1e-9, atol=1e-9)
    many = M.to_tangent(x[0], v)  # one point, many vectors
    close(Manifold.log_det_exp(M, x[0], many), M.log_det_exp(x[0], many), rtol=1e-9, atol=1e-9)


def test_log_det_exp_of_the_sphere_is_that_of_a_shrinking_parallel() -> None:
    """The parallel at colatitude r has radius sin r, where the flat circle has r: sin r / r across."""
    for n in (1, 2, 3, 15):
        M = Sphere(n)
        x = points(M)
        for r in (1e-9, 1e-3, 0.5, 2.0, 3.0, 4.0):
            wanted = (n - 1) * math.log(abs(math.sin(r) / r))
            close(M.log_det_exp(x, r * M.frame(x)[0]), torch.tensor(wanted, dtype=x.dtype), rtol=1e-13, atol=1e-15)


@every_member
def test_default_random_tangent_is_tangent_and_unbiased(M: Manifold) -> None:
    x = points(M).expand(5000, -1)
    v = Manifold.random_tangent(M, x, generator=torch.Generator().manual_seed(1))
    assert M.check_tangent(x, v) is None
    square = M.inner(x, v, v).mean()
    assert abs(float(square) - M.dim) <= 5 * math.sqrt(2 * M.dim / 5000)  # a chi-square law: variance 2 dim


@every_member
def test_default_coordinate_frame_and_drift_belong_to_open_sets_of_coordinates(M: Manifold) -> None:
    x, _, v = sample(M)
    assert Manifold.coordinate_frame(M, x).shape == (6, *2 * M.point_shape)
    drift = Manifold.density_drift(M, x, v)
    assert drift is not None
    close(drift, torch.zeros(6, dtype=x.dtype))
    assert M.density_drift(x, v) is None  # the density of an embedded manifold is constant
    close(M.log_volume_density(x), torch.zeros(6, dtype=x.dtype))


@every_member
def test_sharp_represents_the_differential(M: Manifold) -> None:
    x, _, v = sample(M)
    covector = torch.randn_like(x)
    close(M.inner(x, M.sharp(x, covector), v), (covector * v).sum(-1), rtol=1e-12, atol=1e-12)
    assert M.check_tangent(x, M.sharp(x, covector)) is None


@pytest.mark.parametrize("M", [Sphere(2), Torus(2)], ids=repr)
def test_features_are_smooth_and_separate_points(M: Manifold) -> None:
    x, y, _ = sample(M)
    assert float((M.features(x) - M.features(y)).abs().amax(-1).min()) > 1e-2
    near = M.exp(x, torch.full_like(x, 1e-9)) if isinstance(M, Torus) else x
    close(M.features(near), M.features(x), rtol=0, atol=1e-8)


def test_features_of_the_torus_do_not_see_the_seam() -> None:
    M = Torus(2)
    below, above = torch.tensor([[2 * math.pi - 1e-9, 3.0], [1e-9, 3.0]], dtype=torch.float64)
    close(M.features(below), M.features(above), rtol=0, atol=3e-9)


class PlainSphere(EmbeddedManifold):
    """S² with nothing but what a member must supply: what a user's own manifold starts from."""

    dim, point_shape, volume = 2, (3,), 4 * math.pi

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        return Sphere(2).exp(x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return Sphere(2).log(x, y)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        return Sphere(2).origin(dtype=dtype, device=device)

    def project(self, x: Tensor) -> Tensor:
        return Sphere(2).project(x)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        return Sphere(2).to_tangent(x, v)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        return Sphere(2).transport(x, y, v)


def test_a_member_with_nothing_but_the_required_methods_has_the_whole_calculus() -> None:
    plain, closed = PlainSphere(), Sphere(2)
    x = points(closed, (5,))
    a, b = points(closed, (), 8), points(closed, (), 9)

    def field(z: Tensor) -> Tensor:
        return closed.to_tangent(z, a * (z @ b).unsqueeze(-1).sin())

    def height(z: Tensor) -> Tensor:
        return (z @ a).exp()

    close(plain.divergence(field)(x), closed.divergence(field)(x), rtol=1e-12, atol=1e-13)
    close(plain.laplacian(height)(x), closed.laplacian(height)(x), rtol=1e-12, atol=1e-12)
    close(plain.gradient(height)(x), closed.gradient(height)(x), rtol=1e-14, atol=1e-14)
    assert repr(plain) == "PlainSphere(2)"
    assert plain != closed


def test_default_quadrature_is_importance_sampling_where_exp_is_one_to_one() -> None:
    """On Euclidean space, where it is: E|x|² of a normal law of scale 0.8 in R³ is 3 · 0.64."""
    M = Euclidean(3)
    nodes, weights = Manifold.quadrature(M, 60)
    density = torch.exp(-nodes.square().sum(-1) / 2 / 0.64) / (2 * math.pi * 0.64) ** 1.5
    close(weights @ density, torch.tensor(1.0, dtype=torch.float64), rtol=2e-3, atol=0)
    close(weights @ (density * nodes.square().sum(-1)), torch.tensor(1.92, dtype=torch.float64), rtol=5e-3, atol=0)
    assert not Manifold.quadrature_is_exact(M, 60)


@pytest.mark.parametrize("cls", [Euclidean, Sphere, Torus])
def test_dimension_zero_is_refused(cls: type[Manifold]) -> None:
    with pytest.raises(OptionError, match=r"dimension 1 or more, got .*\(0\)"):
        cls(0)  # type: ignore[call-arg]


def test_members_are_equal_by_type_and_dimension() -> None:
    assert Sphere(2) == Sphere(2)
    assert hash(Sphere(2)) == hash(Sphere(2))
    assert Sphere(2) != Sphere(3)
    assert Sphere(2) != Torus(2)
    assert repr(Torus(5)) == "Torus(5)"
    assert {Sphere(2): 1}[Sphere(2)] == 1
