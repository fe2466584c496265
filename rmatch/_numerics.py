"""Numerical pieces that stay accurate, and differentiable twice, where the textbook form does not.

Two habits hold everywhere in the library:

* a quotient such as `sin(r)/r` is written so that no branch of it, taken or not, can divide by zero, for a NaN in the
  branch that is not taken would still reach the gradient;
* the rare case (equal points, the cut locus) is computed only when `possibly_any` says that it may be there, so the
  common case costs no more than the plain formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

import rmatch._arrays as xp

_Value = TypeVar("_Value", Tensor, tuple[Tensor, Tensor])

_SMALL_SQUARE = (
    1e-4  # below it three Taylor terms are exact to 1e-19, and 1/s no longer magnifies round-off in derivatives
)
_FEW = 16  # entries of an axis that is short: over a long one torch's own sum is fast

MANY = 1 << 12  # entries of a tensor, from which on a reduction costs more than the calls that it takes


def possibly_any(mask: Tensor) -> bool:
    """Whether any entry of `mask` is set, or True where values cannot or should not be looked at.

    Inside `torch.vmap` and `torch.compile` values are not there to be read, and on an accelerator reading one would
    wait for everything queued before it: there the answer is True, and the caller takes the branch that is right for
    all rows.
    """
    if torch.compiler.is_compiling() or mask.device.type != "cpu":
        return True
    try:
        return bool(mask.any())
    except RuntimeError:  # inside vmap, where a value that differs between rows cannot steer Python
        return True


def rows_of(mask: Tensor) -> Tensor | None:
    """The places of the set entries of the flattened `mask`, or None where values are not there to be read."""
    if torch.compiler.is_compiling():
        return None
    try:
        return mask.reshape(-1).nonzero().squeeze(-1)
    except RuntimeError:  # inside vmap
        return None


def possibly_reaches(x: Tensor, bound: float) -> bool:
    """Whether any entry of `x` is at least `bound` or NaN, or True where that is not to be looked at."""
    seen = _ends(x)
    return seen is None or not seen[1] < bound


def possibly_below(x: Tensor, bound: float) -> bool:
    """Whether any entry of `x` is less than `bound` or NaN, or True where that is not to be looked at.

    One pass over the values, where `possibly_any` takes two. A NaN in one row must not decide for the others.
    """
    if xp.is_array(x):
        return not xp.least(x) >= bound
    seen = _ends(x)
    return seen is None or not seen[0] >= bound


def surely_within(x: Tensor, low: float, high: float) -> bool:
    """Whether all entries of `x` are known to lie in [low, high); False where that is not to be looked at."""
    seen = xp.ends(x) if xp.is_array(x) else _ends(x)
    return seen is not None and seen[0] >= low and seen[1] < high


def _ends(x: Tensor) -> tuple[float, float] | None:
    """The least and the largest entry, NaN where there is one; None where they are not to be looked at."""
    if torch.compiler.is_compiling() or not x.is_cpu:
        return None
    if x.numel() == 0:
        return math.inf, -math.inf
    try:
        if x.dtype in xp.DTYPES and not torch._C._are_functorch_transforms_active():  # pyright: ignore[reportPrivateUsage]
            return xp.ends(cast("Tensor", x.numpy(force=True)))
        least, most = torch.aminmax(x.detach())
        return least.item(), most.item()
    except RuntimeError:  # inside vmap
        return None


def dot(u: Tensor, v: Tensor) -> Tensor:
    """Euclidean inner product over the last axis, kept: `(*batch, k), (*batch, k) -> (*batch, 1)`.

    torch sums a short last axis several times slower than it multiplies by ones.
    """
    if xp.is_array(u):
        return xp.dot(u, v)
    product = u * v
    if not _multiplies_faster(product):
        return product.sum(-1, keepdim=True)
    return product @ product.new_ones(product.shape[-1], 1)


def last_sum(product: Tensor) -> Tensor:
    """The sum over the last axis: `(*batch, k) -> (*batch)`; see `dot`."""
    if xp.is_array(product):
        return xp.last_sum(product)
    return product @ product.new_ones(product.shape[-1]) if _multiplies_faster(product) else product.sum(-1)


def _multiplies_faster(x: Tensor) -> bool:
    """Whether a product with ones is the faster sum, and as exact: autocast would do it in half precision."""
    return (
        x.numel() >= MANY
        and x.dim() > 1
        and x.shape[-1] <= _FEW
        and x.dtype in (torch.float32, torch.float64)
        and x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )


def norm(v: Tensor) -> Tensor:
    """Euclidean norm over the last axis, kept, with all derivatives finite: at v = 0 they are 0 (a subgradient)."""
    return sqrt(dot(v, v))


def sqrt(s: Tensor) -> Tensor:
    """The root of s >= 0, whose derivatives of every order are finite at s = 0: there, those of √(1 + s) - 1.

    Hence √|v|² has the gradient 0 at v = 0, the subgradient of least length.
    Zero is every s below the smallest normal number (1e-38 in float32): there 1/s, which second derivatives pass
    through, overflows.
    """
    zero = (s.abs() < torch.finfo(s.dtype).tiny).to(s.dtype)
    return (s + zero).sqrt() - zero


def cos_and_sinc(s: Tensor) -> tuple[Tensor, Tensor]:
    """The pair cos(√s), sin(√s)/√s as analytic functions of `s >= 0`, with the right derivatives at s = 0.

    As functions of the square both are entire, so a geodesic x cos|v| + v sin|v|/|v| has no singular point at v = 0.
    """
    if not possibly_below(s, _SMALL_SQUARE):
        r = xp.sqrt(s)
        return xp.cos(r), xp.sin(r) / r
    small = s < _SMALL_SQUARE
    r = xp.sqrt(xp.where(small, 1.0, s))
    cosine = xp.where(small, 1 - s / 2 * (1 - s / 12 * (1 - s / 30)), xp.cos(r))
    sinc = xp.where(small, 1 - s / 6 * (1 - s / 20 * (1 - s / 42)), xp.sin(r) / r)
    return cosine, sinc


def cosh_and_sinhc(s: Tensor) -> tuple[Tensor, Tensor]:
    """The pair cosh(√s), sinh(√s)/√s as analytic functions of `s >= 0`, with the right derivatives at s = 0."""
    if not possibly_below(s, _SMALL_SQUARE):
        r = xp.sqrt(s)
        return xp.cosh(r), xp.sinh(r) / r
    small = s < _SMALL_SQUARE
    r = xp.sqrt(xp.where(small, 1.0, s))
    cosh = xp.where(small, 1 + s / 2 * (1 + s / 12 * (1 + s / 30)), xp.cosh(r))
    sinhc = xp.where(small, 1 + s / 6 * (1 + s / 20 * (1 + s / 42)), xp.sinh(r) / r)
    return cosh, sinhc


def tanhc_and_sech_square(s: Tensor) -> tuple[Tensor, Tensor]:
    """The pair tanh(√s)/√s, 1/cosh²(√s) as analytic functions of `s >= 0`; neither overflows, however large s is."""
    small = s < _SMALL_SQUARE
    r = xp.sqrt(xp.where(small, 1.0, s))
    decay = xp.exp(-2 * r)
    tanhc = -xp.expm1(-2 * r) / ((1 + decay) * r)
    near = xp.where(small, s, 0.0)  # a power of a large s would overflow, and spoil the gradient from there
    tanhc = xp.where(small, 1 - near / 3 * (1 - near * (2 / 5) * (1 - near * (17 / 42))), tanhc)
    return tanhc, xp.where(small, 1 - near * tanhc * tanhc, 4 * decay / ((1 + decay) * (1 + decay)))


def log_sinhc(s: Tensor) -> Tensor:
    """The logarithm of sinh(√s)/√s as an analytic function of `s >= 0`, which does not overflow."""
    small = s < _SMALL_SQUARE
    r = torch.where(small, 1.0, s).sqrt()
    large = r + (-torch.expm1(-2 * r) / (2 * r)).log()
    near = torch.where(small, s, 0.0)
    return torch.where(small, near / 6 * (1 - near / 30 * (1 - near * (4 / 63))), large)


def asinhc(s: Tensor) -> Tensor:
    """The quotient asinh(√s)/√s as an analytic function of `s >= 0`, with the right derivatives at s = 0."""
    if not possibly_below(s, _SMALL_SQUARE):
        r = s.sqrt()
        return asinh(r) / r
    small = s < _SMALL_SQUARE
    r = torch.where(small, 1.0, s).sqrt()
    near = torch.where(small, s, 0.0)
    return torch.where(small, 1 - near / 6 * (1 - near * (9 / 20) * (1 - near * (25 / 42))), asinh(r) / r)


def asinh(r: Tensor) -> Tensor:
    """The inverse of sinh for `r >= 0`: `log1p(r + r²/(1 + √(1 + r²)))`, many times faster than torch's own."""
    s = r * r
    return torch.log1p(r + s / (1 + (1 + s).sqrt()))


