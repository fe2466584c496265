"""Functions of symmetric matrices: values to 80 digits, derivatives against dual and block-triangular matrices."""

import itertools
import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from rmatch.manifolds import _symmetric as S
from rmatch.manifolds._divided_differences import exp_divided_differences

from .reference_spd import error, matrix_function

Function = Callable[[Tensor], Tensor]

SPECTRA = {
    "apart": [-1.0, 0.5, 2.0],
    "equal": [0.7, 0.7, 0.7],
    "two equal": [0.3, 0.3, 1.0],
    "1e-12 apart": [0.3, 0.3 + 1e-12, 0.3 - 1e-12],
    "1e-4 apart": [0.3, 0.3 + 1e-4, 1.0],
    "0.5 apart": [0.0, 0.4999, 0.5001],
    "far": [-9.0, 0.0, 9.0],
}
every_spectrum = pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA)
# where what the function is compared with has digits left: not at a condition of exp(18)
every_near_spectrum = pytest.mark.parametrize("values", list(SPECTRA.values())[:-1], ids=list(SPECTRA)[:-1])


def symmetric(seed: int, *shape: int) -> Tensor:
    a = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (a + a.mT) / 2


def with_eigenvalues(values: list[float], seed: int = 0) -> Tensor:
    q = torch.linalg.qr(symmetric(seed, len(values), len(values)))[0]
    a = (q * torch.tensor(values, dtype=torch.float64)) @ q.T
    return (a + a.T) / 2


def block_derivative(f: Callable[[Tensor], Tensor], a: Tensor, *directions: Tensor) -> Tensor:
    """The k-th derivative from f of a block matrix: its corner is the sum over the orders of the directions.

    f([[A, H], [0, A]]) has Df(A)[H] in the corner; with two blocks above the diagonal, half of D²f(A)[H, K] for each
    order. (Higham, "Functions of matrices", 2008, theorem 3.6, and Mathias 1996.)
    """
    n, k = a.shape[-1], len(directions)
    total = torch.zeros_like(a)
    for order in itertools.permutations(range(k)):
        block = torch.block_diag(*[a] * (k + 1))
        for i, which in enumerate(order):
            block[i * n : (i + 1) * n, (i + 1) * n : (i + 2) * n] = directions[which]
        total = total + f(block)[:n, -n:]
    return total


def scipy_exp(a: Tensor) -> Tensor:
    return torch.as_tensor(scipy.linalg.expm(a.numpy()))


def scipy_log(a: Tensor) -> Tensor:
    return torch.as_tensor(np.real(scipy.linalg.logm(a.numpy())))


@every_spectrum
def test_exp_and_log_agree_with_80_digits(values: list[float]) -> None:
    a = with_eigenvalues(values)
    assert error(S.symmetric_exp(a), matrix_function(a, mp.exp)) <= 1e-14 * (1 + max(map(abs, values)))
    positive = with_eigenvalues([math.exp(value) for value in values])
    # log turns a relative error of the condition number times rounding into an absolute one
    condition = math.exp(max(values) - min(values))
    assert error(S.symmetric_log(positive), matrix_function(positive, mp.log)) <= 1e-15 * (8 + condition)


@every_spectrum
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_exp_agree_with_block_triangular_matrices(values: list[float], order: int) -> None:
    a = with_eigenvalues(values)
    directions = [symmetric(10 + k, 3, 3) for k in range(order)]
    wanted = block_derivative(scipy_exp, a, *directions)
    size = math.exp(max(values))
    torch.testing.assert_close(S.exp_derivative(a, *directions), wanted, rtol=0, atol=1e-14 * 50 * size)


@every_near_spectrum
def test_derivative_of_log_agrees_with_block_triangular_matrices(values: list[float]) -> None:
    positive = with_eigenvalues([math.exp(value) for value in values])
    direction = symmetric(10, 3, 3)
    found = jvp(S.symmetric_log, (positive,), (direction,))[1]
    torch.testing.assert_close(found, block_derivative(scipy_log, positive, direction), rtol=0, atol=1e-12)


