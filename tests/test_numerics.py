"""The numerical pieces at, and on both sides of, the places where their textbook forms break."""

import math
from typing import Any

import mpmath as mp
import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from rmatch import _numerics

mp.mp.dps = 60
EDGE = 1e-4  # where cos_and_sinc changes from series to quotient
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def squares(dtype: torch.dtype) -> Tensor:
    """0, tiny, both sides of the edge between series and quotient, ordinary, past a half-turn."""
    edge = torch.tensor(EDGE, dtype=dtype)
    sides = [torch.nextafter(edge, torch.zeros_like(edge)), edge, torch.nextafter(edge, torch.ones_like(edge))]
    rest = [0.0, 1e-30, 1e-12, 1e-6, 3e-5, 2e-4, 1e-2, 0.5, 2.0, 9.0, 20.0]
    return torch.cat([torch.stack(sides), torch.tensor(rest, dtype=dtype)])


def cosine(s: Any) -> Any:
    return mp.cos(mp.sqrt(s))


def sinc(s: Any) -> Any:
    return mp.sinc(mp.sqrt(s))


def series(f: str, order: int, s: Any) -> Any:
    """The derivative of cos √s or sin √s / √s from its power series, which converges everywhere."""
    shift = 0 if f == "cos" else 1
    return mp.nsum(
        lambda k: (-1) ** int(k) * mp.ff(k, order) * s ** (k - order) / mp.factorial(2 * k + shift), [order, order + 60]
    )