def perpendicular(x: Tensor) -> Tensor:
    """A unit vector orthogonal to each unit vector `x` of R^k, k >= 2, chosen by a fixed rule without a search.

    With z the last entry and a the others, it is (z sign(a_i), ..., -Σ|a_i|) up to its length, where the sign of 0 is
    that of z: the products with x cancel term by term, and it vanishes for no x but 0. It is the same for -x as for x.
    """
    others, last = x[..., :-1], x[..., -1:]
    sign = others.sign() + (others == 0) * last.sign()
    v = torch.cat([last * sign, -others.abs().sum(-1, keepdim=True)], -1)
    return v / dot(v, v).sqrt()


def orthonormalise(vectors: Tensor, gram: Tensor, rank: int) -> Tensor:
    """An orthonormal basis of the span of k vectors, by Cholesky on the `rank` best of them.

    Args:
        vectors: `(*batch, k, d)`, spanning a space of dimension `rank`.
        gram: Their inner products in the metric, `(*batch, k, k)`.
        rank: Dimension of the span.

    Returns:
        `(*batch, rank, d)`, orthonormal in that metric. Which vectors are taken is decided by pivoting on values alone,
        so the result is a smooth function of the input between two changes of the pivots.
    """
    chosen = _pivots(gram.detach(), rank)  # (*batch, rank)
    rows = torch.gather(vectors, -2, chosen.unsqueeze(-1).expand(*chosen.shape, vectors.shape[-1]))
    sub = torch.gather(gram, -2, chosen.unsqueeze(-1).expand(*chosen.shape, gram.shape[-1]))
    sub = torch.gather(sub, -1, chosen.unsqueeze(-2).expand(*chosen.shape, rank))
    factor = torch.linalg.cholesky(sub)
    return torch.linalg.solve_triangular(factor, rows, upper=False)


