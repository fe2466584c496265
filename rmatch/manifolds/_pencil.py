"""Two symmetric matrices at once: x = E Eᵀ, y = E diag(λ) Eᵀ, and functions `E f(λ) Eᵀ` of the pair.

The affine-invariant geometry is made of these: `log_x y` with f = log, `exp_x v` with f = exp, the mean of x and y with
f = √, the distance with |log λ|. Here are their values and gradients in closed form, from one decomposition. With
`X̂ = E⁻¹ dx E⁻ᵀ`, `Ŷ = E⁻¹ dy E⁻ᵀ` the differential of `E f(λ) Eᵀ` is

    E (K ∘ Ŷ + C ∘ X̂) Eᵀ,    K_ij = f[λ_i, λ_j],    C_ij = (λ_i f(λ_j) - λ_j f(λ_i)) / (λ_i - λ_j),

where K is smooth as a divided difference and C = f(λ_i) - λ_i K_ij.

Every function has a slow twin, written with Cholesky factors and `_symmetric`, that can be differentiated any number of
times: from it come the derivatives of the gradients, and forward mode.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._numerics import possibly_any, rows_of
from rmatch.manifolds._backward import is_differentiated
from rmatch.manifolds._divided_differences import decay
from rmatch.manifolds._eigh import eigh, eigvalsh
from rmatch.manifolds._symmetric import (
    Gradients,
    Needed,
    Saved,
    divide,
    frobenius_norm,
    multiply,
    symmetric_exp,
    symmetric_log,
    symmetrise,
    transpose,
)
from rmatch.manifolds._twin import TwinFunction, gradient_twin

Decomposition = tuple[Tensor, Tensor, Tensor]
"""Constants L, U, z: the Cholesky factor of x, and the eigenvectors and -values of a whitened matrix; E = L U."""

_EIGH_CONDITION = 100.0  # of a whitened matrix, up to which its eigenvectors are as good as singular vectors
_EIGVALSH_CONDITION = 0.01  # and up to which its eigenvalues are, computed in so many times finer numbers
_NEAR_SQUARE = 0.0625  # of the distance of a whitened matrix from the identity, from which on it loses no digits there


# ---- decompositions -------------------------------------------------------------------------------------------------


def vector_decomposition(x: Tensor, v: Tensor) -> Decomposition:
    """L, U, s with `L⁻¹ v L⁻ᵀ = U diag(s) Uᵀ`."""
    factor = torch.linalg.cholesky(x.detach())
    values, vectors = eigh(divide(factor, v.detach()))
    return factor, vectors, values


def point_decomposition(x: Tensor, y: Tensor) -> Decomposition:
    """L, U, log λ with `L⁻¹ y L⁻ᵀ = U diag(λ) Uᵀ`.

    The eigenvalues are the squares of the singular values of A = L⁻¹ L_y, whose condition is only the root of that of
    the matrix itself: where that is 1e20 the small ones are still there. For small conditions the eigenvectors of A Aᵀ
    are as good as singular vectors, at half the price, and λ_i = |Aᵀ u_i|² keeps the digits of A. For near points U
    and λ - 1 come from `L⁻¹ (y - x) L⁻ᵀ`, for the difference of the points has digits that λ has lost. For numbers in
    float32 all this is done in float64, where almost every condition is small.
    """
    factor, ratio, whitened, near = _whiten(x, y)
    values, vectors = eigh(whitened)
    log_values = (transpose(ratio) @ vectors).square().sum(-2).log()
    poor = _condition_exceeds(_EIGH_CONDITION * _spare_digits(x, ratio), values)
    if near is not None:
        log_values = torch.where(near.unsqueeze(-1), values.log1p(), log_values)
        poor = poor & ~near
    if possibly_any(poor):
        vectors, log_values = _mend(ratio, poor, vectors, log_values)
    return factor.to(x.dtype), vectors.to(x.dtype), log_values.to(x.dtype)


def log_eigenvalues(x: Tensor, y: Tensor) -> Tensor:
    """The log λ of `point_decomposition` alone, in no order."""
    _, ratio, whitened, near = _whiten(x, y)
    spare = _spare_digits(x, ratio)
    if near is None and spare == 1:
        return 2 * torch.linalg.svdvals(ratio).log()
    values = eigvalsh(whitened)
    poor = _condition_exceeds(_EIGVALSH_CONDITION * spare, values)
    if near is not None:
        poor = poor & ~near
    log_values = 2 * torch.linalg.svdvals(ratio).log() if possibly_any(poor) else values.log()
    if near is not None:
        log_values = torch.where(near.unsqueeze(-1), values.log1p(), log_values)
    return log_values.to(x.dtype)


def _whiten(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """L, A and `A Aᵀ`, in float64 where that is to be had, and in rows of near points `A Aᵀ - 1`; the near rows."""
    x, y = (a.detach() if a.device.type == "mps" else a.detach().double() for a in (x, y))
    factor = torch.linalg.cholesky(x)
    ratio = torch.linalg.solve_triangular(factor, torch.linalg.cholesky(y), upper=False)
    whitened = ratio @ transpose(ratio)
    near = (whitened - torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)).square().sum((-2, -1)) < _NEAR_SQUARE
    if not possibly_any(near):
        return factor, ratio, whitened, None
    return factor, ratio, torch.where(near[..., None, None], divide(factor, y - x), whitened), near


def _condition_exceeds(bound: float, values: Tensor) -> Tensor:
    """Where a matrix with these eigenvalues is not known to have a condition up to `bound`."""
    return ~(values.amax(-1) <= bound * values.amin(-1))


def _spare_digits(given: Tensor, used: Tensor) -> float:
    """How much finer the numbers are in which something was computed than those that were given."""
    return torch.finfo(given.dtype).eps / torch.finfo(used.dtype).eps


def _mend(ratio: Tensor, poor: Tensor, vectors: Tensor, log_values: Tensor) -> tuple[Tensor, Tensor]:
    """Take the poor rows from a singular value decomposition: of these only, where they can be picked out."""
    rows = rows_of(poor)
    if rows is None:
        left, singular, _ = torch.linalg.svd(ratio)
        return torch.where(poor[..., None, None], left, vectors), torch.where(
            poor[..., None], 2 * singular.log(), log_values
        )
    n = ratio.shape[-1]
    left, singular, _ = torch.linalg.svd(ratio.reshape(-1, n, n)[rows])
    mended = vectors.reshape(-1, n, n).index_copy(0, rows, left)
    return mended.reshape(vectors.shape), log_values.reshape(-1, n).index_copy(0, rows, 2 * singular.log()).reshape(
        log_values.shape
    )


# ---- functions ------------------------------------------------------------------------------------------------------


def pencil_log(x: Tensor, y: Tensor) -> Tensor:
    """The affine-invariant `log_x y = E log(λ) Eᵀ`."""
    return _Log.call(point_decomposition(x, y), x, y)


def pencil_exp(x: Tensor, v: Tensor) -> Tensor:
    """The affine-invariant `exp_x v = E exp(s) Eᵀ` with `v = E diag(s) Eᵀ`."""
    return _Exp.call(vector_decomposition(x, v), x, v)


def pencil_distance(x: Tensor, y: Tensor) -> Tensor:
    """The affine-invariant distance `|log λ|`; where no derivative is asked for the vectors are not needed."""
    if not is_differentiated(x, y):
        return torch.linalg.vector_norm(log_eigenvalues(x, y), dim=-1)
    return _Distance.call(point_decomposition(x, y), x, y)


def pencil_transport(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """The affine-invariant transport `e v eᵀ`, `e = (y x⁻¹)^{1/2} = E √λ E⁻¹`."""
    return _Transport.call(point_decomposition(x, y), x, y, v)


def pencil_geodesic(x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point `E λᵗ Eᵀ` and the velocity `E λᵗ log(λ) Eᵀ` at times `(*batch, 1, 1)`."""
    point, velocity = _Geodesic.call(point_decomposition(x, y), x, y, t).unbind(-3)
    return point, velocity


