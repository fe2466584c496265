"""Laws of parallel transport: an isometry that takes the geodesic's velocity along and turns with nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds import Manifold
from rmatch.verify._tolerances import norm, norm_of_normal_part, rounding
from rmatch.verify.base import Inputs, Residual, law
from rmatch.verify.draw import Draw

_RUNG = 1e-2
"""Side of the parallelogram in units of a usual length: its error is the square of it, times a curvature."""


def _carried(draw: Draw) -> Inputs:
    """Pairs that no cut locus lies between, with vectors at the first."""
    x, other = draw.pairs()
    M = draw.manifold
    y = M.exp(x, 0.9 * M.log(x, other))
    return {"x": x, "y": y, "v": draw.tangents(x), "w": draw.tangents(x)}


def _carried_to_the_cut(draw: Draw) -> Inputs:
    x, y = draw.pairs(cut=True)
    return {"x": x, "y": y, "v": draw.tangents(x), "w": draw.tangents(x)}


@law(
    "transport-isometry",
    "g_y(τv, τw) = g_x(v, w),   τv ∈ T_yM",
    catches="transport that is a projection",
    inputs=_carried_to_the_cut,
)
def isometry(M: Manifold, x: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Residual:
    moved, other = M.transport(x, y, v), M.transport(x, y, w)
    difference = (M.inner(y, moved, other) - M.inner(x, v, w)).abs()
    normal = norm_of_normal_part(M, y, moved)
    size = (1 + norm(M, x, v)) * (1 + norm(M, x, w)) * (1 + moved.flatten(1).abs().amax(-1))
    return Residual(difference + normal, rounding(M, x, y) * size)


@law(
    "transport-linear",
    "τ(v + 2w) = τv + 2τw",
    catches="transport that is corrected to the right length afterwards",
    inputs=_carried_to_the_cut,
)
def linear(M: Manifold, x: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Residual:
    difference = M.transport(x, y, v + 2 * w) - M.transport(x, y, v) - 2 * M.transport(x, y, w)
    return Residual(norm(M, y, difference), rounding(M, x, y) * (norm(M, x, v) + 2 * norm(M, x, w)))


@law(
    "transport-of-the-velocity",
    "τ(log_x y) = -log_y x",
    catches="an isometry that turns the geodesic's own direction",
    inputs=_carried,
)
def velocity(M: Manifold, x: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Residual:
    del v, w
    there, back = M.log(x, y), M.log(y, x)
    length = norm(M, x, there)
    return Residual(norm(M, y, M.transport(x, y, there) + back), 10 * rounding(M, x, y) * (1 + length))


@law(
    "transport-back",
    "τ_{y→x} τ_{x→y} v = v",
    catches="different paths there and back",
    inputs=_carried,
)
def back_again(M: Manifold, x: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Residual:
    del w
    back = M.transport(y, x, M.transport(x, y, v))
    return Residual(norm(M, x, back - v), 10 * rounding(M, x, y) * norm(M, x, v))


@law(
    "transport-in-two-steps",
    "τ_{m→y} τ_{x→m} = τ_{x→y} for m on the geodesic from x to y",
    catches="a rotation about the geodesic that does not add up",
    inputs=_carried,
)
def two_steps(M: Manifold, x: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Residual:
    del w
    middle = M.geodesic(x, y, 0.4)
    twice = M.transport(middle, y, M.transport(x, middle, v))
    return Residual(norm(M, y, twice - M.transport(x, y, v)), 10 * rounding(M, x, y, middle) * norm(M, x, v))


@law(
    "transport-parallel",
    "τv = the limit of geodesic parallelograms (the pole ladder)",
    catches="transport of a connection with torsion, which turns about the geodesic at a constant rate",
    inputs=_carried,
)
def parallel(M: Manifold, x: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Residual:
    """One rung: reflect exp_x v in the midpoint; the error is of third order in the lengths, a false turn of second."""
    del w
    short = _RUNG * min(1.0, M.volume ** (1 / M.dim) / 3)
    shape = (-1, *(1 for _ in M.point_shape))
    direction = M.log(x, y)
    length = norm(M, x, direction)
    unit = torch.where(length > 0.1 * short, 1 / length.clamp_min(1e-300), 0.0)
    near = M.exp(x, (short * unit).reshape(shape) * direction)
    small = (short / norm(M, x, v)).reshape(shape) * v
    middle = M.geodesic(x, near, 0.5)
    reflected = M.exp(middle, -M.log(middle, M.exp(x, small)))
    ladder = -M.log(near, reflected)
    difference = norm(M, near, M.transport(x, near, small) - ladder) / short
    return Residual(difference, 10 * _RUNG**2 + rounding(M, x, near) / short)


LAWS = (isometry, linear, velocity, back_again, two_steps, parallel)