@every_dtype
def test_cos_and_sinc_are_accurate_on_both_sides_of_the_edge(dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    s = squares(dtype)
    for together in (True, False):  # a batch with a small entry takes another branch than an entry alone
        pairs = [_numerics.cos_and_sinc(s)] if together else [_numerics.cos_and_sinc(one) for one in s]
        values = [torch.stack([p[i] for p in pairs]).reshape(-1) for i in (0, 1)]
        for value, f in zip(values, (cosine, sinc), strict=True):
            for got, at in zip(value.tolist(), s.tolist(), strict=True):
                # |r sin r| roundings of r on top of one of the result
                assert abs(got - f(mp.mpf(at))) <= (2 + math.sqrt(at)) * eps


@pytest.mark.parametrize("index", [0, 1], ids=["cos", "sinc"])
@pytest.mark.parametrize(("order", "bound"), [(1, 1e-12), (2, 1e-8)])
def test_derivatives_of_cos_and_sinc_are_right_to_second_order(index: int, order: int, bound: float) -> None:
    """Just above the edge the quotient loses a factor 1/s per derivative: eps/s is 2e-12, eps/s² 2e-8."""

    def f(s: Tensor) -> Tensor:
        return _numerics.cos_and_sinc(s)[index]

    derivative = grad(f) if order == 1 else grad(grad(f))
    s = squares(torch.float64)
    for value in (vmap(derivative)(s), torch.stack([derivative(one) for one in s])):
        for got, at in zip(value.tolist(), s.tolist(), strict=True):
            wanted = series(("cos", "sinc")[index], order, mp.mpf(at))
            assert abs(got - wanted) <= bound, (at, got, wanted)


@every_dtype
def test_sqrt_is_the_square_root_with_finite_derivatives_at_zero(dtype: torch.dtype) -> None:
    s = torch.tensor([0.0, 1e-20, 0.25, 1.0, 9.0, 1e10], dtype=dtype)
    assert torch.equal(_numerics.sqrt(s), s.sqrt())
    zero = torch.zeros((), dtype=dtype)
    assert float(grad(lambda v: _numerics.sqrt(v * v))(zero)) == 0.0
    assert math.isfinite(float(grad(grad(lambda v: _numerics.sqrt(v * v)))(zero)))
    assert float(grad(_numerics.sqrt)(zero)) == 0.5
    first = vmap(grad(_numerics.sqrt))(s[1:])
    torch.testing.assert_close(first, 0.5 / s[1:].sqrt())


@every_dtype
def test_sqrt_of_a_negative_number_is_not_hidden(dtype: torch.dtype) -> None:
    assert bool(_numerics.sqrt(torch.tensor([-1.0, -1e-10], dtype=dtype)).isnan().all())


@every_dtype
def test_sqrt_has_finite_derivatives_where_the_square_is_subnormal(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    s = torch.tensor([tiny / 1024, tiny / 2, tiny, 2 * tiny], dtype=dtype)

    def length(v: Tensor) -> Tensor:
        return _numerics.sqrt(v * v)

    for values in (vmap(grad(length))(s.sqrt()), vmap(grad(grad(length)))(s.sqrt())):
        assert bool(values.isfinite().all())


@every_dtype
def test_norm_and_dot_keep_the_axis(dtype: torch.dtype) -> None:
    u = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    assert _numerics.norm(u).tolist() == [[5.0], [0.0]]
    assert _numerics.dot(u, u).tolist() == [[25.0], [0.0]]
    (gradient,) = torch.autograd.grad(_numerics.norm(u).sum(), u)
    torch.testing.assert_close(gradient, torch.tensor([[0.6, 0.8], [0.0, 0.0]], dtype=dtype))


@pytest.mark.parametrize("k", [2, 3, 16])
@every_dtype
def test_perpendicular_is_a_unit_vector_at_a_right_angle_and_even(k: int, dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    x = torch.randn(500, k, dtype=dtype)
    x = torch.cat([x / x.norm(dim=-1, keepdim=True), torch.eye(k, dtype=dtype), -torch.eye(k, dtype=dtype)])
    v = _numerics.perpendicular(x)
    assert float((v.norm(dim=-1) - 1).abs().max()) <= 4 * eps
    assert float((v * x).sum(-1).abs().max()) <= 4 * eps
    assert torch.equal(_numerics.perpendicular(-x), v)
    assert torch.equal(_numerics.perpendicular(x + 0.0), v)  # -0.0 becomes 0.0: the same point, the same direction


def test_possibly_any_looks_only_where_values_are_there_to_be_seen() -> None:
    assert not _numerics.possibly_any(torch.tensor([False, False]))
    assert _numerics.possibly_any(torch.tensor([False, True]))
    assert not _numerics.possibly_any(torch.zeros(0, dtype=torch.bool))
    assert _numerics.possibly_any(torch.zeros(3, dtype=torch.bool, device="meta"))
    seen: list[bool] = []

    def inside(x: Tensor) -> Tensor:
        seen.append(_numerics.possibly_any(x < 0))
        return x

    vmap(inside)(torch.ones(3))
    assert seen == [True]


@every_dtype
def test_orthonormalise_takes_a_basis_out_of_a_spanning_set(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    span = torch.randn(20, 3, 6, generator=generator, dtype=dtype)
    vectors = torch.randn(20, 5, 3, generator=generator, dtype=dtype) @ span  # five vectors in a space of dimension 3
    basis = _numerics.orthonormalise(vectors, vectors @ vectors.mT, 3)
    tolerance = 1e3 * torch.finfo(dtype).eps
    torch.testing.assert_close(basis @ basis.mT, torch.eye(3, dtype=dtype).expand(20, 3, 3), rtol=0, atol=tolerance)
    inside = (vectors @ basis.mT) @ basis
    torch.testing.assert_close(inside, vectors, rtol=0, atol=10 * tolerance)


HYPERBOLIC: dict[str, tuple[Any, Any]] = {
    "cosh": (lambda s: _numerics.cosh_and_sinhc(s)[0], lambda s: mp.cosh(mp.sqrt(s))),
    "sinhc": (lambda s: _numerics.cosh_and_sinhc(s)[1], lambda s: mp.sinh(mp.sqrt(s)) / mp.sqrt(s) if s else mp.mpf(1)),
    "tanhc": (
        lambda s: _numerics.tanhc_and_sech_square(s)[0],
        lambda s: mp.tanh(mp.sqrt(s)) / mp.sqrt(s) if s else mp.mpf(1),
    ),
    "sech²": (lambda s: _numerics.tanhc_and_sech_square(s)[1], lambda s: mp.sech(mp.sqrt(s)) ** 2),
    "log sinhc": (_numerics.log_sinhc, lambda s: mp.log(mp.sinh(mp.sqrt(s)) / mp.sqrt(s)) if s else mp.mpf(0)),
    "asinhc": (_numerics.asinhc, lambda s: mp.asinh(mp.sqrt(s)) / mp.sqrt(s) if s else mp.mpf(1)),
    "asinh": (_numerics.asinh, mp.asinh),
}


@pytest.mark.parametrize("name", HYPERBOLIC)
@every_dtype
def test_hyperbolic_functions_are_accurate_on_both_sides_of_the_edge(name: str, dtype: torch.dtype) -> None:
    fast, exact = HYPERBOLIC[name]
    s = squares(dtype)
    for values in (fast(s), torch.stack([fast(one) for one in s])):
        for got, at in zip(values.tolist(), s.tolist(), strict=True):
            wanted = exact(mp.mpf(at))  # an exponential of r magnifies its rounding by r
            assert abs(got - wanted) <= (4 + 2 * math.sqrt(at)) * torch.finfo(dtype).eps * max(1, abs(wanted))


@pytest.mark.parametrize("name", [name for name in HYPERBOLIC if name != "asinh"])
@pytest.mark.parametrize(("order", "bound"), [(1, 4e-12), (2, 4e-8)])
def test_derivatives_of_hyperbolic_functions_are_right_to_second_order(name: str, order: int, bound: float) -> None:
    """As above, a quotient loses a factor 1/s per derivative just above the edge, and asinh is a longer formula."""
    fast, exact = HYPERBOLIC[name]
    derivative = grad(fast) if order == 1 else grad(grad(fast))
    s = squares(torch.float64)
    for value in (vmap(derivative)(s), torch.stack([derivative(one) for one in s])):
        for got, at in zip(value.tolist(), s.tolist(), strict=True):
            wanted = mp.diff(exact, mp.mpf(at), order, h=mp.mpf("1e-15")) if at > 1e-3 else taylor(exact, order, at)
            assert abs(got - wanted) <= bound * max(1, abs(wanted)), (at, got, wanted)


def taylor(f: Any, order: int, at: float) -> Any:
    """The derivative at a small number from the polynomial through twelve exact values on either side of it."""
    nodes = [mp.mpf(k) / 500 for k in range(1, 13)]
    values = [f(node) for node in nodes]
    coefficients = mp.lu_solve(mp.matrix([[node**k for k in range(12)] for node in nodes]), mp.matrix(values))
    return mp.fsum(mp.ff(k, order) * coefficients[k] * mp.mpf(at) ** (k - order) for k in range(order, 12))


def test_hyperbolic_functions_that_decay_do_not_overflow() -> None:
    s = torch.tensor([1e5, 1e10, 1e30])
    tanhc, sech_square = _numerics.tanhc_and_sech_square(s)
    torch.testing.assert_close(tanhc, 1 / s.sqrt())
    assert sech_square.tolist() == [0.0, 0.0, 0.0]
    torch.testing.assert_close(_numerics.log_sinhc(s), s.sqrt() - (2 * s.sqrt()).log())
    for f in (lambda s: _numerics.tanhc_and_sech_square(s)[0], _numerics.log_sinhc):
        assert bool(vmap(grad(f))(s).isfinite().all())