@pytest.mark.parametrize("values", [[0.0], [0.1, 0.1], [-0.2, 0.2, 0.3], [-3.0, -1.0, 2.0, 2.0], [0.0, 0.2, 0.45, 0.7]])
@pytest.mark.parametrize(("order", "allowed"), [(1, 2e-15), (2, 1e-14), (3, 3e-13)])  # a digit for each quotient
def test_divided_differences_of_exp_agree_with_the_exponential_of_a_bidiagonal_matrix(
    values: list[float], order: int, allowed: float
) -> None:
    """`exp[z_0, ..., z_k]` is the corner of exp of the matrix with z on the diagonal and 1 above (Opitz 1964)."""
    table = exp_divided_differences(torch.tensor(values, dtype=torch.float64), order)
    assert table.shape == (len(values),) * (order + 1)
    for index in torch.cartesian_prod(*[torch.arange(len(values))] * (order + 1)).reshape(-1, order + 1).tolist():
        with mp.workdps(40):
            bidiagonal = mp.diag([mp.mpf(values[i]) for i in index])
            for i in range(order):
                bidiagonal[i, i + 1] = 1
            wanted = mp.expm(bidiagonal)[0, order]
        assert abs(float(table[tuple(index)]) / float(wanted) - 1) <= allowed, index


@every_near_spectrum
def test_log_is_the_inverse_of_exp_with_its_derivatives(values: list[float]) -> None:
    a, h = with_eigenvalues(values), symmetric(3, 3, 3)

    def there_and_back(z: Tensor) -> Tensor:
        return S.symmetric_log(S.symmetric_exp(z))

    torch.testing.assert_close(there_and_back(a), a, rtol=0, atol=1e-13)
    first = jvp(there_and_back, (a,), (h,))[1]
    torch.testing.assert_close(first, h, rtol=0, atol=1e-12)
    second = jvp(lambda z: jvp(there_and_back, (z,), (h,))[1], (a,), (h,))[1]
    torch.testing.assert_close(second, torch.zeros_like(h), rtol=0, atol=1e-11)


@every_near_spectrum
def test_log_det_sinhc_agrees_with_the_determinant_of_the_derivative_of_exp(values: list[float]) -> None:
    """log det Dexp(A) on symmetric matrices is (n+1)/2 tr A + Σ log sinhc; to second order, by autodiff of the left."""
    a, h = with_eigenvalues(values), symmetric(4, 3, 3)
    basis = S.symmetric_basis(3, a.dtype)

    def slow(z: Tensor) -> Tensor:
        columns = S.exp_derivative(z - z.trace() / 3 * torch.eye(3, dtype=z.dtype), basis)
        return 2 * torch.linalg.cholesky(S.to_coordinates(columns)).diagonal().log().sum()

    def along(f: Function) -> Function:
        return lambda t: f(a + t * h)

    zero = torch.zeros((), dtype=a.dtype)
    for derivative in (lambda f: f, jacrev, jacfwd, hessian, lambda f: jacrev(jacrev(f)), lambda f: jacfwd(jacfwd(f))):
        found, wanted = derivative(along(S.log_det_sinhc))(zero), derivative(along(slow))(zero)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "values", [[0.0, 0.0], [0.0, 1e-9], [0.0, 0.3], [0.0, 0.6], [0.0, 1.2], [0.0, 5.0], [0.0, 60.0]]
)
def test_derivatives_of_log_det_sinhc_of_two_eigenvalues_agree_with_80_digits(values: list[float]) -> None:
    """In the gap, through a matrix with the gap as an eigenvalue; and L[h, 0] = L(h)/h, twice, for a rotation."""
    gap = values[1]
    with mp.workdps(80):
        h = mp.mpf(gap) / 2
        slope = mp.coth(h) - 1 / h if h else mp.mpf(0)
        bend = 1 / h**2 - mp.csch(h) ** 2 if h else mp.mpf(1) / 3
        turn = slope / h if h else mp.mpf(1) / 3
    at = torch.tensor([[0.0, 0.0], [0.0, gap]], dtype=torch.float64)
    first = grad(S.log_det_sinhc)(at)
    torch.testing.assert_close(
        first, float(slope) / 2 * torch.diag(torch.tensor([-1.0, 1.0])).double(), rtol=4e-15, atol=1e-16
    )
    second = hessian(S.log_det_sinhc)(at)
    assert float(second[1, 1, 1, 1]) == pytest.approx(float(bend) / 4, rel=2e-13)
    assert float(second[0, 1, 0, 1] + second[0, 1, 1, 0]) == pytest.approx(float(turn) / 2, rel=2e-13)


