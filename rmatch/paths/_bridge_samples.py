"""Points of Brownian bridges: exact on flat spaces, and by a guided walk and Metropolis' rule on curved ones."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor

from rmatch._numerics import standard_normal
from rmatch.distributions import HeatKernel
from rmatch.manifolds import Euclidean, Manifold, Product, Torus

_FARTHEST = 8.0  # in standard deviations: images of the end that lie farther have weights below e^-32


@singledispatch
def bridge_points(
    manifold: Manifold, a: Tensor, b: Tensor, x0: Tensor, x1: Tensor, steps: int, generator: torch.Generator | None
) -> Tensor:
    """Where Brownian motions from x0 to x1 are a time `a` after the start and `b` before the end.

    A walk in the tangent spaces goes toward the end, guided by the gradient of the heat kernel: over a time h, with c
    left, by `h ∇log K(c, x1, x) + √(h (c - h)/c) ξ`, which is exact in flat space. It starts from the end that is
    nearer in time, for the bridge back is a bridge. What curvature makes of its steps is then mended by as many steps
    of Metropolis' rule with the density `K(a, x0, x) K(b, x, x1)`, which leave the law of the bridge as it is.

    Args:
        manifold: A manifold with a heat kernel that depends on the distance alone.
        a: Times `(*batch)`, positive.
        b: Times `(*batch)`, positive.
        x0: Starts `(*batch, *point_shape)`.
        x1: Ends `(*batch, *point_shape)`.
        steps: Number of steps of each walk.
        generator: Source of the noise.
    """
    back = b < a
    over = _over_points(manifold, back)
    x, end = torch.where(over, x1, x0), torch.where(over, x0, x1)
    total, h = a + b, torch.where(back, b, a) / steps
    for k in range(steps):
        left = total - k * h
        pull = _over_points(manifold, h) * HeatKernel(manifold, end, left).score(x)
        spread = _over_points(manifold, (h * (left - h) / left).sqrt())
        noise = spread * manifold.random_tangent(x, generator=generator)
        x = manifold.project(manifold.exp(x, pull + noise))
    return _mended(manifold, a, b, x0, x1, x, steps, generator)


def _mended(
    manifold: Manifold,
    a: Tensor,
    b: Tensor,
    x0: Tensor,
    x1: Tensor,
    x: Tensor,
    steps: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Two kinds of steps in turn, each taken with the probability that Metropolis' rule asks for.

    The first is `exp_x v` with a normal v short of the cut locus; it is as likely as the way back, since its density
    depends on |v|. The second turns x around x0 in any direction: where x1 is nearly the farthest point from x0, the
    ways there go around on all sides, and a walk alone would be slow to find them.
    """
    scale = _over_points(manifold, (a * b / (a + b)).sqrt() * min(1.0, 1.7 / math.sqrt(manifold.dim)))

    def log_density(x: Tensor) -> Tensor:
        return HeatKernel(manifold, x0, a).log_prob(x) + HeatKernel(manifold, x1, b).log_prob(x)

    now = log_density(x)
    for k in range(steps):
        source = x if k % 2 == 0 else x0
        v = manifold.random_tangent(source, generator=generator)
        length = manifold.dist(x0, x) / manifold.norm(x0, v)
        v = scale * v if k % 2 == 0 else _over_points(manifold, length) * v
        there = manifold.project(manifold.exp(source, v))
        then = log_density(there)
        device = x.device if generator is None else generator.device
        u = torch.rand(then.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
        taken = (u.log() < then - now) & manifold.is_minimising(source, v)
        x, now = torch.where(_over_points(manifold, taken), there, x), torch.where(taken, then, now)
    return x


@bridge_points.register
def _(
    manifold: Euclidean, a: Tensor, b: Tensor, x0: Tensor, x1: Tensor, steps: int, generator: torch.Generator | None
) -> Tensor:
    """Normal, of mean `(b x0 + a x1)/(a + b)` and variance `ab/(a + b)`."""
    del steps
    return x0 + _flat_step(a, b, x1 - x0, generator)


@bridge_points.register
def _(
    manifold: Torus, a: Tensor, b: Tensor, x0: Tensor, x1: Tensor, steps: int, generator: torch.Generator | None
) -> Tensor:
    """As in flat space, to an image of the end: how often an angle goes round has the weights of normal densities."""
    del steps
    delta, periods, time = manifold.log(x0, x1), x0.new_tensor(manifold.periods), (a + b).unsqueeze(-1)
    widest = float((time.amax().sqrt() if time.numel() else time.new_zeros(())) / periods.amin())
    count = 1 + math.ceil(_FARTHEST * widest)
    turns = torch.arange(-count, count + 1, dtype=x0.dtype, device=x0.device)
    images = delta.unsqueeze(-1) + periods.unsqueeze(-1) * turns
    weights = (-images.square() / (2 * time.unsqueeze(-1))).softmax(-1)
    source = x0.device if generator is None else generator.device
    flat = weights.reshape(-1, len(turns)).to(source)
    chosen = torch.multinomial(flat, 1, generator=generator).to(x0.device) if len(flat) else flat.new_zeros(0, 1).long()
    image = images.gather(-1, chosen.reshape(*delta.shape, 1)).squeeze(-1)
    return manifold.exp(x0, _flat_step(a, b, image, generator))


@bridge_points.register
def _(
    manifold: Product, a: Tensor, b: Tensor, x0: Tensor, x1: Tensor, steps: int, generator: torch.Generator | None
) -> Tensor:
    """The bridges of the factors are independent."""
    parts = zip(manifold.factors, manifold.split(x0), manifold.split(x1), strict=True)
    return manifold.join([bridge_points(factor, a, b, p, q, steps, generator) for factor, p, q in parts])


def _flat_step(a: Tensor, b: Tensor, delta: Tensor, generator: torch.Generator | None) -> Tensor:
    """The way from the start, where the end lies at `delta`."""
    a, b = a.unsqueeze(-1), b.unsqueeze(-1)
    return a / (a + b) * delta + (a * b / (a + b)).sqrt() * standard_normal(delta.shape, delta, generator)


def _over_points(manifold: Manifold, t: Tensor) -> Tensor:
    return t.reshape(*t.shape, *(1 for _ in manifold.point_shape))
