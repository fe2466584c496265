"""The fast affine-invariant functions against their slow twins, and their gradients against 80 digits."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import jvp, vmap

from rmatch.manifolds import SPD, _affine_inner, _pencil
from rmatch.manifolds._twin import TwinFunction, pullback

from . import reference_spd as reference

Fast = Callable[..., Tensor]
AFFINE = SPD(3)

CASES: dict[str, tuple[Fast, type[TwinFunction], str]] = {
    "log": (_pencil.pencil_log, _pencil._Log, "xy"),
    "exp": (_pencil.pencil_exp, _pencil._Exp, "xv"),
    "distance": (_pencil.pencil_distance, _pencil._Distance, "xy"),
    "transport": (_pencil.pencil_transport, _pencil._Transport, "xyv"),
    "inner": (_affine_inner.affine_inner, _affine_inner._Inner, "xvw"),
}
every_case = pytest.mark.parametrize("name", CASES)


def symmetric(seed: int, n: int, rows: int = 4) -> Tensor:
    a = torch.randn(rows, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (a + a.mT) / 2


def arguments(kinds: str, n: int) -> list[Tensor]:
    """Points of condition 10 and 1000, so that both ways to decompose a pair are taken, and symmetric matrices."""
    conditions = (10.0, 10.0, 1000.0, 1000.0)
    make = {
        "x": lambda: torch.stack([reference.matrix_of_condition(n, c, k) for k, c in enumerate(conditions)]),
        "y": lambda: torch.stack([reference.matrix_of_condition(n, c, k + 50) for k, c in enumerate(conditions)]),
        "v": lambda: 0.3 * symmetric(1, n),
        "w": lambda: 0.3 * symmetric(2, n),
    }
    if kinds == "xv":  # exp of a vector: at points where it is not too long
        make["x"] = lambda: torch.stack([reference.matrix_of_condition(n, 4.0, k) for k in range(4)])
    return [make[kind]() for kind in kinds]


def close(found: Tensor, wanted: Tensor, size: float) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=size * (1 + float(wanted.abs().max())))


@every_case
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_value_and_first_two_derivatives_are_those_of_the_slow_twin(name: str, n: int) -> None:
    fast, twin, kinds = CASES[name]
    given = arguments(kinds, n)
    directions = [symmetric(20 + k, n) for k in range(len(given))]
    value = fast(*given)
    close(value, twin.twin(*given), 1e-11)
    weight = torch.randn_like(value)
    weight = (weight + weight.mT) / 2 if weight.dim() == 3 else weight
    gradients = pullback(fast, *given)(weight)
    for found, wanted in zip(gradients, pullback(twin.twin, *given)(weight), strict=True):
        close(found, (wanted + wanted.mT) / 2, 1e-8)  # the twin loses the square of the condition
    tangent = jvp(fast, tuple(given), tuple(directions))[1]
    pairing = sum(
        ((g * d).sum() for g, d in zip(gradients, directions, strict=True)), torch.zeros((), dtype=torch.float64)
    )
    assert float((weight * tangent).sum()) == pytest.approx(float(pairing), rel=1e-9)

    def second(f: Fast) -> tuple[Tensor, ...]:
        def slope(*where: Tensor) -> Tensor:
            pulled = pullback(f, *where)(weight)
            return sum(
                ((g * d).sum() for g, d in zip(pulled, directions, strict=True)), torch.zeros((), dtype=torch.float64)
            )

        return pullback(slope, *given)(torch.ones((), dtype=torch.float64))

    for found, wanted in zip(second(fast), second(twin.twin), strict=True):
        close(found, (wanted + wanted.mT) / 2, 1e-6)


@every_case
@pytest.mark.parametrize("n", [3, 5])
def test_rows_do_not_depend_on_their_batch(name: str, n: int) -> None:
    fast, _, kinds = CASES[name]
    given = arguments(kinds, n)
    together = fast(*given)
    for value in (
        torch.stack([fast(*(a[row] for a in given)) for row in range(4)]),
        vmap(fast)(*given),
        fast(*(a.reshape(2, 2, n, n) for a in given)).flatten(0, 1),
    ):
        close(value, together, 1e-12)
    broadcast = fast(given[0][:, None], *(a[None] for a in given[1:]))
    close(broadcast[[0, 1, 2, 3], [0, 1, 2, 3]], together, 1e-12)
    assert fast(*(a[:0] for a in given)).shape == together[:0].shape


@pytest.mark.parametrize(("condition", "allowed"), [(1e3, 3e-12), (1e6, 3e-9), (1e10, 3e-5)])
def test_gradient_of_the_distance_agrees_with_80_digits_at_large_condition(condition: float, allowed: float) -> None:
    """Its largest entries, which are of the size of the condition."""
    for seed in range(6):
        x = reference.matrix_of_condition(3, condition, seed).requires_grad_()
        y = reference.matrix_of_condition(3, condition, seed + 100).requires_grad_()
        by_x, by_y = torch.autograd.grad(AFFINE.dist(x, y), (x, y))
        assert reference.error(by_x, reference.dist_gradient(x, y)) <= allowed
        assert reference.error(by_y, reference.dist_gradient(y, x)) <= allowed


@pytest.mark.parametrize(("condition", "allowed"), [(1e3, 1e-12), (1e6, 3e-9), (1e10, 3e-5)])
def test_inner_product_loses_one_condition_and_not_its_square(condition: float, allowed: float) -> None:
    """By 80 digits; the inverse of x as a matrix would leave an error of 1e-2 at 1e10."""
    import mpmath as mp

    for seed in range(6):
        x = reference.matrix_of_condition(3, condition, seed)
        u, v = (AFFINE.random_tangent(x, generator=torch.Generator().manual_seed(k)) for k in (seed, seed + 50))
        with mp.workdps(reference.DIGITS):
            inverse = reference.exact(x) ** -1
            product = inverse * reference.exact(u) * inverse * reference.exact(v)
            wanted = float(product[0, 0] + product[1, 1] + product[2, 2])
        assert float(AFFINE.inner(x, u, v)) == pytest.approx(wanted, abs=allowed)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_point_decomposition_diagonalises_both_matrices(n: int) -> None:
    x, y = arguments("xy", n)
    factor, vectors, log_values = _pencil.point_decomposition(x, y)
    basis = factor @ vectors
    close(basis @ basis.mT, x, 1e-14)
    close((basis * log_values.exp().unsqueeze(-2)) @ basis.mT, y, 1e-13)


@every_case
def test_forward_over_reverse_agrees_with_reverse_over_reverse_without_functional_transforms(name: str) -> None:
    """A gradient taken without `create_graph` inside a dual level still has a derivative."""
    fast, _, kinds = CASES[name]
    first, *others = arguments(kinds, 3)
    direction = symmetric(30, 3)
    x = first.clone().requires_grad_()
    (slope,) = torch.autograd.grad(fast(x, *others).sum(), x, create_graph=True)
    (wanted,) = torch.autograd.grad((slope * direction).sum(), x)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(first.clone().requires_grad_(), direction)
        (gradient,) = torch.autograd.grad(fast(dual, *others).sum(), dual)
        found = forward_ad.unpack_dual(gradient).tangent
    assert found is not None
    close((found + found.mT) / 2, (wanted + wanted.mT) / 2, 1e-9)


@every_case
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # which the tracer looks at
def test_compiled_gives_the_same_numbers_and_gradients(name: str) -> None:
    """With a break of the graph: torch does not trace a function with its own forward mode."""
    fast, _, kinds = CASES[name]
    given = [a.requires_grad_() for a in arguments(kinds, 3)]
    torch._dynamo.reset()
    value, wanted = torch.compile(fast, backend="aot_eager")(*given), fast(*given)
    torch.testing.assert_close(value, wanted)
    for found, target in zip(
        torch.autograd.grad(value.sum(), given), torch.autograd.grad(wanted.sum(), given), strict=True
    ):
        torch.testing.assert_close(found, target)
