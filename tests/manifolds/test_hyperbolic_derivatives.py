"""Derivatives of hyperbolic space: the backward passes written by hand, those of the plain formulas, and exact ones."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

import rmatch as rm

from . import reference_hyperbolic as ref
from .reference import ONE, combine
from .test_derivatives import OF_VECTORS, TO_POINTS, flat

close = torch.testing.assert_close
MODELS: dict[str, type[rm.HyperbolicSpace]] = {"Lorentz": rm.Lorentz, "PoincareBall": rm.PoincareBall}
every_model = pytest.mark.parametrize("model", MODELS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
SIZES = [0.0, 1e-160, 1e-30, 1e-20, 1e-8, 1e-3, 1.0, 10.0]
Chart = Callable[[Tensor, Tensor], Tensor]


def point(M: rm.Manifold, z: Tensor) -> Tensor:
    """The point with the chart's coordinates z: itself in the ball, the point over it on the hyperboloid."""
    return M.project(torch.nn.functional.pad(z, (1, 0))) if isinstance(M, rm.Lorentz) else z


def vector(M: rm.Manifold, z: Tensor, w: Tensor) -> Tensor:
    """The tangent vector at `point(z)` with the chart's coordinates w."""
    if not isinstance(M, rm.Lorentz):
        return w
    x = point(M, z)
    return torch.cat([(z * w).sum(-1, keepdim=True) / x[..., :1], w], -1)


def in_the_chart(M: rm.Manifold) -> dict[str, Chart]:
    """What has a backward pass by hand, as functions of free coordinates."""
    return {
        "dist": lambda z, w: M.dist(point(M, z), point(M, w)),
        "log": lambda z, w: M.log(point(M, z), point(M, w)),
        "exp": lambda z, w: M.exp(point(M, z), vector(M, z, w)),
        "inner": lambda z, w: M.inner(point(M, z), vector(M, z, w), vector(M, z, w.flip(-1))),
        "norm": lambda z, w: M.norm(point(M, z), vector(M, z, w)),
        "transport": lambda z, w: M.transport(point(M, z), point(M, w), vector(M, z, w.flip(-1))),
    }


def coordinates(model: str, n: int, size: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    spread = 0.15 if model == "PoincareBall" else 1.0
    z = spread * torch.randn(20, n, generator=generator, dtype=dtype)
    return z, z + min(size, 1.0) * spread / 2 * torch.randn(20, n, generator=generator, dtype=dtype)


@every_model
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3, 0.03, 1.0])
@pytest.mark.parametrize("curvature", [-1.0, -0.3])
def test_gradients_by_hand_are_those_of_the_plain_formula(model: str, n: int, size: float, curvature: float) -> None:
    """`torch.func.vjp` takes the plain formula, and so does a gradient that can be differentiated again."""
    M = MODELS[model](n, curvature)
    z, w = coordinates(model, n, size, torch.float64)
    for name, f in in_the_chart(M).items():
        value, pull = torch.func.vjp(f, z, w)[:2]
        weights = torch.randn(value.shape, generator=torch.Generator().manual_seed(1), dtype=value.dtype)
        leaves = (z.clone().requires_grad_(), w.clone().requires_grad_())
        by_hand = torch.autograd.grad(f(*leaves), leaves, weights)
        again = torch.autograd.grad(f(*leaves), leaves, weights, create_graph=True)
        for wanted, got, other in zip(pull(weights), by_hand, again, strict=True):
            close(got, wanted, rtol=1e-10, atol=1e-11, msg=f"{name}, {got - wanted}")
            close(other.detach(), wanted, rtol=1e-12, atol=1e-13, msg=name)


@every_model
def test_gradients_by_hand_add_up_what_was_broadcast(model: str) -> None:
    M = MODELS[model](2)
    z, w = coordinates(model, 2, 1.0, torch.float64)
    for name, f in in_the_chart(M).items():
        one, many = z[0].clone().requires_grad_(), w.clone().requires_grad_()
        got = torch.autograd.grad(f(one, many).sum(), (one, many))
        wanted = torch.func.grad(lambda a, b, f=f: f(a, b).sum(), argnums=(0, 1))(z[0], w)
        for a, b in zip(got, wanted, strict=True):
            close(a, b, rtol=1e-11, atol=1e-12, msg=name)


@every_model
def test_second_derivatives_of_reverse_mode_are_those_of_transforms(model: str) -> None:
    M = MODELS[model](2)
    z, w = (a[3] for a in coordinates(model, 2, 1.0, torch.float64))
    for name, f in in_the_chart(M).items():
        wanted = hessian(lambda a, f=f: f(a, w).sum())(z)
        got = torch.autograd.functional.hessian(lambda a, f=f: f(a, w).sum(), z)
        close(got, wanted, rtol=1e-10, atol=1e-11, msg=name)


