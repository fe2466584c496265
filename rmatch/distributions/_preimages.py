"""The density of a wrapped normal law: a sum over all tangent vectors that `exp` takes to a point."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor

from rmatch._numerics import cos_and_sinc, dot, sqrt
from rmatch.manifolds import FlatManifold, Manifold, Product, SpecialOrthogonal, Sphere, Torus

_PERIOD = 2 * math.pi
_HALF_LOG_PERIOD = 0.5 * math.log(_PERIOD)
_NEGLIGIBLE = 40.0  # terms below exp(-40) = 4e-18 of the largest do not change a float64
_FOURIER_SCALE = 2.5  # from this scale on the Fourier series of a wrapped normal angle is the shorter sum


def are_known(manifold: Manifold) -> bool:
    """Whether the sum over preimages can be taken: by a formula here, or as the one term on a manifold that is open."""
    if isinstance(manifold, Product):
        return all(are_known(factor) for factor in manifold.factors)
    if math.isinf(manifold.volume):
        return True
    return log_density.dispatch(type(manifold)) is not log_density.dispatch(object)


@singledispatch
def log_density(manifold: Manifold, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """The log-density at `x`, `(*batch)`; here the term of the one geodesic, where `exp` is a diffeomorphism."""
    v = manifold.log(mean, x)
    squares = manifold.inner(mean, v, v) / scale.square()
    constant = -manifold.dim * (scale.log() + _HALF_LOG_PERIOD)
    return constant - squares / 2 - manifold.log_det_exp(mean, v)


@log_density.register
def _log_density_flat(manifold: FlatManifold, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    u = manifold.log(mean, x) / scale
    return (-u.square() / 2 - scale.log() - _HALF_LOG_PERIOD).sum(-1)


@log_density.register
def _log_density_torus(manifold: Torus, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    delta = manifold.log(mean, x)
    if set(manifold.radii) == {1.0}:
        return _wrapped_angle(delta, scale).sum(-1)
    radii = x.new_tensor(manifold.radii)
    return (_wrapped_angle(delta / radii, scale / radii) - radii.log()).sum(-1)


@log_density.register
def _log_density_sphere(manifold: Sphere, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    n, radius = manifold.dim, manifold.radius
    if radius != 1:
        density = log_density(Sphere(n), mean / radius, scale / radius, x / radius)
        return density - n * math.log(radius)
    v = manifold.log(mean, x)
    if n == 1:  # a circle: with the sign of the angle the sum is smooth at the mean too
        return _wrapped_angle(dot(v, manifold.frame(mean)[0]), scale).squeeze(-1)
    sine = sqrt(dot(x - mean, x - mean)) * sqrt(dot(x + mean, x + mean)) / 2  # exact next to the mean and the antipode
    return _shells(n, dot(v, v), sine, scale, _PERIOD)


@log_density.register
def _log_density_rotation(manifold: SpecialOrthogonal, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """In half angles, where rotations are S³ up to sign: every preimage is a shell there, half a turn from the next."""
    v = manifold.log(mean, x)
    half_sine = sqrt((x - mean).square().sum((-2, -1)).unsqueeze(-1) / 8)  # |x - m|² = 8 sin²(θ/2)
    square = manifold.inner(mean, v, v).unsqueeze(-1) / 4
    return _shells(3, square, half_sine, scale / 2, math.pi) - 3 * math.log(2)


@log_density.register
def _log_density_product(manifold: Product, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """The sum over the factors; `scale` is one number or one for each."""
    scales = scale.expand(len(manifold.factors)).unbind()
    parts = zip(manifold.factors, manifold.split(mean), scales, manifold.split(x), strict=True)
    return torch.stack([log_density(factor, *part) for factor, *part in parts]).sum(0)


def _shells(n: int, square: Tensor, sine: Tensor, scale: Tensor, period: float) -> Tensor:
    """`log Σ_k N_n(|θ + k period|) (|θ + k period| / sin θ)^{n-1}`, from θ² and sin θ as columns: `(*batch)`."""
    log_sine = (sine + torch.finfo(sine.dtype).eps * (sine == 0)).log()
    near = square < 1  # log(θ / sin θ) is analytic in θ² here, and log θ - log sin θ is accurate where it is not
    ratio = torch.where(
        near,
        -cos_and_sinc(torch.where(near, square, 0.0))[1].log(),
        torch.where(near, 1.0, square).log() / 2 - log_sine,
    )
    count = _turns(float(scale) * _PERIOD / period, n)
    turns = period * torch.arange(1, count + 1, dtype=square.dtype, device=square.device)
    theta = sqrt(square)
    r = torch.cat([turns - theta, turns + theta], -1)  # [*batch, 2 turns]
    shells = (n - 1) * (r.log() - log_sine) - (r / scale).square() / 2
    shells = torch.where(square == 0, torch.finfo(square.dtype).min, shells)
    first = (n - 1) * ratio - square / (2 * scale.square())
    return torch.cat([first, shells], -1).logsumexp(-1) - n * (scale.log() + _HALF_LOG_PERIOD)


def _wrapped_angle(delta: Tensor, scale: Tensor) -> Tensor:
    """The log-density of a wrapped normal angle, for each coordinate: the sum over turns, or its Fourier series.

    Poisson's summation formula turns `Σ_k N(δ + 2πk)` into `(1 + 2 Σ_m exp(-m² scale²/2) cos mδ) / 2π`.
    """
    wide = scale >= _FOURIER_SCALE
    turns = _turns(min(float(scale.max()), _FOURIER_SCALE), 1)
    k = _PERIOD * torch.arange(-turns, turns + 1, dtype=delta.dtype, device=delta.device)
    u = (delta.unsqueeze(-1) + k) / torch.where(wide, 1.0, scale).unsqueeze(-1)
    narrow = (-u.square() / 2).logsumexp(-1) - scale.log() - _HALF_LOG_PERIOD
    if not bool(wide.any()):
        return narrow
    m = torch.arange(1, 5, dtype=delta.dtype, device=delta.device)  # exp(-5² 2.5²/2) is 1e-34
    damping = (-(m * torch.where(wide, scale, 1.0).unsqueeze(-1)).square() / 2).exp()
    fourier = torch.log1p(2 * (damping * (m * delta.unsqueeze(-1)).cos()).sum(-1)) - 2 * _HALF_LOG_PERIOD
    return torch.where(wide, fourier, narrow)


def _turns(scale: float, n: int) -> int:
    """How many turns to sum over on S^n: farther shells are below 1e-16 of those that are summed.

    The worst point is the antipode, where the nearest shell has radius π and the first one left out (2K + 1)π.
    """
    turns = 1
    while (
        ((2 * turns + 1) ** 2 - 1) * math.pi**2 / (2 * scale**2) - (n - 1) * math.log(2 * turns + 1)
    ) < _NEGLIGIBLE + math.log1p(scale):
        turns += 1
    return turns