def test_a_third_derivative_of_log_det_sinhc_is_refused_and_not_wrong() -> None:
    a = with_eigenvalues([0.0, 1.0])
    with pytest.raises(NotImplementedError, match="two derivatives, not three"):
        jacrev(hessian(S.log_det_sinhc))(a)
    with pytest.raises(NotImplementedError, match="two derivatives, not three"):
        jacfwd(hessian(S.log_det_sinhc))(a)


FUNCTIONS: dict[str, Function] = {
    "exp": S.symmetric_exp,
    "log": lambda a: S.symmetric_log(S.symmetric_exp(a) + 0.1 * a @ a),
    "exp derivative": lambda a: S.exp_derivative(a, a @ a),
    "inverse of exp derivative": lambda a: S.exp_derivative_inverse(a, a @ a),
    "log det sinhc": S.log_det_sinhc,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@every_spectrum
def test_forward_and_reverse_mode_agree_to_second_order(name: str, values: list[float]) -> None:
    a = with_eigenvalues(values)
    f = FUNCTIONS[name]

    def scalar(z: Tensor) -> Tensor:
        return f((z + z.mT) / 2).sin().sum()

    first = jacrev(scalar)(a)
    torch.testing.assert_close(jacfwd(scalar)(a), first, rtol=1e-9, atol=1e-9)
    second = jacrev(jacrev(scalar))(a)
    size = 1e-9 * (1 + float(second.abs().max()))
    for other in (jacfwd(jacrev(scalar))(a), jacfwd(jacfwd(scalar))(a), jacrev(jacfwd(scalar))(a)):
        torch.testing.assert_close(other, second, rtol=1e-9, atol=size)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_agree_with_differences(name: str) -> None:
    a, h = with_eigenvalues([0.2, 0.2, 1.0]), symmetric(7, 3, 3)
    f = FUNCTIONS[name]

    def along(t: Tensor) -> Tensor:
        return f(a + t * h).sin().sum()

    zero, step = torch.zeros((), dtype=a.dtype), 1e-4
    differences = (grad(along)(zero + step) - grad(along)(zero - step)) / (2 * step)
    torch.testing.assert_close(grad(grad(along))(zero), differences, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_under_vmap_in_batches_and_alone_are_the_same(name: str) -> None:
    a = torch.stack([with_eigenvalues(values, seed) for seed, values in enumerate(SPECTRA.values()) if max(values) < 5])
    f = FUNCTIONS[name]
    together = f(a)
    for value in (torch.stack([f(row) for row in a]), vmap(f)(a), f(a.reshape(2, 3, 3, 3)).flatten(0, 1)):
        torch.testing.assert_close(value, together, rtol=1e-13, atol=1e-13)
    pulled = vmap(lambda row: vjp(lambda z: f(z).sum(), row)[1](torch.ones((), dtype=a.dtype))[0])(a)
    plain = a.clone().requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(f(plain).sum(), plain)[0], pulled, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_basis_is_orthonormal_and_coordinates_are_its_coefficients(n: int) -> None:
    basis = S.symmetric_basis(n, torch.float64)
    gram = torch.einsum("aij,bij->ab", basis, basis)
    torch.testing.assert_close(gram, torch.eye(n * (n + 1) // 2, dtype=gram.dtype), rtol=0, atol=1e-15)
    a = symmetric(1, 4, n, n)
    c = S.to_coordinates(a)
    torch.testing.assert_close(c, torch.einsum("aij,bij->ba", basis, a))
    torch.testing.assert_close(S.from_coordinates(c, n), a)
