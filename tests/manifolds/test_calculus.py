"""Gradient, divergence and Laplacian: known answers, product rules, and the theorems that tie them to the volume."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

from .cases import every_dtype, every_member, points, tangents

close = torch.testing.assert_close
BATCHES = [(), (0,), (4,), (2, 3)]


class Smooth:
    """A smooth function and a smooth tangent field, made of waves in the features."""

    def __init__(self, M: Manifold, seed: int = 0, scale: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        width = M.features(M.origin(dtype=torch.float64)).shape[-1]
        self.M = M
        self.weights = scale * torch.randn(3, width, generator=generator, dtype=torch.float64) / math.sqrt(width)
        self.mix = torch.randn(3, *M.point_shape, generator=generator, dtype=torch.float64)

    def waves(self, x: Tensor) -> Tensor:
        return torch.sin(self.M.features(x) @ self.weights.T + torch.arange(3.0, dtype=torch.float64))

    def function(self, x: Tensor) -> Tensor:
        return self.waves(x).sum(-1)

    def field(self, x: Tensor) -> Tensor:
        return self.M.to_tangent(x, self.waves(x) @ self.mix)


@every_member
@given(data=st.data())
def test_gradient_represents_the_differential(M: Manifold, data: st.DataObject) -> None:
    f = Smooth(M, data.draw(st.integers(0, 1000))).function
    x = points(M, data.draw(st.sampled_from(BATCHES)), data.draw(st.integers(0, 1000)))
    v = tangents(M, x, 1)
    gradient = M.gradient(f)(x)
    assert M.check_tangent(x, gradient, tolerance=1e-14) is None
    differential = torch.func.jvp(lambda s: f(M.exp(x, s * v)), (torch.zeros(1).double(),), (torch.ones(1).double(),))
    close(M.inner(x, gradient, v), differential[1], rtol=1e-12, atol=1e-12)


@every_member
@given(data=st.data())
def test_divergence_of_a_product_is_f_div_v_plus_the_derivative_of_f_along_v(M: Manifold, data: st.DataObject) -> None:
    smooth = Smooth(M, data.draw(st.integers(0, 1000)))
    f, V = smooth.function, smooth.field
    x = points(M, data.draw(st.sampled_from(BATCHES)), data.draw(st.integers(0, 1000)))
    product = M.divergence(lambda z: f(z).unsqueeze(-1) * V(z))(x)
    close(product, f(x) * M.divergence(V)(x) + M.inner(x, M.gradient(f)(x), V(x)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 15])
@every_dtype
def test_divergence_of_a_projected_constant_is_minus_n_times_the_height(n: int, dtype: torch.dtype) -> None:
    """V(x) = a - <a, x> x is the gradient of the height <a, x>, a harmonic of degree 1: Div V = -n <a, x>."""
    M = Sphere(n)
    x, a = points(M, (20,), 0, dtype), points(M, (), 1, dtype)
    height = x @ a
    divergence = M.divergence(lambda z: a - (z @ a).unsqueeze(-1) * z)(x)
    close(divergence, -n * height, rtol=0, atol=20 * n * torch.finfo(dtype).eps)
    assert divergence.dtype == dtype


@pytest.mark.parametrize("n", [1, 2, 15])
def test_calculus_does_not_see_how_a_field_is_continued_off_the_sphere(n: int) -> None:
    M = Sphere(n)
    smooth = Smooth(M, 3)
    V, f, x = smooth.field, smooth.function, points(M, (10,))

    def radius(z: Tensor) -> Tensor:
        return z.norm(dim=-1, keepdim=True)

    continuations = {
        "constant along rays": lambda z: V(z / radius(z)),
        "times a power of the radius": lambda z: V(z) * radius(z) ** 3,
        "times a wave in the radius": lambda z: V(z / radius(z)) * torch.cos(5 * (radius(z) - 1)),
        "with a normal part off it": lambda z: V(z) + (radius(z) - 1) * z,
    }
    wanted = M.divergence(V)(x)
    for name, W in continuations.items():
        close(W(x), V(x), rtol=0, atol=1e-14, msg=name)
        close(M.divergence(W)(x), wanted, rtol=1e-12, atol=1e-12 * n, msg=name)
    for name, g in {
        "constant along rays": lambda z: f(z / radius(z)),
        "times a power of the radius": lambda z: f(z) * radius(z)[..., 0] ** 5,
    }.items():
        close(M.gradient(g)(x), M.gradient(f)(x), rtol=1e-12, atol=1e-13, msg=name)
        close(M.laplacian(g)(x), M.laplacian(f)(x), rtol=1e-11, atol=1e-11 * n, msg=name)


@pytest.mark.parametrize("M", [Sphere(2), Sphere(3), Torus(2), Euclidean(3)], ids=repr)
def test_divergence_does_not_depend_on_the_frame(M: Manifold, monkeypatch: pytest.MonkeyPatch) -> None:
    V, x = Smooth(M, 4).field, points(M, (5,))
    wanted = M.divergence(V)(x)

    straight = M.frame

    def turned(z: Tensor) -> Tensor:
        rotation = torch.linalg.qr(torch.randn(M.dim, M.dim, dtype=z.dtype))[0]
        return torch.einsum("ij,...jk->...ik", rotation, straight(z))

    monkeypatch.setattr(M, "frame", turned)
    close(M.divergence(V)(x), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("degree", range(6))
def test_harmonics_of_degree_l_on_the_two_sphere_have_eigenvalue_minus_l_times_l_plus_one(degree: int) -> None:
    """The zonal harmonic P_l(<a, x>), and the sectoral one Re (x + i y)^l."""
    M = Sphere(2)
    x, a = points(M, (8,)), points(M, (), 1)

    def zonal(z: Tensor) -> Tensor:
        s = z @ a
        before, now = torch.ones_like(s), s
        for k in range(1, degree):
            before, now = now, ((2 * k + 1) * s * now - k * before) / (k + 1)
        return now if degree else before + 0 * s

    def sectoral(z: Tensor) -> Tensor:
        return (torch.complex(z[..., 0], z[..., 1]) ** degree).real if degree else z[..., 0] * 0 + 1

    for f in (zonal, sectoral):
        close(M.laplacian(f)(x), -degree * (degree + 1) * f(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 15])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_sectoral_harmonics_on_every_sphere_have_eigenvalue_minus_l_times_l_plus_n_minus_one(
    n: int, degree: int
) -> None:
    M = Sphere(n)
    x = points(M, (8,))

    def f(z: Tensor) -> Tensor:
        u, v = z[..., 0], z[..., -1]
        return {1: u, 2: u * v, 3: u * (u * u - 3 * v * v)}[degree]

    close(M.laplacian(f)(x), -degree * (degree + n - 1) * f(x), rtol=0, atol=1e-12)


def test_waves_on_the_torus_have_eigenvalue_minus_the_square_of_their_wave_vector() -> None:
    for k in ([3.0], [1.0, -2.0], [2.0, 0.0, 5.0]):
        wave = torch.tensor(k, dtype=torch.float64)
        M = Torus(len(k))
        x = points(M, (8,))

        def f(z: Tensor, wave: Tensor = wave) -> Tensor:
            return torch.cos(z @ wave + 0.3)

        close(M.laplacian(f)(x), -wave.square().sum() * f(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Sphere(3), Torus(1), Torus(2)], ids=repr)
def test_integral_of_a_divergence_is_zero_and_integration_by_parts_holds(M: Manifold) -> None:
    """∫ Div V = 0, ∫ f Div V = -∫ <∇f, V>, ∫ f Δg = ∫ g Δf = -∫ <∇f, ∇g>, to the digits of a spectral rule."""
    degree = 40 if M.dim < 3 else 30
    smooth, other = Smooth(M, 5, 0.7), Smooth(M, 6, 0.7)
    f, g, V = smooth.function, other.function, smooth.field

    def pair(u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum(-1)

    assert abs(float(M.integrate(M.divergence(V), degree=degree))) <= 1e-12 * M.volume
    by_parts = M.integrate(lambda x: f(x) * M.divergence(V)(x) + pair(M.gradient(f)(x), V(x)), degree=degree)
    assert abs(float(by_parts)) <= 1e-12 * M.volume
    green = M.integrate(lambda x: f(x) * M.laplacian(g)(x) - g(x) * M.laplacian(f)(x), degree=degree)
    assert abs(float(green)) <= 1e-12 * M.volume * 10
    energy = M.integrate(lambda x: f(x) * M.laplacian(g)(x) + pair(M.gradient(f)(x), M.gradient(g)(x)), degree=degree)
    assert abs(float(energy)) <= 1e-12 * M.volume * 10


@every_member
def test_hutchinson_estimate_is_unbiased(M: Manifold) -> None:
    """The mean over 4000 probes lies within five standard errors of the exact divergence, which the probes give too."""
    V = Smooth(M, 7).field
    x = points(M, (3,))
    generator = torch.Generator().manual_seed(0)
    wanted = M.divergence(V)(x)
    # many copies of each point with one probe each, so that the spread of single estimates is seen
    copies = x.expand(4000, *x.shape)
    estimates = M.divergence(V, method="hutchinson", generator=generator)(copies)
    standard_error = estimates.std(0) / math.sqrt(4000)
    assert bool(((estimates.mean(0) - wanted).abs() <= 5 * standard_error + 1e-12).all())
    together = M.divergence(V, method="hutchinson", probes=400, generator=generator)(x)
    assert bool(((together - wanted).abs() <= 5 * standard_error * math.sqrt(10) + 1e-12).all())


def test_hutchinson_probes_are_tangent() -> None:
    """Where DV = 3 I the estimate is 3 |z|²: its mean is 3 n for tangent probes z, and 3 (n + 1) for ambient ones."""
    M = Sphere(2)
    x = points(M).expand(20_000, 3)
    here = x[0].clone()
    estimates = M.divergence(lambda z: 3.0 * (z - here), method="hutchinson", generator=torch.Generator())(x)
    assert abs(float(estimates.mean()) - 6.0) <= 5 * float(estimates.std()) / math.sqrt(20_000)


@every_member
@every_dtype
@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_value_and_divergence_gives_both_in_one_pass(M: Manifold, dtype: torch.dtype, method: str) -> None:
    smooth = Smooth(M, 8)
    calls = 0

    def field(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return smooth.field(z.double()).to(dtype)

    x = points(M, (2, 3), 0, dtype)
    options = {"method": method, "generator": torch.Generator().manual_seed(3)}
    value, divergence = M.value_and_divergence(field, **options)(x)  # type: ignore[arg-type]
    assert calls == 1
    assert torch.equal(value, field(x))
    options["generator"] = torch.Generator().manual_seed(3)
    assert torch.equal(divergence, M.divergence(field, **options)(x))  # type: ignore[arg-type]
    assert divergence.dtype == dtype
    assert divergence.shape == (2, 3)


def test_divergence_of_a_constant_field_is_zero_and_differentiable() -> None:
    M = Euclidean(3)
    constant = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(M.divergence(lambda x: constant.expand_as(x))(points(M, (4,))), torch.zeros(4).double())
    x = points(Sphere(2), (4,)).requires_grad_()
    divergence = Sphere(2).divergence(Smooth(Sphere(2), 9).field)(x)
    (gradient,) = torch.autograd.grad(divergence.sum(), x)
    along = tangents(Sphere(2), x.detach(), 3)
    step = 1e-5
    there, back = (Sphere(2).exp(x.detach(), s * along) for s in (step, -step))
    divergence_of = Sphere(2).divergence(Smooth(Sphere(2), 9).field)
    slope = (divergence_of(there) - divergence_of(back)) / (2 * step)
    close((gradient * along).sum(-1), slope, rtol=1e-7, atol=1e-7)


def test_divergence_trains_the_parameters_of_a_field() -> None:
    M = Sphere(2)
    a = points(M).requires_grad_()
    x = points(M, (6,), 1)
    total = M.divergence(lambda z: M.to_tangent(z, a.expand_as(z)))(x).sum()
    (gradient,) = torch.autograd.grad(total, a)
    close(gradient, -2 * x.sum(0), rtol=1e-12, atol=1e-12)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown divergence method 'trace'; use 'exact' or 'hutchinson'"):
        Sphere(2).divergence(lambda x: x, method="trace")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="at least one probe, got probes=0"):
        Sphere(2).divergence(lambda x: x, method="hutchinson", probes=0)


@every_member
@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_calculus_without_gradients_has_the_same_values_and_builds_no_graph(M: Manifold, method: str) -> None:
    """Under `torch.no_grad` the products are taken by plain autograd, which cannot be differentiated again."""
    smooth, x = Smooth(M, 5), points(M, (4,))
    weight = torch.ones((), dtype=x.dtype, requires_grad=True)  # as in a network

    def field(z: Tensor) -> Tensor:
        return weight * smooth.field(z)

    def evaluate() -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        value, divergence = M.value_and_divergence(field, method=method, probes=2, generator=generator)(x)  # pyright: ignore[reportArgumentType]
        return value, divergence, M.gradient(smooth.function)(x), M.laplacian(smooth.function)(x)

    wanted = evaluate()
    with torch.no_grad():
        found = evaluate()
        constant = M.divergence(lambda z: M.to_tangent(z, torch.zeros_like(z)).detach())(x)
    for value, other in zip(found, wanted, strict=True):
        close(value, other, rtol=1e-12, atol=1e-13)
        assert not value.requires_grad
    close(constant, torch.zeros_like(constant))
    assert wanted[1].requires_grad


def test_calculus_without_gradients_works_under_vmap() -> None:
    M, x = Sphere(2), points(Sphere(2), (4,))
    divergence = M.divergence(Smooth(M, 5).field)
    with torch.no_grad():
        close(torch.func.vmap(divergence)(x), divergence(x))
