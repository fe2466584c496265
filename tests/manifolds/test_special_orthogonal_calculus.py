"""Rotations under derivatives, transforms and integrals: finite everywhere, the same in every batch, characters."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

from rmatch.manifolds import Manifold

from .cases import every_dtype
from .rotations import F64, M, rotations, tangents

close = torch.testing.assert_close

# ---- derivatives -----------------------------------------------------------------------------------------------------

Map = Callable[[Tensor, Tensor], Tensor]
OF_TWO_POINTS: dict[str, Map] = {
    "dist": M.dist,
    "log": M.log,
    "transport": lambda x, y: M.transport(x, y, M.to_tangent(x, torch.ones_like(x))),
    "geodesic": lambda x, y: M.geodesic(x, y, 0.3),
    "velocity": lambda x, y: M.geodesic_with_velocity(x, y, 0.3)[1],
    "default dist": lambda x, y: Manifold.dist(M, x, y),
    "exp": lambda x, y: M.exp(x, M.to_tangent(x, y - x)),
    "norm": lambda x, y: M.norm(x, y - x),
    "project": lambda x, y: M.project(x + y),
    "log_det_exp": lambda x, y: M.log_det_exp(x, y - x),
}
ORDERS: dict[str, Callable[[Map], Any]] = {
    "first, reverse": lambda f: jacrev(f, argnums=(0, 1)),
    "first, forward": lambda f: jacfwd(f, argnums=(0, 1)),
    "second, reverse": lambda f: jacrev(jacrev(f, argnums=(0, 1)), argnums=(0, 1)),
    "hessian": lambda f: hessian(f, argnums=(0, 1)),
}


def delicate_pairs(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Equal rotations, half turns, and steps of every size from either."""
    xs, ys = [], []
    for x in (torch.eye(3, dtype=dtype), *rotations(2, dtype=dtype)):
        for axis in ([0.0, 0, 1], [0.6, -0.8, 0], [1.0, 1, 1]):
            n = torch.tensor(axis, dtype=dtype)
            n = n / n.norm()
            for size in (0.0, 1e-160, 1e-40, 1e-20, 1e-12, 1e-8, 1e-4, 1e-2, 1.0, 2.0):
                for angle in (size, math.pi - size):
                    xs.append(x)
                    ys.append(M.exp(x, M.span(x, angle * n)))
            xs.append(x)
            ys.append(x @ (2 * n[:, None] * n - torch.eye(3, dtype=dtype)))
    return torch.stack(xs), torch.stack(ys)


def flat(result: Any) -> list[Tensor]:
    return [t for part in result for t in flat(part)] if isinstance(result, tuple) else [result]


@every_dtype
@pytest.mark.parametrize("name", OF_TWO_POINTS)
def test_first_and_second_derivatives_are_finite(dtype: torch.dtype, name: str) -> None:
    x, y = delicate_pairs(dtype)
    for order in ORDERS.values():
        for block in flat(vmap(order(lambda x, y: OF_TWO_POINTS[name](x, y).sum()))(x, y)):
            assert bool(block.isfinite().all())


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 0.1])
def test_the_hessian_of_log_is_right_next_to_the_point(size: float) -> None:
    """log_1 exp(v + s h) = v + s h: no curvature in s, however close the two are."""
    x = torch.eye(3, dtype=F64)
    v, h = size * torch.tensor([0.0, 0.6, 0.8], dtype=F64), torch.tensor([0.5, -1.0, 0.25], dtype=F64)

    def there_and_back(s: Tensor) -> Tensor:
        return M.log(x, M.exp(x, M.span(x, v + s * h))).flatten()

    zero = torch.zeros((), dtype=F64)
    close(jacfwd(there_and_back)(zero), M.span(x, h).flatten(), rtol=0, atol=1e-14)
    close(jacfwd(jacfwd(there_and_back))(zero), torch.zeros(9, dtype=F64), rtol=0, atol=1e-11)
    close(jacrev(jacrev(there_and_back))(zero), torch.zeros(9, dtype=F64), rtol=0, atol=1e-11)


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1.0])
def test_project_has_the_derivatives_of_the_polar_factor(noise: float) -> None:
    """Also at a rotation, where all singular values are equal and a derivative of them would be 0/0."""
    a = rotations(3) + noise * torch.randn(3, 3, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    a.requires_grad_()
    assert torch.autograd.gradcheck(M.project, (a,), atol=1e-7)
    assert torch.autograd.gradgradcheck(M.project, (a,), atol=1e-6)


# ---- shapes and transforms ------------------------------------------------------------------------------------------

METHODS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "dist": ("y", M.dist),
    "log": ("y", M.log),
    "exp": ("v", M.exp),
    "inner": ("vv", M.inner),
    "transport": ("yv", M.transport),
    "velocity": ("y", lambda x, y: M.geodesic_with_velocity(x, y, 0.3)[1]),
    "to_tangent": ("v", M.to_tangent),
    "log_det_exp": ("v", M.log_det_exp),
    "project": ("", M.project),
    "far projection": ("", lambda x: M.project(3 * x)),
    "frame": ("", M.frame),
    "quaternions": ("", M.to_quaternions),
}
every_method = pytest.mark.parametrize("name", METHODS)


def arguments(name: str, count: int, dtype: torch.dtype = F64) -> list[Tensor]:
    x = rotations(count, 0, dtype)
    return [x, *(rotations(count, 1, dtype) if kind == "y" else tangents(x, 2) for kind in METHODS[name][0])]