@every_model
@pytest.mark.parametrize(
    ("radius", "separation"),
    [(1.0, 1e-6), (1.0, 1.0), (5.0, 1e-3), (5.0, 5.0), (10.0, 1e-6), (10.0, 1.0), (20.0, 1.0), (10.0, 20.0)],
)
def test_gradient_of_the_distance_is_the_unit_vector_away(model: str, radius: float, separation: float) -> None:
    """The gradient of dist(., y) at x is -log_x y / θ, at 60 digits, judged in the metric.

    Rounding turns a little of what lies across the radius into a radial part, and on the hyperboloid that pairs with
    vectors cosh r times as large: no covector of floats is better.
    """
    M = MODELS[model](2)
    for seed in range(4):
        x, y = (ref.as_tensor(model, p, torch.float64) for p in ref.pair(2, radius, separation, "any", seed))
        at, to = ref.point(model, x), ref.point(model, y)
        wanted = [-p / ref.dist(at, to) for p in ref.log(at, to)]
        leaf = x.clone().requires_grad_()
        (covector,) = torch.autograd.grad(M.dist(leaf, y), leaf)
        got = ref.vector(model, x, M.sharp(x, covector))
        spread = math.cosh(radius) if model == "Lorentz" else 4.0
        assert float(ref.length(combine(ONE, got, -ONE, wanted))) <= (16 + 4 * spread) * torch.finfo(x.dtype).eps


@every_dtype
@pytest.mark.parametrize("M", [rm.Lorentz(2), rm.PoincareBall(2, -4.0)], ids=repr)
def test_first_and_second_derivatives_are_finite_at_equal_points_and_zero_vectors(
    M: rm.HyperbolicSpace, dtype: torch.dtype
) -> None:
    origin = M.origin(dtype=dtype)
    away = M.exp(origin, M.random_tangent(origin, generator=torch.Generator().manual_seed(0)))
    bases = [x for x in (origin, away) for _ in SIZES]
    vectors = [size * M.frame(x)[0] for x in (origin, away) for size in SIZES]
    x, v = torch.stack(bases), torch.stack(vectors)
    y = M.exp(x, v)
    orders = {
        "jacrev": lambda f: jacrev(f, argnums=(0, 1)),
        "jacfwd": lambda f: jacfwd(f, argnums=(0, 1)),
        "jacrev of jacrev": lambda f: jacrev(jacrev(f, argnums=(0, 1)), argnums=(0, 1)),
        "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f, argnums=(0, 1)), argnums=(0, 1)),
        "hessian": lambda f: hessian(f, argnums=(0, 1)),
    }
    for names, second in ((TO_POINTS, y), (OF_VECTORS, v)):
        for name, make in names.items():
            f = make(M)
            for order, derivative in orders.items():
                for block in flat(vmap(derivative(lambda a, b, f=f: f(a, b).sum()))(x, second)):
                    assert bool(block.isfinite().all()), (name, order)
            for row in range(len(x)):  # without transforms: by hand, and twice by reverse mode
                leaves = (x[row].clone().requires_grad_(), second[row].clone().requires_grad_())
                gradients = torch.autograd.grad(f(*leaves).sum(), leaves, create_graph=True, allow_unused=True)
                plain = torch.autograd.grad(f(*leaves).sum(), leaves, allow_unused=True)
                total = sum((g.sum() for g in gradients if g is not None), torch.zeros((), dtype=dtype))
                if total.requires_grad:
                    twice = torch.autograd.grad(total, leaves, allow_unused=True)
                    assert all(bool(g.isfinite().all()) for g in twice if g is not None), (name, row)
                assert all(bool(g.isfinite().all()) for g in (*gradients, *plain) if g is not None), (name, row)


@every_model
@pytest.mark.parametrize(
    "name", ["dist", *(pytest.param(f, marks=pytest.mark.slow) for f in ("log", "exp", "transport"))]
)
def test_compiled_without_a_graph_break_gives_the_same_numbers_and_gradients(model: str, name: str) -> None:
    M = MODELS[model](2)
    f = in_the_chart(M)[name]
    z, w = (a.requires_grad_() for a in coordinates(model, 2, 1.0, torch.float64))
    value, wanted = torch.compile(f, fullgraph=True, backend="aot_eager")(z, w), f(z, w)
    close(value, wanted, rtol=1e-13, atol=1e-14)
    for got, exact_one in zip(
        torch.autograd.grad(value.sum(), (z, w)), torch.autograd.grad(wanted.sum(), (z, w)), strict=True
    ):
        close(got, exact_one, rtol=1e-11, atol=1e-12)
