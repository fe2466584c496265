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
    def scaled_log(self, n: int, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        """`log K_n(t, θ) + θ²/2t`, all of one shape, in float64 and without derivatives.

        The two terms are large and nearly cancel for small t, so their sum is computed as one.
        """


def log_kernel(form: SpaceForm, n: int, apart: Separation, t: Tensor) -> Tensor:
    """`log K_n`, in float64, of the broadcast shape of the separation and the time."""
    return _apply(_LogKernel(form, n), *torch.broadcast_tensors(*apart, t))


def slope(form: SpaceForm, n: int, apart: Separation, t: Tensor) -> Tensor:
    """`r_n = ε d log K_n / dc > 0`, in float64."""
    return _apply(_Slope(form, n), *torch.broadcast_tensors(*apart, t))


class _Quantity(ABC):
    """A function of (c, t) with closed derivatives; the angle and its rest say what c says, with all digits."""

    def __init__(self, form: SpaceForm, n: int) -> None:
        self.form = form
        self.n = n

    @abstractmethod
    def value(self, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        """The function, without derivatives."""

    @abstractmethod
    def by_cosine(self, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        """Its derivative in c, again differentiable."""

    @abstractmethod
    def by_time(self, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        """Its derivative in t, again differentiable."""


class _LogKernel(_Quantity):
    def value(self, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        return self.form.scaled_log(self.n, angle, rest, t) - angle.square() / (2 * t)

    def by_cosine(self, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        return self.form.sign * _apply(_Slope(self.form, self.n), c, angle, rest, t)

    def by_time(self, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        lower = _apply(_Slope(self.form, self.n), c, angle, rest, t)
        upper = _apply(_Slope(self.form, self.n + 2), c, angle, rest, t)
        return lower * (self.form.sign * (1 - c) * (1 + c) * upper - self.n * c) / 2


class _Slope(_Quantity):
    def value(self, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        upper = self.form.scaled_log(self.n + 2, angle, rest, t)
        lower = self.form.scaled_log(self.n, angle, rest, t)
        return 2 * math.pi * (upper - lower - self.form.sign * self.n * t / 2).exp()

    def by_cosine(self, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        lower = _apply(self, c, angle, rest, t)
        upper = _apply(_Slope(self.form, self.n + 2), c, angle, rest, t)
        return self.form.sign * lower * (upper - lower)

    def by_time(self, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
        lower = _LogKernel(self.form, self.n).by_time(c, angle, rest, t)
        upper = _LogKernel(self.form, self.n + 2).by_time(c, angle, rest, t)
        return _apply(self, c, angle, rest, t) * (upper - lower - self.form.sign * self.n / 2)


def _apply(quantity: _Quantity, c: Tensor, angle: Tensor, rest: Tensor, t: Tensor) -> Tensor:
    return cast("Tensor", _Differentiable.apply(c, angle, rest, t, quantity))


class _Differentiable(torch.autograd.Function):
    """A quantity with its derivatives in c and t, in reverse and in forward mode, to any order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(c: Tensor, angle: Tensor, rest: Tensor, t: Tensor, quantity: _Quantity) -> Tensor:
        """The value."""
        del c
        return quantity.value(angle, rest, t)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the inputs."""
        del output
        *tensors, ctx.quantity = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The products with the two derivatives."""
        inputs = ctx.saved_tensors
        by_c = grads[0] * ctx.quantity.by_cosine(*inputs) if ctx.needs_input_grad[0] else None
        by_t = grads[0] * ctx.quantity.by_time(*inputs) if ctx.needs_input_grad[3] else None
        return by_c, None, None, by_t, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        """The derivative along a change of c and t."""
        inputs = ctx.saved_tensors
        dc, _, _, dt, _ = tangents
        result = torch.zeros_like(inputs[0])
        if dc is not None:
            result = result + dc * ctx.quantity.by_cosine(*inputs)
        if dt is not None:
            result = result + dt * ctx.quantity.by_time(*inputs)
        return result
