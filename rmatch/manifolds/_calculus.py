"""Gradient and divergence as operators: functions in, functions out.

For a measure dV_g = ρ dμ with μ the coordinates' reference measure, Div V = Σ_i <E_i, D_{E_i} V> + V(log ρ) with E_i
any basis that is orthonormal for μ, in the product of the coordinates (Minkowski's on a hyperboloid, else the Euclidean
one, see `coordinate_covector`). On an embedded manifold ρ = 1 and the E_i are tangent, so only derivatives of V along
the manifold are taken: how V is extended off it cannot matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._numerics import standard_normal, vjp
from rmatch._typing import ScalarFunction, TangentFunction

if TYPE_CHECKING:
    from rmatch.manifolds.base import Manifold

ValueAndScalar: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]


def gradient(manifold: Manifold, f: ScalarFunction) -> TangentFunction:
    """The Riemannian gradient of a batched function: `sharp` of its differential."""

    def evaluate(x: Tensor) -> Tensor:
        value, pull = _vjp(f, x)
        (differential,) = pull(torch.ones_like(value))
        return manifold.sharp(x, differential)

    return evaluate


def value_and_divergence(
    manifold: Manifold, field: TangentFunction, *, method: str, probes: int, generator: torch.Generator | None
) -> ValueAndScalar:
    """The field and its divergence; see `Manifold.divergence`."""
    _check_options(method, probes)
    point_rank = len(manifold.point_shape)

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        value, pull = _vjp(field, x)
        if method == "exact":
            directions = manifold.coordinate_frame(x).unbind(-1 - point_rank)  # dim times [*batch, *point]
            weight = 1.0
        else:
            directions = tuple(manifold.random_probe(x, generator=generator) for _ in range(probes))
            weight = 1.0 / probes
        total = x.new_zeros(())
        for direction in directions:
            (row,) = pull(manifold.coordinate_covector(direction).expand_as(value))
            total = total + (row * direction).flatten(-point_rank).sum(-1)
        drift = manifold.density_drift(x, value)
        return value, total * weight if drift is None else total * weight + drift

    return evaluate


def value_and_trace(
    manifold: Manifold,
    field: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    method: str,
    probes: int,
    generator: torch.Generator | None,
) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
    """A field V, its coefficients c, and the trace `Σ_i e_i(c_i)` of the derivatives of these along the frame e.

    The divergence is that plus `Σ_i c_i Div e_i`, which a member knows.

    Args:
        manifold: Where points are vectors, and `span` combines the frame.
        field: V and c, from one evaluation.
        method: As for `value_and_divergence`, and so the rest.
        probes: Number of probes.
        generator: Source of the probes.
    """
    _check_options(method, probes)

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, pull = _vjp(lambda y: torch.cat(field(y), -1), x)
        shape = (*x.shape[:-1], manifold.dim)
        if method == "exact":
            rows = torch.eye(manifold.dim, dtype=x.dtype, device=x.device).unbind(0)
        else:
            rows = tuple(standard_normal(shape, x, generator) for _ in range(probes))
        total = x.new_zeros(())
        for row in rows:
            row = row.expand(shape)
            (derivative,) = pull(torch.cat([torch.zeros_like(x), row], -1))
            total = total + (derivative * manifold.span(x, row)).sum(-1)
        value, c = values.split([x.shape[-1], manifold.dim], -1)
        return value, c, total if method == "exact" else total / probes

    return evaluate


def _check_options(method: str, probes: int) -> None:
    if method not in ("exact", "hutchinson"):
        raise OptionError(f"unknown divergence method {method!r}; use 'exact' or 'hutchinson'")
    if probes < 1:
        raise OptionError(f"the Hutchinson estimate needs at least one probe, got probes={probes}")


def _vjp(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor]]]:
    """The value of `f` and its vector-Jacobian product.

    `torch.func.vjp` builds its products so that they can be differentiated again, which costs half a forward pass each
    for a network. Where nobody can ask for that, under `torch.no_grad`, plain autograd does the same work without it.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return vjp(f, x)
    try:
        start = x.detach().requires_grad_()
    except RuntimeError:  # inside a transform of torch.func, which has its own way to differentiate
        return vjp(f, x)
    with torch.enable_grad():
        value = f(start)

    def pull(covector: Tensor) -> tuple[Tensor]:
        if not value.requires_grad:  # a constant
            return (torch.zeros_like(x),)
        (row,) = torch.autograd.grad(value, start, covector, retain_graph=True, materialize_grads=True)
        return (row,)

    return value.detach(), pull


def directional_derivative(f: ScalarFunction, x: Tensor, v: Tensor) -> Tensor:
    """The derivative of a batched function along `v`, shape `(*batch)`."""
    return torch.func.jvp(f, (x.contiguous(),), (v,))[1]  # of rows that share their memory there is no dual number
