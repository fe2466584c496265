"""Derivatives along a vector and along a geodesic, by forward mode: independent of `sharp` and of the divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from rmatch.manifolds import Manifold


def derivative(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """The derivative of a batched function along `v`."""
    return value_and_derivative(f, x, v)[1]


def value_and_derivative(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The value of a batched function and its derivative along `v`; torch's annotation leaves open how much returns."""
    return cast("tuple[Tensor, Tensor]", torch.func.jvp(f, (x,), (v,)))


def over_points(M: Manifold, t: Tensor, v: Tensor) -> Tensor:
    """Numbers `(*batch)` times arrays `(*batch, *point_shape)`."""
    return t.reshape(*t.shape, *(1 for _ in M.point_shape)) * v


def ray(M: Manifold, x: Tensor, v: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point `exp_x(tv)` and the velocity there by differentiation, for a time `(*batch)` for each row."""
    return value_and_derivative(lambda s: M.exp(x, over_points(M, s, v)), t, torch.ones_like(t))


def along(M: Manifold, f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """The derivative of `f` along the geodesic that leaves `x` with velocity `v`."""
    return at_start(x, lambda t: f(M.exp(x, over_points(M, t, v))))


def at_start(x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """The derivative at time 0 of a function of a time for each row of `x`."""
    return derivative(f, x.new_zeros(len(x)), x.new_ones(len(x)))


def images_of_the_frame(M: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """`d(exp_x)_v(e_i)` for the frame at `x`: `(batch, dim, *point_shape)`."""
    return torch.stack([derivative(lambda w: M.exp(x, w), v, e) for e in M.frame(x).unbind(1)], 1)
