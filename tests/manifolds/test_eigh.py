"""Eigenvectors of many small matrices at once: as accurate as those that LAPACK finds one by one."""

import mpmath
import pytest
import torch
from torch import Tensor

from rmatch.manifolds._eigh import eigh, eigvalsh

SPECTRA: dict[str, Tensor] = {
    "random": torch.randn(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    "double, and the larger": torch.tensor([1.0, 3.0, 3.0]).expand(50, 3),
    "double, and the lesser": torch.tensor([-3.0, -3.0, -1.0]).expand(50, 3),
    "all but double": torch.tensor([1.0, 1.0 + 1e-9, 3.0], dtype=torch.float64).expand(50, 3),
    "all but triple": torch.tensor([2.0, 2.0, 2.0 + 1e-13], dtype=torch.float64).expand(50, 3),
    "symmetric": torch.tensor([-1.0, 0.0, 1.0]).expand(50, 3),
    "ill-conditioned": torch.tensor([1e-12, 1e-6, 1.0], dtype=torch.float64).expand(50, 3),
    "large": torch.tensor([1.0, 2.0, -5.0]).expand(50, 3) * 1e30,
    "small": torch.tensor([1.0, 2.0, -5.0]).expand(50, 3) * 1e-30,
    "zero": torch.zeros(50, 3),
    "scalar": torch.full((50, 3), 0.1),
}


def matrices(spectrum: Tensor, dtype: torch.dtype, seed: int = 1) -> Tensor:
    noise = torch.randn(len(spectrum), 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    q = torch.linalg.qr(noise)[0]
    a = (q * spectrum.double().unsqueeze(-2)) @ q.mT
    return ((a + a.mT) / 2).to(dtype)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_decomposition_gives_the_matrix_back_to_a_few_roundings(name: str, dtype: torch.dtype) -> None:
    a = matrices(SPECTRA[name], dtype)
    values, vectors = eigh(a)
    assert values.dtype == vectors.dtype == dtype
    values, vectors = values.double(), vectors.double()
    few = 10 * torch.finfo(dtype).eps  # LAPACK needs up to 15
    size = a.double().abs().amax((-2, -1), keepdim=True)
    rest = (vectors * values.unsqueeze(-2)) @ vectors.mT - a
    assert bool((rest.abs() <= few * size).all())
    assert bool(((vectors.mT @ vectors - torch.eye(3)).abs() <= few).all())


@pytest.mark.parametrize("largest", [0, 1, 2])
@pytest.mark.parametrize("values", [(1.0, 2.0, 5.0), (5.0, 4.0, 1.0)], ids=str)
def test_a_vector_next_to_an_axis_keeps_its_small_components(largest: int, values: tuple[float, ...]) -> None:
    """They are read off the longest column of the adjugate; the others have lost the digits."""
    turn = torch.tensor([[0.0, 1e-5, 1e-9], [-1e-5, 0.0, 1e-7], [-1e-9, -1e-7, 0.0]], dtype=torch.float64)
    for axes in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        q = torch.linalg.matrix_exp(turn)[axes].roll(largest, 0)
        a = (q * torch.tensor(values, dtype=torch.float64)) @ q.T
        spectrum, vectors = eigh(a)
        torch.testing.assert_close((vectors * spectrum) @ vectors.T, a, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_eigenvalues_agree_with_30_digits(dtype: torch.dtype) -> None:
    chosen = [SPECTRA[name][:3] for name in SPECTRA if name not in ("large", "small")]
    a = matrices(torch.cat([c.double() for c in chosen]), dtype)
    with mpmath.workdps(30):
        wanted = [sorted(float(e) for e in mpmath.eigsy(mpmath.matrix(m.tolist()), eigvals_only=True)) for m in a]
    found = eigvalsh(a).sort(-1).values
    few = 4 * torch.finfo(dtype).eps * a.abs().amax((-2, -1), keepdim=True).squeeze(-1)
    assert bool(((found - torch.tensor(wanted, dtype=torch.float64)).abs() <= few).all())


def test_a_row_of_a_large_batch_is_decomposed_as_it_is_alone() -> None:
    a = matrices(torch.randn(5000, 3, generator=torch.Generator().manual_seed(2)), torch.float64)
    values, vectors = eigh(a.reshape(50, 100, 3, 3))
    assert values.shape == (50, 100, 3)
    for row in (0, 2047, 2048, 4999):
        alone, its_vectors = eigh(a[row])
        torch.testing.assert_close(values.reshape(-1, 3)[row], alone, rtol=0, atol=1e-15)
        torch.testing.assert_close(vectors.reshape(-1, 3, 3)[row], its_vectors, rtol=0, atol=1e-14)


def test_only_the_lower_triangle_is_read() -> None:
    a = matrices(SPECTRA["random"], torch.float64)
    torch.testing.assert_close(eigvalsh(a), eigvalsh(a.tril() + a.triu(1) * 7), rtol=0, atol=0)


def test_inside_of_vmap_it_is_the_same_decomposition() -> None:
    a = matrices(SPECTRA["random"], torch.float64)
    values, vectors = torch.vmap(eigh)(a)
    torch.testing.assert_close((vectors * values.unsqueeze(-2)) @ vectors.mT, a, rtol=0, atol=1e-14)


def test_a_matrix_that_is_not_finite_is_an_error_as_for_torch() -> None:
    a = matrices(SPECTRA["random"], torch.float64)
    a[3, 1, 1] = torch.nan
    with pytest.raises(RuntimeError, match="eigh"):
        eigh(a)
