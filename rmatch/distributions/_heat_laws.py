"""Brownian motion on each manifold where it is known: density, score and sampler, in float64."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import singledispatch

import torch
from torch import Tensor

import rmatch.distributions._circle_heat as _circle_heat
from rmatch._errors import OptionError
from rmatch._numerics import asinh, asinhc, dot, norm, standard_normal
from rmatch.distributions._hyperbolic_heat import Hyperbolic, sample_distance
from rmatch.distributions._radial_heat import Separation, log_kernel, log_kernel_and_slope
from rmatch.distributions._sphere_heat import Round, sample_angle
from rmatch.manifolds import Euclidean, HyperbolicSpace, Manifold, Product, SpecialOrthogonal, Sphere, Torus

_HALF_LOG_PERIOD = 0.5 * math.log(2 * math.pi)


class HeatLaw(ABC):
    """The heat kernel of one manifold; means, times and points broadcast over their batches."""

    @abstractmethod
    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        """`log K(time, mean, x)`, shape `(*batch)`."""

    @abstractmethod
    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        """Its gradient in `x`."""

    def log_prob_and_score(self, mean: Tensor, time: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both, from one evaluation where they share most of the work."""
        return self.log_prob(mean, time, x), self.score(mean, time, x)

    @abstractmethod
    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        """One point for each mean `(*batch, *point_shape)` and its time `(*batch)`."""


@singledispatch
def heat_law(manifold: Manifold) -> HeatLaw:
    """The heat kernel of a manifold; raises `OptionError` where none is known."""
    raise OptionError(
        f"no heat kernel is known on {manifold!r}; use Sphere, Torus, SpecialOrthogonal, Euclidean, PoincareBall or "
        "Lorentz, or a Product of them"
    )


@heat_law.register
def _(manifold: Euclidean) -> HeatLaw:
    return _FlatLaw(manifold)


@heat_law.register
def _(manifold: Torus) -> HeatLaw:
    return _TorusLaw(manifold)


@heat_law.register
def _(manifold: Sphere) -> HeatLaw:
    return _SphereLaw(manifold)


@heat_law.register
def _(manifold: SpecialOrthogonal) -> HeatLaw:
    return _RotationLaw(manifold)


@heat_law.register
def _(manifold: HyperbolicSpace) -> HeatLaw:
    return _HyperbolicLaw(manifold)


@heat_law.register
def _(manifold: Product) -> HeatLaw:
    return _ProductLaw(manifold)


class _FlatLaw(HeatLaw):
    def __init__(self, manifold: Euclidean) -> None:
        self.manifold = manifold

    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        square = (x - mean).square().sum(-1)
        return -square / (2 * time) - self.manifold.dim * (time.log() / 2 + _HALF_LOG_PERIOD)

    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        return (mean - x) / time.unsqueeze(-1)

    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        return mean + _normal_step(mean, time, generator)


class _TorusLaw(HeatLaw):
    def __init__(self, manifold: Torus) -> None:
        self.manifold = manifold

    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        radii, angles, times = self._on_unit_circles(mean, time, x)
        return (_circle_heat.log_kernel(angles, times) - radii.log()).sum(-1)

    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        radii, angles, times = self._on_unit_circles(mean, time, x)
        return _circle_heat.score(angles, times) / radii

    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        return self.manifold.exp(mean, _normal_step(mean, time, generator))

    def _on_unit_circles(self, mean: Tensor, time: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        radii = x.new_tensor(self.manifold.radii)
        return radii, self.manifold.log(mean, x) / radii, time.unsqueeze(-1) / radii.square()


class _SphereLaw(HeatLaw):
    form = Round()

    def __init__(self, manifold: Sphere) -> None:
        self.manifold = manifold
        self.radius = manifold.radius

    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        n, r = self.manifold.dim, self.radius
        return log_kernel(self.form, n, self._apart(mean, x), time / r**2) - n * math.log(r)

    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        return self.log_prob_and_score(mean, time, x)[1]

    def log_prob_and_score(self, mean: Tensor, time: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of cos θ = <x, mean> is the tangent part of the mean, taken of a difference that is exact."""
        n, radius, apart = self.manifold.dim, self.radius, self._apart(mean, x)
        log_k, r = log_kernel_and_slope(self.form, n, apart, time / radius**2)
        toward = self.manifold.to_tangent(x, mean - apart.cosine.detach().sign().unsqueeze(-1) * x)
        return log_k - n * math.log(radius), r.unsqueeze(-1) * toward / radius**2

    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        times = time.detach().reshape(-1) / self.radius**2
        length = self.radius * sample_angle(self.manifold.dim, times, generator).reshape(time.shape)
        v = self.manifold.random_tangent(mean, generator=generator)
        return self.manifold.exp(mean, length.unsqueeze(-1) * v / torch.linalg.vector_norm(v, dim=-1, keepdim=True))

    def _apart(self, mean: Tensor, x: Tensor) -> Separation:
        minus, plus = norm(x.detach() - mean.detach()), norm(x.detach() + mean.detach())
        angle, rest = 2 * torch.atan2(minus, plus), 2 * torch.atan2(plus, minus)
        return Separation(dot(x, mean).squeeze(-1) / self.radius**2, angle.squeeze(-1), rest.squeeze(-1))


class _RotationLaw(HeatLaw):
    """Rotations are the sphere S³ of radius 2 with antipodes made one: the sum of its kernel over both.

    A rotation by the angle ω is the unit quaternion with `c = cos(ω/2)` and its negative.
    """

    form = Round()

    def __init__(self, manifold: SpecialOrthogonal) -> None:
        self.manifold = manifold

    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        near, far = self._lifts(mean, x, self._quaternion(mean, x))
        a, b = log_kernel(self.form, 3, near, time / 4), log_kernel(self.form, 3, far, time / 4)
        return torch.logaddexp(a, b) - 3 * math.log(2)

    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        return self.log_prob_and_score(mean, time, x)[1]

    def log_prob_and_score(self, mean: Tensor, time: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of c is half of `x [v]`, with v the vector part of the quaternion of xᵀ mean."""
        quaternion = self._quaternion(mean, x)
        near, far = self._lifts(mean, x, quaternion)
        (a, slope_a), (b, slope_b) = (log_kernel_and_slope(self.form, 3, lift, time / 4) for lift in (near, far))
        total = torch.logaddexp(a, b)
        by_c = (a - total).exp() * slope_a - (b - total).exp() * slope_b
        score = x @ _cross(by_c.unsqueeze(-1) / 2 * quaternion[..., 1:])
        return total - 3 * math.log(2), score

    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        length = 2 * sample_angle(3, time.detach().reshape(-1) / 4, generator).reshape(time.shape)
        v = self.manifold.random_tangent(mean, generator=generator)
        return self.manifold.exp(mean, (length / self.manifold.norm(mean, v)).unsqueeze(-1).unsqueeze(-1) * v)

    def _quaternion(self, mean: Tensor, x: Tensor) -> Tensor:
        return self.manifold.to_quaternions(x.transpose(-1, -2) @ mean)

    def _lifts(self, mean: Tensor, x: Tensor, quaternion: Tensor) -> tuple[Separation, Separation]:
        c = quaternion[..., 0]
        half = self.manifold.dist(x.detach(), mean.detach()) / 2
        return Separation(c, half, math.pi - half), Separation(-c, math.pi - half, half)


def _cross(v: Tensor) -> Tensor:
    """The matrix of `z -> v × z`: `(*batch, 3) -> (*batch, 3, 3)`."""
    a, b, c = v.unbind(-1)
    zero = torch.zeros_like(a)
    return torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], -1).reshape(*v.shape, 3)