class _Pencil(TwinFunction):
    """A function of (L, U, z, x, ...)."""

    constants = 3

    @classmethod
    def call(cls, decomposition: Decomposition, *arguments: Tensor) -> Tensor:
        """Apply it, with all arguments brought to one batch shape."""
        factor, vectors, values = decomposition
        batch = torch.broadcast_shapes(vectors.shape[:-2], *(a.shape[:-2] for a in arguments))
        square = (*batch, *vectors.shape[-2:])
        constants = factor.expand(square), vectors.expand(square), values.expand(square[:-1])
        return cls.apply(*constants, *(a.expand(*batch, *a.shape[-2:]) for a in arguments))  # type: ignore[no-any-return]


class _Gradient(_Pencil):
    """The gradients of a function with respect to x, ..., stacked before the last two axes."""

    @staticmethod
    def back(decomposition: Decomposition, arguments: Saved, grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients in the basis E, `Eᵀ (∂/∂x) E`."""
        raise NotImplementedError

    @classmethod
    def forward(cls, factor: Tensor, vectors: Tensor, values: Tensor, *arguments: Tensor) -> Tensor:
        hats = cls.back((factor, vectors, values), arguments[:-1], arguments[-1])
        inverse = torch.linalg.solve_triangular(transpose(factor), vectors, upper=True)  # E⁻ᵀ
        return multiply(inverse.unsqueeze(-3), torch.stack(hats, -3))


class _WithGradient(_Pencil):
    """A function whose first derivative is in closed form."""

    gradient: type[_Gradient]

    @classmethod
    def cotangents(cls, saved: Saved, needed: Needed, grad: Tensor) -> Gradients:
        stacked = cls.gradient.evaluate(*saved[:-1], grad)
        return None, None, None, *stacked.unbind(-3)


class _LogGradient(_Gradient):
    @staticmethod
    def back(decomposition: Decomposition, arguments: Saved, grad: Tensor) -> tuple[Tensor, ...]:
        factor, vectors, values = decomposition
        basis = factor @ vectors
        hat = transpose(basis) @ symmetrise(grad) @ basis
        first, second = values.unsqueeze(-1), values.unsqueeze(-2)
        ratio = decay((first - second).abs())
        high, low = torch.maximum(first, second), torch.minimum(first, second)
        return (low - (low - high).exp() / ratio) * hat, hat * ((-high).exp() / ratio)

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        return gradient_twin(_Log, *arguments)


class _Log(_WithGradient):
    gradient = _LogGradient

    @staticmethod
    def forward(factor: Tensor, vectors: Tensor, values: Tensor, x: Tensor, y: Tensor) -> Tensor:
        basis = factor @ vectors
        return (basis * values.unsqueeze(-2)) @ transpose(basis)

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        factor = torch.linalg.cholesky(arguments[0])
        return multiply(factor, whitened_log(factor, *arguments))


class _ExpGradient(_Gradient):
    @staticmethod
    def back(decomposition: Decomposition, arguments: Saved, grad: Tensor) -> tuple[Tensor, ...]:
        factor, vectors, values = decomposition
        basis = factor @ vectors
        hat = transpose(basis) @ symmetrise(grad) @ basis
        first, second = values.unsqueeze(-1), values.unsqueeze(-2)
        high = torch.maximum(first, second)
        by_vector = high.exp() * decay((first - second).abs())
        return (high.exp() - high * by_vector) * hat, by_vector * hat

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        return gradient_twin(_Exp, *arguments)


class _Exp(_WithGradient):
    gradient = _ExpGradient

    @staticmethod
    def forward(factor: Tensor, vectors: Tensor, values: Tensor, x: Tensor, v: Tensor) -> Tensor:
        basis = factor @ (vectors * (values / 2).exp().unsqueeze(-2))
        return basis @ transpose(basis)

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        x, v = arguments
        factor = torch.linalg.cholesky(x)
        return multiply(factor, symmetric_exp(divide(factor, v)))


class _DistanceGradient(_Gradient):
    @staticmethod
    def back(decomposition: Decomposition, arguments: Saved, grad: Tensor) -> tuple[Tensor, ...]:
        values = decomposition[2]
        length = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
        zero = length == 0  # there the gradient is 0, of all subgradients the least
        slope = grad.unsqueeze(-1) * values / (length + zero)
        return torch.diag_embed(-slope), torch.diag_embed(slope * (-values).exp())

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        return gradient_twin(_Distance, *arguments)


class _Distance(_WithGradient):
    gradient = _DistanceGradient

    @staticmethod
    def forward(factor: Tensor, vectors: Tensor, values: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return torch.linalg.vector_norm(values, dim=-1)

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        return frobenius_norm(whitened_log(torch.linalg.cholesky(arguments[0]), *arguments))


class _TransportGradient(_Gradient):
    """With `v̂ = E⁻¹ v E⁻ᵀ` and σ = √λ, e = g x⁻¹, and `g = E σ Eᵀ` is a function of the pair with K = 1/(σ_i + σ_j)."""

    @staticmethod
    def back(decomposition: Decomposition, arguments: Saved, grad: Tensor) -> tuple[Tensor, ...]:
        factor, vectors, values = decomposition
        basis = factor @ vectors
        hat = transpose(basis) @ symmetrise(grad) @ basis
        v = transpose(vectors) @ divide(factor, arguments[2]) @ vectors
        root = (values / 2).exp()
        rows, columns = root.unsqueeze(-1), root.unsqueeze(-2)
        by_vector = rows * hat * columns
        by_mean = 2 * symmetrise(hat * columns @ v)
        by_mean = by_mean / (rows + columns)
        return rows * by_mean * columns - 2 * symmetrise(by_vector @ v), by_mean, by_vector

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        return gradient_twin(_Transport, *arguments)


class _Transport(_WithGradient):
    gradient = _TransportGradient

    @staticmethod
    def forward(factor: Tensor, vectors: Tensor, values: Tensor, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        root = vectors * (values / 2).exp().unsqueeze(-2) @ transpose(vectors)
        return multiply(factor @ root, divide(factor, v))

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        x, y, v = arguments
        factor = torch.linalg.cholesky(x)
        root = symmetric_exp(whitened_log(factor, x, y) / 2)
        return multiply(factor, root @ divide(factor, v) @ root)


class _Geodesic(_Pencil):
    """Point and velocity, stacked."""

    @staticmethod
    def forward(factor: Tensor, vectors: Tensor, values: Tensor, x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        basis = factor @ vectors
        exponent = values.unsqueeze(-2)
        power = (t * exponent).exp()
        weights = torch.stack((power, power * exponent), -3)
        return (basis.unsqueeze(-3) * weights) @ transpose(basis).unsqueeze(-3)

    @staticmethod
    def twin(*arguments: Tensor) -> Tensor:
        x, y, t = arguments
        factor = torch.linalg.cholesky(x)
        w = whitened_log(factor, x, y)
        power = symmetric_exp(t * w)
        return multiply(factor.unsqueeze(-3), torch.stack((power, power @ w), -3))


def whitened_log(factor: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The logarithm of `L⁻¹ y L⁻ᵀ`, differentiable any number of times."""
    _, vectors, values = point_decomposition(x, y)
    return symmetric_log(divide(factor, y), (vectors, values))