def _pivots(gram: Tensor, rank: int) -> Tensor:
    """Indices of the `rank` vectors that a Cholesky factorisation with diagonal pivoting takes first.

    Of vectors that are almost as long as the longest the first is taken, so that rounding does not decide between those
    that are equally long by symmetry.
    """
    chosen: list[Tensor] = []
    rest = gram
    for _ in range(rank):
        diagonal = rest.diagonal(dim1=-2, dim2=-1)
        for used in chosen:
            diagonal = diagonal.scatter(-1, used, -1.0)
        long = diagonal >= 0.99 * diagonal.amax(-1, keepdim=True)
        pivot = long.to(torch.uint8).argmax(-1, keepdim=True)  # (*batch, 1)
        column = torch.gather(rest, -1, pivot.unsqueeze(-2).expand(*rest.shape[:-1], 1))  # (*batch, k, 1)
        scale = torch.gather(diagonal, -1, pivot).unsqueeze(-1)
        rest = rest - column * column.transpose(-1, -2) / scale
        chosen.append(pivot)
    return torch.cat(chosen, -1)


def standard_normal(shape: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Independent N(0, 1) numbers of the dtype and device of `like`, drawn where the generator is."""
    source = like.device if generator is None else generator.device
    return torch.randn(tuple(shape), generator=generator, dtype=like.dtype, device=source).to(like.device)


def vjp(f: Callable[[Tensor], _Value], x: Tensor) -> tuple[_Value, Callable[[_Value], tuple[Tensor]]]:
    """The value of `f` and its vector-Jacobian product; torch's own annotation leaves open how much is returned."""
    return cast("tuple[_Value, Callable[[_Value], tuple[Tensor]]]", torch.func.vjp(f, x))
