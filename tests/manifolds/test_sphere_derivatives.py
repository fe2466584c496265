"""The sphere's gradients by hand agree with finite differences and with the plain formulas, to second order."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rmatch.manifolds import Sphere

from .cases import points, tangents

PRIMITIVES: dict[str, Callable[[Sphere], Callable[..., Tensor]]] = {
    "exp": lambda M: M.exp,
    "log": lambda M: M.log,
    "dist": lambda M: M.dist,
    "project": lambda M: M.project,
    "transport": lambda M: M.transport,
}
SPHERES = [Sphere(1), Sphere(2), Sphere(2, radius=3.0), Sphere(20)]


def arguments(M: Sphere, name: str, batch: int = 5) -> list[Tensor]:
    x, y = (points(M, (batch,), seed, torch.float64) for seed in (1, 2))
    v = tangents(M, x, 3, 1.3)
    found = {"exp": [x, v], "log": [x, y], "dist": [x, y], "project": [2 * x + 0.1 * y], "transport": [x, y, v]}[name]
    return [a.clone().requires_grad_() for a in found]


@pytest.mark.parametrize("M", SPHERES, ids=repr)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_first_and_second_derivatives_are_those_of_finite_differences(M: Sphere, name: str) -> None:
    f, args = PRIMITIVES[name](M), arguments(M, name)
    assert torch.autograd.gradcheck(f, args)
    assert torch.autograd.gradgradcheck(f, args)


@pytest.mark.parametrize("batch", [3, 3000])  # below and above the size from which sums are products
@pytest.mark.parametrize("M", SPHERES, ids=repr)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_gradient_is_that_of_the_plain_formula(M: Sphere, name: str, batch: int) -> None:
    f, args = PRIMITIVES[name](M), arguments(M, name, batch)
    value = f(*args)
    weights = torch.randn(value.shape, dtype=value.dtype, generator=torch.Generator().manual_seed(5))
    found = torch.autograd.grad(value, args, weights)
    wanted = torch.func.vjp(f, *(a.detach() for a in args))[1](weights)
    for mine, plain in zip(found, wanted, strict=True):
        # a direction is divided by the sine of the distance to x or to -x, some of 3000 times the rounding
        torch.testing.assert_close(mine, plain, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, math.pi - 1e-3, math.pi - 1e-5])
@pytest.mark.parametrize("name", ["log", "dist", "transport"])
def test_the_gradient_along_the_sphere_holds_near_equal_and_opposite_points(name: str, angle: float) -> None:
    """Against the plain formula: relative to the largest entry, as the gradient of `log` grows as 1/(π - angle)."""
    M = Sphere(2)
    x = points(M, (50,), 1, torch.float64)
    y = M.exp(x, angle * torch.nn.functional.normalize(tangents(M, x, 2, 1.0), dim=-1))
    args = [a.clone().requires_grad_() for a in ([x, y, tangents(M, x, 3, 1.0)] if name == "transport" else [x, y])]
    f = PRIMITIVES[name](M)
    weights = torch.randn(f(*args).shape, dtype=x.dtype, generator=torch.Generator().manual_seed(5))
    found = torch.autograd.grad(f(*args), args, weights)
    wanted = torch.func.vjp(f, *(a.detach() for a in args))[1](weights)
    for base, mine, plain in zip((x, y, x), found, wanted, strict=False):
        mine, plain = M.to_tangent(base, mine), M.to_tangent(base, plain)
        assert float((mine - plain).abs().amax() / plain.abs().amax().clamp_min(1e-3)) < 1e-9


@pytest.mark.parametrize("angle", [1e-9, 0.5, math.pi - 1e-2, math.pi - 1e-5, math.pi - 1e-8])
def test_transport_takes_the_velocity_along_to_the_velocity_and_keeps_what_is_across(angle: float) -> None:
    """A closed form: along the equator, from (1, 0, 0) to (cos a, sin a, 0)."""
    x = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    y = torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
    v = torch.tensor([0.0, 2.0, 3.0], dtype=torch.float64)
    wanted = torch.tensor([-2 * math.sin(angle), 2 * math.cos(angle), 3.0], dtype=torch.float64)
    torch.testing.assert_close(Sphere(2).transport(x, y, v), wanted, rtol=0, atol=1e-15)


def test_a_row_that_is_not_a_number_leaves_the_others_alone() -> None:
    M = Sphere(2)
    x = points(M, (3,), 0, torch.float64)
    v = torch.zeros_like(x)
    v[0] = math.nan
    torch.testing.assert_close(M.exp(x, v)[1:], x[1:], rtol=0, atol=0)
    y = x.clone()
    y[0] = math.nan
    assert bool((M.log(x, y)[1:] == 0).all())
