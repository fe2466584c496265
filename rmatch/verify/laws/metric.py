"""Laws of the metric: what `inner` is, and what `norm`, `metric`, `frame`, `to_tangent` and `sharp` make of it."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds import Manifold
from rmatch.verify._tolerances import norm, norm_of_normal_part, rounding
from rmatch.verify.base import Inputs, Residual, law
from rmatch.verify.draw import Draw


def _vectors(draw: Draw) -> Inputs:
    x = draw.points()
    return {"x": x, "u": draw.tangents(x), "v": draw.tangents(x), "w": draw.tangents(x)}


def _array(draw: Draw) -> Inputs:
    x = draw.points()
    return {"x": x, "array": torch.randn(x.shape, generator=draw.generator, dtype=x.dtype)}


def _array_and_basis(draw: Draw) -> Inputs:
    given = _array(draw)
    return {**given, "basis": _basis(draw.manifold, given["x"], draw.generator)}


def _basis(M: Manifold, x: Tensor, generator: torch.Generator) -> Tensor:
    """`dim` random tangent vectors at each point, which are a basis: `(*batch, dim, *point_shape)`."""
    vectors = torch.stack([M.random_tangent(x, generator=generator) for _ in range(M.dim)], 1)
    return M.to_tangent(x[:, None], vectors)


def gram(M: Manifold, x: Tensor, vectors: Tensor) -> Tensor:
    """The inner products of k vectors at each point: `(batch, k, k)`."""
    there = x[:, None, None]
    return M.inner(there, vectors[:, :, None], vectors[:, None, :])


@law(
    "metric-symmetric",
    "g(u, v) = g(v, u)",
    catches="a matrix of the metric that is applied to one side only, or transposed",
    inputs=_vectors,
)
def metric_symmetric(M: Manifold, x: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Residual:
    del w
    size = norm(M, x, u) * norm(M, x, v)
    return Residual((M.inner(x, u, v) - M.inner(x, v, u)).abs(), rounding(M, x) * size)


@law(
    "metric-bilinear",
    "g(u + 2v, w) = g(u, w) + 2 g(v, w)",
    catches="an inner product that is no inner product, such as one of norms, or of a part of the entries",
    inputs=_vectors,
)
def metric_bilinear(M: Manifold, x: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Residual:
    difference = M.inner(x, u + 2 * v, w) - M.inner(x, u, w) - 2 * M.inner(x, v, w)
    return Residual(difference.abs(), rounding(M, x) * (norm(M, x, u) + 2 * norm(M, x, v)) * norm(M, x, w))


@law(
    "metric-positive-definite",
    "g(v, v) > 0 for v ≠ 0",
    catches="a wrong sign, a direction that the metric forgets, `inner` of the wrong shape",
    inputs=lambda draw: {"x": draw.points()},
)
def metric_positive_definite(M: Manifold, x: Tensor) -> Residual:
    """The smallest eigenvalue of the Gram matrix of unit coordinate vectors is above round-off."""
    vectors = M.coordinate_frame(x)
    g = gram(M, x, vectors)
    scale = g.diagonal(dim1=-2, dim2=-1).abs().sqrt()
    eigenvalues = torch.linalg.eigvalsh(g / (scale.unsqueeze(-1) * scale.unsqueeze(-2)))
    smallest = torch.finfo(x.dtype).eps * eigenvalues.abs().amax(-1)
    return Residual((smallest - eigenvalues[..., 0]).clamp_min(0.0), smallest / 2)


@law(
    "norm-of-inner",
    "|v| = √g(v, v)",
    catches="a norm in closed form that forgets the metric",
    inputs=_vectors,
)
def norm_of_inner(M: Manifold, x: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Residual:
    del u, w
    length = norm(M, x, v)
    return Residual((M.norm(x, v) - length).abs(), rounding(M, x) * length)


@law(
    "metric-matrix",
    "uᵀ G v = g(u, v)",
    catches="a matrix `metric(x)` in closed form that disagrees with `inner`",
    inputs=_vectors,
)
def metric_matrix(M: Manifold, x: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Residual:
    """The sum of the absolute terms is what its rounding is relative to: on a hyperboloid they cancel."""
    del w
    G, flat_u, flat_v = M.metric(x), u.flatten(1), v.flatten(1)
    product = torch.einsum("bi,bij,bj->b", flat_u, G, flat_v)
    terms = torch.einsum("bi,bij,bj->b", flat_u.abs(), G.abs(), flat_v.abs())
    size = norm(M, x, u) * norm(M, x, v)
    allowed = rounding(M, x) * size + 32 * torch.finfo(x.dtype).eps * terms
    return Residual((product - M.inner(x, u, v)).abs(), allowed)


@law(
    "frame-orthonormal",
    "g(e_i, e_j) = δ_ij",
    catches="a frame that is orthonormal in the coordinates but not in the metric",
    inputs=lambda draw: {"x": draw.points()},
)
def frame_orthonormal(M: Manifold, x: Tensor) -> Residual:
    e = M.frame(x)
    difference = gram(M, x, e) - torch.eye(M.dim, dtype=x.dtype)
    tangent = (M.to_tangent(x[:, None], e) - e).flatten(1).abs().amax(-1)
    return Residual(difference.abs().amax((-2, -1)) + tangent, rounding(M, x))


@law(
    "tangent-projection",
    "P(P a) = P a",
    catches="a projection to another tangent space, or one that does not project",
    inputs=_array,
)
def tangent_projection(M: Manifold, x: Tensor, array: Tensor) -> Residual:
    once = M.to_tangent(x, array)
    again = M.to_tangent(x, once)
    size = 1 + array.flatten(1).abs().amax(-1)
    return Residual((again - once).flatten(1).abs().amax(-1), rounding(M, x) * size)


@law(
    "span-is-linear-and-tangent",
    "span(a + 2b) = span(a) + 2 span(b), and spans T_xM",
    catches="network outputs that leave the tangent space or cannot reach all of it",
    inputs=lambda draw: {"x": draw.points()},
)
def span_linear(M: Manifold, x: Tensor) -> Residual:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(len(x), M.span_size, generator=generator, dtype=x.dtype) for _ in "ab")
    u, v, both = M.span(x, a), M.span(x, b), M.span(x, a + 2 * b)
    linear = (both - u - 2 * v).flatten(1).abs().amax(-1)
    tangent = norm_of_normal_part(M, x, u)
    units = torch.eye(M.span_size, dtype=x.dtype).expand(len(x), -1, -1)
    reached = torch.stack([M.span(x, units[:, k]) for k in range(M.span_size)], 1).flatten(2)
    ranks = torch.linalg.matrix_rank(reached, rtol=1e-9)
    size = 1 + both.flatten(1).abs().amax(-1)
    return Residual(linear + tangent + (ranks != M.dim), rounding(M, x) * size)


@law(
    "sharp",
    "g(ω♯, v) = ω(v)",
    catches="a gradient without the inverse metric",
    inputs=_array_and_basis,
)
def sharp(M: Manifold, x: Tensor, array: Tensor, basis: Tensor) -> Residual:
    raised = M.sharp(x, array)
    paired = (array[:, None] * basis).flatten(2).sum(-1)
    products = M.inner(x[:, None], raised[:, None], basis)
    lengths = norm(M, x[:, None], basis)
    size = norm(M, x, raised) + array.flatten(1).abs().amax(-1) / _smallest_length(M, x)
    worst = ((products - paired).abs() / lengths).amax(-1)
    tangent = norm_of_normal_part(M, x, raised)
    return Residual(worst + tangent / (1 + raised.flatten(1).abs().amax(-1)), rounding(M, x) * (1 + size))


def _smallest_length(M: Manifold, x: Tensor) -> Tensor:
    """The least length of a unit coordinate vector that is tangent."""
    return M.norm(x[:, None], M.coordinate_frame(x)).amin(-1)


LAWS = (
    metric_symmetric,
    metric_bilinear,
    metric_positive_definite,
    norm_of_inner,
    metric_matrix,
    frame_orthonormal,
    tangent_projection,
    span_linear,
    sharp,
)
