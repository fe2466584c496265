"""Heat kernels on spaces of constant curvature ±1 as functions of the angle, differentiable to any order.

Brownian motion has the generator Δ/2. Its density K_n(t, ·) on S^n depends on c = cos θ alone and on H^n on c = cosh ρ;
with ε = 1 on the sphere and ε = -1 on hyperbolic space the kernels of all dimensions hang together by

    dK_n/dc = ε 2π e^{-ε n t/2} K_{n+2},     ∂K_n/∂t = ½ Δ K_n = ½ ε ((1 - c²) d²K_n/dc² - n c dK_n/dc).

(Derive the eigenfunction expansion term by term: the eigenvalues l (l + n - 1)/2 of S^n are those of S^{n+2} plus n/2.)
So with the slope `r_n = 2π e^{-ε n t/2} K_{n+2} / K_n > 0`

    d log K_n / dc = ε r_n,  d log r_n / dc = ε (r_{n+2} - r_n),  ∂ log K_n / ∂t = ½ r_n (ε (1 - c²) r_{n+2} - n c),

and every derivative is a polynomial in values of kernels. Hence only values need to be computed, and there is no
singular point: c is an analytic coordinate at θ = 0 and at θ = π too.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor


class Separation(NamedTuple):
    """How far two points are apart, each part of shape `(*batch)` and accurate where the others are not.

    Attributes:
        cosine: cos θ or cosh ρ; derivatives with respect to the points flow through it.
        angle: θ or ρ.
        rest: π - θ; on hyperbolic space it is not used.
    """

    cosine: Tensor
    angle: Tensor
    rest: Tensor


class SpaceForm(ABC):
    """How the values of the kernels are computed on one kind of space.

    Attributes:
        sign: The sign ε of the curvature.
    """

    sign: int

    @abstractmethod
    def scaled_logs(self, n: int, levels: int, angle: Tensor, rest: Tensor, t: Tensor) -> list[Tensor]:
        """`log K_m(t, θ) + θ²/2t` for m = n, n + 2, ..., as many as there are levels, without derivatives.

        All tensors have one shape and are in float64. The two terms are large and nearly cancel for small t, so their
        sum is computed as one; and the levels are computed together, as they share most of the work.
        """

    def scaled_log(self, n: int, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        """The first level alone."""
        return self.scaled_logs(n, 1, angle, rest, t)[0]


def log_kernel(form: SpaceForm, n: int, apart: Separation, t: Tensor) -> Tensor:
    """`log K_n`, in float64, of the broadcast shape of the separation and the time."""
    return _ladder(form, n, 0, *torch.broadcast_tensors(*apart, t))[0]


def log_kernel_and_slope(form: SpaceForm, n: int, apart: Separation, t: Tensor) -> tuple[Tensor, Tensor]:
    """`log K_n` and `r_n = ε d log K_n / dc > 0`, for little more than the price of one."""
    log_k, r = _ladder(form, n, 1, *torch.broadcast_tensors(*apart, t))
    return log_k, r


def _ladder(form: SpaceForm, n: int, slopes: int, *inputs: Tensor) -> list[Tensor]:
    """`log K_n, r_n, r_{n+2}, ...` with as many slopes as asked for, as functions of c, the angle, its rest and t."""
    return list(cast("tuple[Tensor, ...]", _Ladder.apply(*inputs, form, n, slopes)))


class _Ladder(torch.autograd.Function):
    """The logarithm of a kernel and its first slopes, with their derivatives in c and t by the slopes that come next.

    The angle and its rest say what c says, with all digits; derivatives flow through c and t. They can be taken in
    reverse and forward mode and to any order, but for forward mode inside forward mode, which torch takes for 0.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        c: Tensor, angle: Tensor, rest: Tensor, t: Tensor, form: SpaceForm, n: int, slopes: int
    ) -> tuple[Tensor, ...]:
        """The values."""
        del c
        logs = form.scaled_logs(n, slopes + 1, angle, rest, t)
        ratios = [
            2 * math.pi * (upper - lower - form.sign * (n + 2 * i) / 2 * t).exp()
            for i, (lower, upper) in enumerate(pairwise(logs))
        ]
        return logs[0] - angle.square() / (2 * t), *ratios

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the inputs."""
        del output
        *tensors, ctx.form, ctx.n, ctx.slopes = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The products with the derivatives."""
        by_c = by_t = None
        if ctx.needs_input_grad[0]:
            by_c = _pairing(grads, _by_cosine(ctx))
        if ctx.needs_input_grad[3]:
            by_t = _pairing(grads, _by_time(ctx))
        return by_c, None, None, by_t, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        """The derivatives along a change of c and t."""
        dc, _, _, dt, *_ = tangents
        changes = [torch.zeros_like(ctx.saved_tensors[0])] * (ctx.slopes + 1)
        if dc is not None:
            changes = [change + dc * d for change, d in zip(changes, _by_cosine(ctx), strict=True)]
        if dt is not None:
            changes = [change + dt * d for change, d in zip(changes, _by_time(ctx), strict=True)]
        return tuple(changes)


def _by_cosine(ctx: Any) -> list[Tensor]:
    """`ε r_n` for the logarithm, `ε r_m (r_{m+2} - r_m)` for the slopes."""
    sign = ctx.form.sign
    _, *r = _ladder(ctx.form, ctx.n, ctx.slopes + 1, *ctx.saved_tensors)
    return [sign * r[0], *(sign * lower * (upper - lower) for lower, upper in pairwise(r))]


def _by_time(ctx: Any) -> list[Tensor]:
    """`½ r_m (ε (1 - c²) r_{m+2} - m c)` for the logarithm, and for a slope itself times the difference of two."""
    sign, n, c = ctx.form.sign, ctx.n, ctx.saved_tensors[0]
    _, *r = _ladder(ctx.form, n, ctx.slopes + 2, *ctx.saved_tensors)
    sine_square = sign * (1 - c) * (1 + c)
    rates = [
        lower * (sine_square * upper - (n + 2 * i) * c) / 2 for i, (lower, upper) in enumerate(pairwise(r))
    ]  # of log K_n, log K_{n+2}, ...
    of_slopes = [r[i] * (upper - lower - sign * (n + 2 * i) / 2) for i, (lower, upper) in enumerate(pairwise(rates))]
    return [rates[0], *of_slopes]


def _pairing(grads: Sequence[Tensor], derivatives: Sequence[Tensor]) -> Tensor:
    products = [grad * derivative for grad, derivative in zip(grads, derivatives, strict=True)]
    return torch.stack(products).sum(0) if len(products) > 1 else products[0]
