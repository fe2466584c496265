"""Euclidean space: plain vector algebra, in the same words as every other manifold."""

import math

import torch

from rmatch.manifolds import Euclidean

from .cases import every_dtype, points

M = Euclidean(3)


@every_dtype
def test_geometry_is_vector_algebra(dtype: torch.dtype) -> None:
    x, y = points(M, (5,), 0, dtype), points(M, (5,), 1, dtype)
    assert torch.equal(M.exp(x, y), x + y)
    assert torch.equal(M.log(x, y), y - x)
    assert torch.equal(M.project(x), x)
    assert torch.equal(M.to_tangent(x, y), y)
    assert torch.equal(M.transport(x, y, x), x)
    assert torch.equal(M.sharp(x, y), y)
    assert torch.equal(M.features(x), x)
    torch.testing.assert_close(M.dist(x, y), (x - y).norm(dim=-1))
    torch.testing.assert_close(M.inner(x, x, y), torch.linalg.vecdot(x, y))
    assert M.origin(dtype=dtype).tolist() == [0.0, 0.0, 0.0]
    assert M.volume == math.inf


def test_volume_form_is_the_determinant() -> None:
    vectors = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0], [5.0, 0.0, 3.0]])
    assert float(M.volume_form(M.origin(), vectors)) == 3.0
    assert float(M.volume_form(M.origin(), vectors[[1, 0, 2]])) == -3.0


def test_laplacian_and_divergence_are_the_textbook_ones() -> None:
    x = points(M, (6,))
    close = torch.testing.assert_close
    close(M.laplacian(lambda z: z.square().sum(-1))(x), torch.full((6,), 6.0).double())
    close(M.laplacian(lambda z: z[..., 0].sin() * z[..., 1].exp())(x), torch.zeros(6).double(), atol=1e-14, rtol=0)
    close(M.divergence(lambda z: z * z)(x), 2 * x.sum(-1))
