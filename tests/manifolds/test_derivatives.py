"""No first or second derivative is infinite or NaN: equal points, zero vectors, the cut locus, and near them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

from .cases import cut_point, every_dtype, points, tangents

Map = Callable[[Tensor, Tensor], Tensor]

MEMBERS = [Euclidean(3), Sphere(1), Sphere(2), Sphere(15), Torus(1), Torus(3)]
SIZES = [0.0, 1e-160, 1e-40, 1e-30, 1e-20, 1e-12, 1e-8, 1e-4, 1e-2, 1.0]


def delicate_pairs(M: Manifold, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Pairs of points: equal, opposite, and a step of every size away from either, from two base points."""
    xs, ys = [], []
    for x in (points(M, (), 0, dtype), M.origin(dtype=dtype)):
        for target in (x, cut_point(M, x)):
            for size in SIZES:
                # along a coordinate axis a float can be as near as it likes; `+` and not exp keeps such a step
                axis = torch.zeros_like(x)
                axis[0] = size
                near = M.exp(target, tangents(M, target, 1, size))
                for y in (near, M.project(target + axis) if size < 1e-3 else near):
                    xs.append(x)
                    ys.append(y)
    return torch.stack(xs), torch.stack(ys)


def delicate_vectors(M: Manifold, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Points and tangent vectors of every size, and of length π."""
    xs, vs = [], []
    for x in (points(M, (), 0, dtype), M.origin(dtype=dtype)):
        e = M.frame(x)[0]
        for size in (*SIZES, math.pi, math.pi - 1e-6, 2 * math.pi):
            xs.append(x)
            vs.append(size * e)
    return torch.stack(xs), torch.stack(vs)


TO_POINTS: dict[str, Callable[[Manifold], Map]] = {
    "dist": lambda M: M.dist,
    "log": lambda M: M.log,
    "transport": lambda M: lambda x, y: M.transport(x, y, M.to_tangent(x, torch.ones_like(x))),
    "geodesic": lambda M: lambda x, y: M.geodesic(x, y, 0.3),
    "velocity": lambda M: lambda x, y: M.geodesic_with_velocity(x, y, 0.3)[1],
    "default velocity": lambda M: lambda x, y: Manifold.geodesic_with_velocity(M, x, y, 0.3)[1],
    "default dist": lambda M: lambda x, y: Manifold.dist(M, x, y),
}
OF_VECTORS: dict[str, Callable[[Manifold], Map]] = {
    "exp": lambda M: M.exp,
    "norm": lambda M: M.norm,
    "to_tangent": lambda M: M.to_tangent,
    "frame": lambda M: lambda x, v: M.frame(x),
    "project": lambda M: lambda x, v: M.project(x),
}

ORDERS: dict[str, Callable[[Map], Map]] = {
    "first, reverse": lambda f: jacrev(f, argnums=(0, 1)),
    "first, forward": lambda f: jacfwd(f, argnums=(0, 1)),
    "jacrev of jacrev": lambda f: jacrev(jacrev(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f, argnums=(0, 1)), argnums=(0, 1)),
    "hessian": lambda f: hessian(f, argnums=(0, 1)),
}


def flat(result: Any) -> list[Tensor]:
    return [t for part in result for t in flat(part)] if isinstance(result, tuple) else [result]


def assert_finite(f: Map, x: Tensor, y: Tensor) -> None:
    """Every derivative at every row, under vmap; of the sum of the values, which a NaN or infinity spoils."""
    for name, derivative in ORDERS.items():
        for block in flat(vmap(derivative(lambda x, y: f(x, y).sum()))(x, y)):
            bad = (~block.isfinite()).flatten(1).any(1)
            assert not bool(bad.any()), f"{name} is not finite at {x[bad][0].tolist()}, {y[bad][0].tolist()}"


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
@every_dtype
@pytest.mark.parametrize("name", TO_POINTS)
def test_derivatives_of_functions_of_two_points_are_finite(M: Manifold, dtype: torch.dtype, name: str) -> None:
    x, y = delicate_pairs(M, dtype)
    assert_finite(TO_POINTS[name](M), x, y)


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
@every_dtype
@pytest.mark.parametrize("name", OF_VECTORS)
def test_derivatives_of_functions_of_a_vector_are_finite(M: Manifold, dtype: torch.dtype, name: str) -> None:
    x, v = delicate_vectors(M, dtype)
    assert_finite(OF_VECTORS[name](M), x, v)


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
@every_dtype
@pytest.mark.parametrize("name", TO_POINTS)
def test_derivatives_of_single_pairs_are_finite_without_vmap(M: Manifold, dtype: torch.dtype, name: str) -> None:
    """Outside vmap the rare cases are skipped where they are absent, so each pair alone takes its own branch."""
    f = TO_POINTS[name](M)
    x, y = delicate_pairs(M, dtype)
    for row in range(0, len(x), 3):
        point, other = x[row].clone().requires_grad_(), y[row].clone().requires_grad_()
        derivatives = [f(point, other)]
        for _ in range(2):
            total = sum((d.sum() for d in derivatives), torch.zeros((), dtype=dtype))
            if total.requires_grad:  # else it is constant
                found = torch.autograd.grad(total, (point, other), create_graph=True, allow_unused=True)
                derivatives = [d for d in found if d is not None]
            assert all(bool(d.isfinite().all()) for d in derivatives), (x[row].tolist(), y[row].tolist())


@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Sphere(15)], ids=repr)
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-4, 0.5])
def test_second_derivative_of_exp_is_right_at_small_vectors(M: Manifold, size: float) -> None:
    """d²/ds² <w, exp_x(v + s h)> from the Taylor series of cos and sinc, which is exact at these sizes."""
    x = points(M)
    e = M.frame(x)
    v, h, w = size * e[0], e[-1] + 0.5 * e[0], points(M, seed=5)

    def series(s: Tensor) -> Tensor:
        q = (v + s * h).square().sum()
        cosine = sum((-q) ** k / math.factorial(2 * k) for k in range(9))
        sinc = sum((-q) ** k / math.factorial(2 * k + 1) for k in range(9))
        return w @ (cosine * x + sinc * (v + s * h))

    zero = torch.zeros((), dtype=x.dtype)
    second = hessian(lambda s: w @ M.exp(x, v + s * h))(zero)
    torch.testing.assert_close(second, hessian(series)(zero), atol=1e-11, rtol=0)


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_half_the_squared_distance_has_the_identity_as_its_hessian_at_the_point_itself(M: Manifold) -> None:
    y = points(M)
    e = M.frame(y)

    def energy(c: Tensor) -> Tensor:
        return M.dist(M.exp(y, torch.einsum("i,i...->...", c, e)), y).square() / 2

    at = torch.full((M.dim,), 1e-3 / math.sqrt(M.dim), dtype=y.dtype)  # dist itself has no derivative at 0
    identity = torch.eye(M.dim, dtype=y.dtype)
    torch.testing.assert_close(hessian(energy)(at), identity, atol=1e-9, rtol=0)