class _HyperbolicLaw(HeatLaw):
    form = Hyperbolic()

    def __init__(self, manifold: HyperbolicSpace) -> None:
        self.manifold = manifold
        self.radius = manifold.radius

    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        n, r = self.manifold.dim, self.radius
        return log_kernel(self.form, n, _apart(self.manifold.half_chord(mean, x)), time / r**2) - n * math.log(r)

    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        return self.log_prob_and_score(mean, time, x)[1]

    def log_prob_and_score(self, mean: Tensor, time: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of cosh ρ is `-sinh ρ/ρ` times the vector to the mean, over R²."""
        n, radius, half_chord = self.manifold.dim, self.radius, self.manifold.half_chord(mean, x)
        log_k, r = log_kernel_and_slope(self.form, n, _apart(half_chord), time / radius**2)
        sinhc = (1 + half_chord).sqrt() / asinhc(half_chord)
        score = (r * sinhc / radius**2).unsqueeze(-1) * self.manifold.log(x, mean)
        return log_k - n * math.log(radius), score

    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        times = time.detach().reshape(-1) / self.radius**2
        length = self.radius * sample_distance(self.manifold.dim, times, generator).reshape(time.shape)
        v = self.manifold.random_tangent(mean, generator=generator)
        return self.manifold.exp(mean, (length / self.manifold.norm(mean, v)).unsqueeze(-1) * v)


def _apart(half_chord: Tensor) -> Separation:
    """Two points of hyperbolic space by `sinh²(ρ/2)`."""
    angle = 2 * asinh(half_chord.detach().sqrt())
    return Separation(1 + 2 * half_chord, angle, angle)


class _ProductLaw(HeatLaw):
    """Brownian motions of the factors are independent."""

    def __init__(self, manifold: Product) -> None:
        self.manifold = manifold
        self.laws = [heat_law(factor) for factor in manifold.factors]

    def log_prob(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        return torch.stack([law.log_prob(m, time, y) for law, m, y in self._parts(mean, x)]).sum(0)

    def score(self, mean: Tensor, time: Tensor, x: Tensor) -> Tensor:
        return self.manifold.join([law.score(m, time, y) for law, m, y in self._parts(mean, x)])

    def log_prob_and_score(self, mean: Tensor, time: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        logs, scores = zip(*(law.log_prob_and_score(m, time, y) for law, m, y in self._parts(mean, x)), strict=True)
        return torch.stack(logs).sum(0), self.manifold.join(scores)

    def sample(self, mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
        return self.manifold.join([law.sample(m, time, generator) for law, m, _ in self._parts(mean, mean)])

    def _parts(self, mean: Tensor, x: Tensor) -> list[tuple[HeatLaw, Tensor, Tensor]]:
        return list(zip(self.laws, self.manifold.split(mean), self.manifold.split(x), strict=True))


def _normal_step(mean: Tensor, time: Tensor, generator: torch.Generator | None) -> Tensor:
    return time.sqrt().unsqueeze(-1) * standard_normal(mean.shape, mean, generator)