@every_method
@every_dtype
def test_rows_do_not_depend_on_their_batch(name: str, dtype: torch.dtype) -> None:
    f, given = METHODS[name][1], arguments(name, 6, dtype)
    eps = torch.finfo(dtype).eps
    together = f(*given)
    assert together.dtype == dtype
    assert together.is_contiguous()
    for row in (0, 5):
        close(f(*(a[row] for a in given)), together[row], rtol=0, atol=32 * eps)
    close(torch.func.vmap(f)(*given), together, rtol=0, atol=32 * eps)
    grid = f(*(a.reshape(2, 3, 3, 3) for a in given))
    close(grid, together.reshape(2, 3, *together.shape[1:]), rtol=0, atol=32 * eps)
    assert f(*(a[:0] for a in given)).shape == (0, *together.shape[1:])
    assert f(*(a.to("meta") for a in given)).device.type == "meta"
    if len(given) > 1:  # one base point for all
        first = given[0][:1].expand(6, 3, 3)
        close(f(given[0][0], *given[1:]), f(first, *given[1:]), rtol=0, atol=32 * eps)


@pytest.mark.parametrize("name", ["dist", "log", "exp", "transport", "velocity", "far projection"])
def test_compiled_without_a_graph_break_gives_the_same_numbers_and_gradients(name: str) -> None:
    f, given = METHODS[name][1], [a.requires_grad_() for a in arguments(name, 5)]
    torch._dynamo.reset()
    value, wanted = torch.compile(f, fullgraph=True, backend="aot_eager")(*given), f(*given)
    close(value, wanted, rtol=1e-13, atol=1e-13)
    mine, plain = (torch.autograd.grad(v.sum(), given) for v in (value, wanted))
    for base, a, b in zip((given[0], given[1] if METHODS[name][0][:1] == "y" else given[0]), mine, plain, strict=False):
        close(M.sharp(base.detach(), a), M.sharp(base.detach(), b), rtol=1e-11, atol=1e-11)


# ---- integrals ------------------------------------------------------------------------------------------------------


def character(x: Tensor, order: int) -> Tensor:
    """χ_l = sin((2l + 1) θ/2) / sin(θ/2) = Σ_m cos mθ, by Chebyshev's recursion in cos θ = (tr x - 1)/2."""
    cosine = (x.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    before, now, total = torch.ones_like(cosine), cosine, torch.ones_like(cosine)
    for _ in range(order):
        total = total + 2 * now
        before, now = now, 2 * cosine * now - before
    return total


def test_characters_are_orthonormal_by_quadrature() -> None:
    """∫ χ_l χ_m dV = 8π² δ_lm, for products of degree up to 12: the volume is l = m = 0."""
    nodes, weights = M.quadrature(12)
    table = torch.stack([character(nodes, order) for order in range(7)])
    close((table * weights) @ table.T, 8 * math.pi**2 * torch.eye(7, dtype=F64), rtol=0, atol=1e-11)
    assert M.check_point(nodes, tolerance=1e-15) is None
    too_far = float(M.integrate(lambda x: character(x, 7) ** 2, degree=12))
    assert abs(too_far - 8 * math.pi**2) > 1.0  # degree 14 is beyond the rule


@pytest.mark.parametrize("order", [1, 2, 3])
def test_characters_are_eigenfunctions_of_the_laplacian(order: int) -> None:
    """Δ χ_l = -l(l + 1) χ_l: Casimir's operator, as ω in x [ω] is the rotation vector itself."""
    x = rotations(6)
    laplacian = M.laplacian(lambda y: character(y, order))(x)
    close(laplacian, -order * (order + 1) * character(x, order), rtol=1e-11, atol=1e-11)


def test_integration_by_parts() -> None:
    """∫ f Div V = -∫ <∇f, V>, and ∫ Div V = 0, for polynomials of the entries."""
    a, b = torch.randn(2, 3, 3, dtype=F64, generator=torch.Generator().manual_seed(0))

    def f(x: Tensor) -> Tensor:
        return (a * x).sum((-2, -1)) + x[..., 0, 1] * x[..., 2, 2]

    def field(x: Tensor) -> Tensor:
        return M.to_tangent(x, x @ b + b * x[..., :1, 1:2])

    divergence, gradient = M.divergence(field), M.gradient(f)
    left = M.integrate(lambda x: f(x) * divergence(x), degree=8)
    right = M.integrate(lambda x: M.inner(x, gradient(x), field(x)), degree=8)
    close(left, -right, rtol=1e-12, atol=1e-11)
    close(M.integrate(divergence, degree=8), torch.zeros((), dtype=F64), rtol=0, atol=1e-11)


def test_divergence_is_that_of_left_invariant_fields_and_does_not_depend_on_the_extension() -> None:
    """Div(f x[e_i]) = df(x[e_i]), as left-invariant fields have none; Hutchinson's estimate agrees on average."""
    x = rotations(4)

    def field(y: Tensor) -> Tensor:
        return M.span(y, torch.stack([y[..., 0, 0] ** 2, y[..., 1, 2], y[..., 2, 0]], -1))

    jacobian = [
        torch.func.jvp(lambda y, i=i: (y[..., 0, 0] ** 2, y[..., 1, 2], y[..., 2, 0])[i], (x,), (M.frame(x)[:, i],))[1]
        for i in range(3)
    ]
    close(M.divergence(field)(x), sum(jacobian, torch.zeros(4, dtype=F64)), rtol=0, atol=1e-13)
    close(M.divergence(lambda y: field(y) + y * ((y.mT @ y).sum((-2, -1)) - 3)[..., None, None])(x),
          M.divergence(field)(x), rtol=0, atol=1e-12)  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    guess = M.divergence(field, method="hutchinson", probes=400, generator=generator)(x)
    close(guess, M.divergence(field)(x), rtol=0, atol=0.5)
