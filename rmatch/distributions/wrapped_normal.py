"""The wrapped normal law: a normal vector in a tangent space, carried to the manifold by `exp`."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch._numerics import cos_and_sinc, dot, sqrt
from rmatch._typing import Shape
from rmatch.distributions.base import Distribution
from rmatch.manifolds import FlatManifold, Manifold, Sphere, Torus

__all__ = ["WrappedNormal"]

_PERIOD = 2 * math.pi
_HALF_LOG_PERIOD = 0.5 * math.log(_PERIOD)
_NEGLIGIBLE = 40.0  # terms below exp(-40) = 4e-18 of the largest do not change a float64
_FOURIER_SCALE = 2.5  # from this scale on the Fourier series of a wrapped normal angle is the shorter sum


class WrappedNormal(Distribution):
    """The law of `exp_mean(scale Z)`, Z standard normal in the tangent space at the mean.

    The density is the sum over all tangent vectors v that `exp` takes to the point,

        p(y) = Σ_v N(v; 0, scale²) / |det d(exp_mean)_v|,

    so it integrates to 1. With θ = dist(mean, y) and n = dim it is

    * on `Sphere(n)`: `Σ_{k ∈ Z} N_n(|θ + 2πk|) (|θ + 2πk| / sin θ)^{n-1}`;
    * on `Torus(d)`: a product over the angles of `Σ_k N(δ + 2πk)`, with δ the difference to the mean;
    * elsewhere a single term, right where `exp` at the mean is a diffeomorphism (`Euclidean`, hyperbolic spaces, SPD).

    On the sphere with n >= 2 whole spheres of tangent vectors collapse to the antipode and, from the next turn on, to
    the mean. There the density has integrable poles of order n - 1: it is very large but finite at the antipode in
    floating point, and at the mean itself the collapsed shells, which have weight `exp(-2π²/scale²)`, are left out.

    Args:
        manifold: Where the points live.
        mean: The point where the tangent space is, shape `point_shape`.
        scale: Standard deviation in the tangent space, in the units of `dist`; on `Torus` and `Euclidean` also one for
            each coordinate, shape `(dim,)`.

    Raises:
        PointError: The mean is not a point of the manifold.
        ShapeError: The mean is a batch of points, or the scale has the wrong shape.
        OptionError: A scale is not a positive number, or the manifold is compact and its preimages are not known.

    References:
        Mardia and Jupp, "Directional Statistics", 2000, section 3.5.7 (the circle).
        Mathieu and Nickel, "Riemannian continuous normalizing flows", NeurIPS 2020 (the change of variables).

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.WrappedNormal(rm.Sphere(2), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 0.5)
        >>> p.log_prob(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64))
        tensor(-1.2098, dtype=torch.float64)
        >>> p.sample((5,), generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 3])
    """

    def __init__(self, manifold: Manifold, mean: Tensor, scale: float | Tensor) -> None:
        manifold.require_point(mean, tolerance=1e-5)
        if tuple(mean.shape) != manifold.point_shape:
            raise ShapeError(f"the mean is one point of shape {manifold.point_shape}, got {tuple(mean.shape)}")
        widths = torch.as_tensor(scale, dtype=torch.float64, device=mean.device)
        allowed = [(), (manifold.dim,)] if isinstance(manifold, FlatManifold) else [()]
        if tuple(widths.shape) not in allowed:
            shapes = " or ".join(map(str, allowed))
            raise ShapeError(f"the scale on {manifold!r} has shape {shapes}, got {tuple(widths.shape)}")
        if not bool(((widths > 0) & widths.isfinite()).all()):
            raise OptionError(f"the scale of a wrapped normal is a positive number, got {widths.tolist()}")
        if math.isfinite(manifold.volume) and not isinstance(manifold, Sphere | Torus):
            raise OptionError(
                f"a wrapped normal on {manifold!r} needs the sum over all geodesics between two points, which is known "
                "for Sphere and Torus only; use one of these, or a manifold of infinite volume"
            )
        self.manifold = manifold
        self.mean = manifold.project(mean)
        self.scale = widths

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`, by default of the mean's type; differentiable in the mean."""
        dtype = self.mean.dtype if dtype is None else dtype
        device = self.mean.device if device is None else device
        mean = self.manifold.project(self.mean.to(device, dtype)).expand(*shape, *self.manifold.point_shape)
        v = self.manifold.random_tangent(mean, generator=generator) * self.scale.to(device, dtype)
        return self.manifold.project(self.manifold.exp(mean, v))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`."""
        mean = self.manifold.project(self.mean.to(x.device, x.dtype))
        return _log_density(self.manifold, mean, self.scale.to(x.device, x.dtype), x)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"WrappedNormal({self.manifold!r}, {self.mean.tolist()}, {self.scale.tolist()})"


@singledispatch
def _log_density(manifold: Manifold, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """The term of the one geodesic, for manifolds whose `exp` is a diffeomorphism."""
    v = manifold.log(mean, x)
    squares = manifold.inner(mean, v, v) / scale.square()
    constant = -manifold.dim * (scale.log() + _HALF_LOG_PERIOD)
    return constant - squares / 2 - manifold.log_det_exp(mean, v)


@_log_density.register
def _log_density_flat(manifold: FlatManifold, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    u = manifold.log(mean, x) / scale
    return (-u.square() / 2 - scale.log() - _HALF_LOG_PERIOD).sum(-1)


@_log_density.register
def _log_density_torus(manifold: Torus, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    return _wrapped_angle(manifold.log(mean, x), scale).sum(-1)


@_log_density.register
def _log_density_sphere(manifold: Sphere, mean: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    n = manifold.dim
    v = manifold.log(mean, x)
    if n == 1:  # a circle: with the sign of the angle the sum is smooth at the mean too
        return _wrapped_angle(dot(v, manifold.frame(mean)[0]), scale).squeeze(-1)
    square = dot(v, v)
    sine = sqrt(dot(x - mean, x - mean)) * sqrt(dot(x + mean, x + mean)) / 2  # exact next to the mean and the antipode
    log_sine = (sine + torch.finfo(x.dtype).eps * (sine == 0)).log()
    near = square < 1  # log(θ / sin θ) is analytic in θ² here, and log θ - log sin θ is accurate where it is not
    ratio = torch.where(
        near,
        -cos_and_sinc(torch.where(near, square, 0.0))[1].log(),
        torch.where(near, 1.0, square).log() / 2 - log_sine,
    )
    turns = _PERIOD * torch.arange(1, _turns(float(scale), n) + 1, dtype=x.dtype, device=x.device)
    theta = sqrt(square)
    r = torch.cat([turns - theta, turns + theta], -1)  # [*batch, 2 turns]
    shells = (n - 1) * (r.log() - log_sine) - (r / scale).square() / 2
    shells = torch.where(square == 0, torch.finfo(x.dtype).min, shells)
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
