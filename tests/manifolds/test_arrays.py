"""Formulas on numpy arrays, to which batches of rows are handed: the numbers of tensors, and all their promises kept.

A batch `(N, k)` of plain tensors in memory goes to arrays; the same rows as `(N, 1, k)` stay tensors.
"""

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

import rmatch as rm
import rmatch._arrays as xp

close = torch.testing.assert_close
MEMBERS: list[rm.Manifold] = [
    rm.Sphere(2),
    rm.Sphere(15, radius=3.0),
    rm.Lorentz(2),
    rm.Lorentz(5, curvature=-0.3),
    rm.PoincareBall(2),
    rm.PoincareBall(5, curvature=-0.3),
]
PRIMITIVES = ["inner", "exp", "log", "dist", "project", "transport"]
every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
every_primitive = pytest.mark.parametrize("name", PRIMITIVES)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def arguments(M: rm.Manifold, name: str, dtype: torch.dtype, batch: int = 40) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    origin = M.origin(dtype=torch.float64).expand(batch, *M.point_shape)
    x, y = (M.exp(origin, M.random_tangent(origin, generator=generator)) for _ in range(2))
    u, v = (M.random_tangent(x, generator=generator) for _ in range(2))
    given = {"inner": [x, u, v], "exp": [x, v], "log": [x, y], "dist": [x, y], "project": [1.01 * x]}
    return [a.to(dtype) for a in given.get(name, [x, y, v])]


@every_member
@every_primitive
@every_dtype
def test_arrays_and_tensors_give_the_same_numbers_and_gradients(M: rm.Manifold, name: str, dtype: torch.dtype) -> None:
    f = getattr(M, name)
    found: list[tuple[Tensor, ...]] = []
    for axes in (1, 2):
        leaves = [a.unflatten(0, (-1, *[1] * (axes - 1))).requires_grad_() for a in arguments(M, name, dtype)]
        value = f(*leaves)
        assert value.is_contiguous()
        assert value.dtype == dtype
        weights = torch.linspace(-1, 1, value.numel(), dtype=dtype).reshape(value.shape)
        gradients = torch.autograd.grad(value, leaves, weights, materialize_grads=True)
        found.append((value, f(*(a.detach() for a in leaves)), *gradients))
    for array, tensor in zip(*found, strict=True):
        tolerance = 200 * torch.finfo(dtype).eps  # conditions of up to 100: points are up to 4 apart
        close(array, tensor.squeeze(1), rtol=tolerance, atol=tolerance * float(tensor.detach().abs().amax()))


@pytest.mark.parametrize("M", [rm.Sphere(2), rm.Lorentz(2), rm.PoincareBall(2)], ids=repr)  # no copy is made of inputs
@every_primitive
def test_a_change_of_an_input_before_its_gradient_is_an_error(M: rm.Manifold, name: str) -> None:
    """Arrays lie in the memory of the inputs: a gradient by changed numbers would be wrong without a word."""
    if isinstance(M, rm.PoincareBall) and name == "project":
        pytest.skip("it gives its argument back")
    inputs = [a.requires_grad_() for a in arguments(M, name, torch.float64)]
    changed = [a * 1 for a in inputs]
    value = getattr(M, name)(*changed)
    changed[-1].mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value.sum(), inputs, allow_unused=True)


@every_member
@every_primitive
def test_gradients_for_many_weights_at_once_are_those_for_each(M: rm.Manifold, name: str) -> None:
    leaves = [a.requires_grad_() for a in arguments(M, name, torch.float64)]
    value = getattr(M, name)(*leaves)
    weights = torch.randn(3, *value.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    keep = {"retain_graph": True, "allow_unused": True}
    together = torch.autograd.grad(value, leaves, weights, is_grads_batched=True, **keep)
    for index, weight in enumerate(weights):
        for got, wanted in zip(together, torch.autograd.grad(value, leaves, weight, **keep), strict=True):
            if wanted is not None:  # an inner product may not depend on the point
                close(got[index], wanted, rtol=1e-11, atol=1e-11)


@every_member
@every_primitive
def test_what_is_traced_holds_for_other_numbers(M: rm.Manifold, name: str) -> None:
    """Arrays are invisible to a tracer, which would take their numbers for constants."""
    given = arguments(M, name, torch.float64)

    def f(*inputs: Tensor) -> Tensor:
        return getattr(M, name)(*inputs)  # type: ignore[no-any-return]

    others = [a.flip(0) for a in given]
    close(make_fx(f)(*given)(*others), f(*others), rtol=1e-11, atol=1e-11)


@every_member
@every_dtype
def test_a_row_that_is_not_a_number_warns_of_nothing_and_leaves_the_others_alone(
    M: rm.Manifold, dtype: torch.dtype
) -> None:
    for name in ("inner", "exp", "log", "dist", "transport"):
        f, given = getattr(M, name), arguments(M, name, dtype)
        for bad in (torch.nan, torch.inf):
            spoilt = [a.clone() for a in given]
            spoilt[-1][7] = bad
            keep = torch.arange(len(given[0])) != 7
            close(f(*spoilt)[keep], f(*given)[keep], rtol=300 * torch.finfo(dtype).eps, atol=1e-5)


def test_only_rows_of_plain_tensors_in_memory_go_to_arrays() -> None:
    rows = torch.ones(4, 3)
    assert xp.arrays_of((rows, torch.nn.Parameter(rows))) is not None
    for other in (rows[0], rows[None], rows[:0], rows.bfloat16(), rows.to("meta"), rows.to_sparse().to_dense().int()):
        assert xp.arrays_of((rows, other)) is None


def test_many_rows_go_to_arrays_where_torch_has_one_thread() -> None:
    rows = torch.ones(1 << 15, 3)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert xp.arrays_of((rows,)) is not None
        torch.set_num_threads(2)
        assert xp.arrays_of((rows,)) is None
    finally:
        torch.set_num_threads(before)
