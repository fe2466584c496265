"""Random functions and vector fields to try laws on, made of nothing but the manifold's `features` and `log`.

A function is a sum of ridges `a h(ω·φ(x) + b)` over the features φ, with a cosine, a power or a neuron for h. Powers
of linear forms span all polynomials in the features: spherical harmonics on a sphere, trigonometric polynomials on a
torus. Where the volume is infinite they are multiplied by bells `exp(-d(x, c)²/2s²)`, so that integrals exist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from rmatch.manifolds import Manifold, Product
from rmatch.verify._derivatives import derivative
from rmatch.verify.cut import near_cut_points

__all__ = ["Bell", "GradientField", "RandomField", "RandomFunction", "SolenoidalField"]

Profile = Literal["wave", "power", "neuron"]

_BELL = 1.2
"""Width of a bell: it and the product of two are about as wide as the normal law that quadrature rules are made for."""


@dataclass(frozen=True)
class Bell:
    """The function `exp(-d(x, centre)²/2 width²)`; on a product d is the distance in the factors of infinite volume.

    Args:
        manifold: Where it lives.
        centre: A point.
        width: In units of length.
        of_features: Whether d is the distance of the features, which is smooth where geodesics meet again.
    """

    manifold: Manifold
    centre: Tensor
    width: float
    of_features: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """The values at points `(*batch, *point_shape)`: `(*batch)`."""
        M, y = open_part(self.manifold, x)
        centre = open_part(self.manifold, self.centre.to(x))[1]
        if self.of_features:
            return (-(M.features(y) - M.features(centre)).square().sum(-1) / (2 * self.width**2)).exp()
        v = M.log(centre, y)
        return (-M.inner(centre, v, v) / (2 * self.width**2)).exp()

    def __repr__(self) -> str:
        """The formula."""
        centre = _numbers(self.centre)
        square = f"|φ(x) - φ({centre})|²" if self.of_features else f"d(x, {centre})²"
        return f"exp(-{square}/{2 * self.width**2:.3g})"


def open_part(M: Manifold, x: Tensor) -> tuple[Manifold, Tensor]:
    """The factors of infinite volume and the coordinates there; a manifold that is no product is its own factor."""
    if not isinstance(M, Product):
        return M, x
    kept = [k for k, factor in enumerate(M.factors) if math.isinf(factor.volume)]
    part = Product(*(M.factors[k] for k in kept))
    pieces = M.split(x)
    return part, part.join([pieces[k] for k in kept])


@dataclass(frozen=True)
class RandomFunction:
    """`Σ_k a_k h(ω_k·φ(x) + b_k)` over the features φ of the manifold, perhaps times a bell.

    Args:
        manifold: Where it lives.
        profile: h: `wave` is a cosine, `power` a power, `neuron` a hyperbolic tangent.
        waves: The ω, `(K, number of features)`.
        shifts: The b, `(K)`.
        amplitudes: The a, `(K)`.
        degrees: The exponents of the powers, K of them.
        bell: What makes it decay.
    """

    manifold: Manifold
    profile: Profile
    waves: Tensor
    shifts: Tensor
    amplitudes: Tensor
    degrees: tuple[int, ...]
    bell: Bell | None = None

    def ridges(self, x: Tensor) -> Tensor:
        """Each `h(ω_k·φ(x) + b_k)`, with the bell: `(*batch, K)`."""
        phase = self.manifold.features(x) @ self.waves.to(x).mT + self.shifts.to(x)
        if self.profile == "wave":
            value = phase.cos()
        elif self.profile == "neuron":
            value = phase.tanh()
        else:
            value = torch.stack([p**d for p, d in zip(phase.unbind(-1), self.degrees, strict=True)], -1)
        return value if self.bell is None else value * self.bell(x).unsqueeze(-1)

    def __call__(self, x: Tensor) -> Tensor:
        """The values at points `(*batch, *point_shape)`: `(*batch)`."""
        return self.ridges(x) @ self.amplitudes.to(x)

    def simpler(self) -> list[RandomFunction]:
        """The same with fewer ridges and with rounder numbers, the simplest first."""
        count = len(self.amplitudes)
        fewer = [self.only(k) for k in range(count)] if count > 1 else []
        shorter = replace(
            self, waves=_round(self.waves), shifts=_round(self.shifts), amplitudes=_round(self.amplitudes)
        )
        return [*fewer, *([] if self._same(shorter) else [shorter])]

    def only(self, k: int) -> RandomFunction:
        """Ridge number k alone."""
        kept = slice(k, k + 1)
        return replace(
            self,
            waves=self.waves[kept],
            shifts=self.shifts[kept],
            amplitudes=self.amplitudes[kept],
            degrees=self.degrees[kept],
        )

    def _same(self, other: RandomFunction) -> bool:
        pairs = ((self.waves, other.waves), (self.shifts, other.shifts), (self.amplitudes, other.amplitudes))
        return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)

    def __repr__(self) -> str:
        """The formula, over the features φ."""
        terms = [
            f"{float(a):.3g} {self._profile(k, f'{_numbers(wave)}·φ(x) {float(b):+.3g}')}"
            for k, (a, wave, b) in enumerate(zip(self.amplitudes, self.waves, self.shifts, strict=True))
        ]
        total = " + ".join(terms)
        return total if self.bell is None else f"({total}) {self.bell!r}"

    def _profile(self, k: int, phase: str) -> str:
        if self.profile == "power":
            return f"({phase})^{self.degrees[k]}"
        return f"{'cos' if self.profile == 'wave' else 'tanh'}({phase})"


@dataclass(frozen=True)
class RandomField:
    """`P_x Σ_k A_k f_k(x)`: the tangent part of constant arrays times the ridges of a random function.

    In general it is neither a gradient nor free of divergence.

    Args:
        manifold: Where it lives.
        arrays: The A, `(K, *point_shape)`.
        function: The f, with K ridges.
    """

    manifold: Manifold
    arrays: Tensor
    function: RandomFunction

    def __call__(self, x: Tensor) -> Tensor:
        """The tangent vectors at points `(*batch, *point_shape)`."""
        rank = len(self.manifold.point_shape)
        flat = self.function.ridges(x) @ self.arrays.to(x).flatten(-rank)
        return self.manifold.to_tangent(x, flat.reshape(x.shape))

    def simpler(self) -> list[RandomField]:
        """The same with one array, and with rounder numbers."""
        count = len(self.arrays)
        if count > 1:
            return [replace(self, arrays=self.arrays[k : k + 1], function=self.function.only(k)) for k in range(count)]
        return [replace(self, arrays=_round(self.arrays), function=f) for f in self.function.simpler()]

    def __repr__(self) -> str:
        """The formula."""
        terms = [f"{_numbers(a)} f{k}(x)" for k, a in enumerate(self.arrays)]
        return f"tangent part of {' + '.join(terms)}, f = ridges of {self.function!r}"


@dataclass(frozen=True)
class GradientField:
    """`∇f` by the manifold's own gradient.

    Args:
        manifold: Where it lives.
        function: f.
    """

    manifold: Manifold
    function: RandomFunction

    def __call__(self, x: Tensor) -> Tensor:
        """The tangent vectors at points `(*batch, *point_shape)`."""
        return self.manifold.gradient(self.function)(x)

    def simpler(self) -> list[GradientField]:
        """Gradients of simpler functions."""
        return [replace(self, function=f) for f in self.function.simpler()]

    def __repr__(self) -> str:
        """The formula."""
        return f"∇[{self.function!r}]"


@dataclass(frozen=True)
class SolenoidalField:
    """`Div(X) Y - Div(Y) X + [X, Y]`, which is free of divergence on every manifold: the divergence of X ∧ Y.

    Args:
        manifold: Where it lives.
        first: X.
        second: Y.
    """

    manifold: Manifold
    first: RandomField
    second: RandomField

    def __call__(self, x: Tensor) -> Tensor:
        """The tangent vectors at points `(*batch, *point_shape)`."""
        M = self.manifold
        u, div_u = M.value_and_divergence(self.first)(x)
        v, div_v = M.value_and_divergence(self.second)(x)
        shape = (*div_u.shape, *(1 for _ in M.point_shape))
        return div_u.reshape(shape) * v - div_v.reshape(shape) * u + bracket(self.first, self.second, x)

    def __repr__(self) -> str:
        """The formula."""
        return f"Div(X) Y - Div(Y) X + [X, Y], X = {self.first!r}, Y = {self.second!r}"


def bracket(first: RandomField, second: RandomField, x: Tensor) -> Tensor:
    """The Lie bracket `[X, Y] = DY·X - DX·Y` of two tangent fields, which needs no metric."""
    u, v = first(x), second(x)
    return derivative(second, x, u) - derivative(first, x, v)


def random_bell(M: Manifold, generator: torch.Generator, *, of_distance: bool = False) -> Bell:
    """A bell near the origin.

    Where geodesics meet again d² has a kink: there d is the distance of the features if that grows, else, or where the
    true distance is asked for, the bell is so narrow that it is below 1e-13 at the cut locus.
    """
    whole = M.origin(dtype=torch.float64)
    offset = M.random_tangent(whole, generator=generator) / math.sqrt(M.dim)
    part, origin = open_part(M, whole)
    starts, directions = _rays(part, origin, generator)
    cut, found = near_cut_points(part, starts, directions, 1.0)
    width, of_features = _BELL, False
    if bool(found.any()):
        far = part.features(part.exp(starts, 100 * directions)) - part.features(origin)
        of_features = not of_distance and bool(far.square().sum(-1).median() > (5 * width) ** 2)
        width = width if of_features else min(width, float(part.dist(starts, cut)[found].amin()) / 8)
    return Bell(M, M.project(M.exp(whole, 0.2 * width * offset)), width, of_features)


def geodesics_meet(M: Manifold, generator: torch.Generator) -> bool:
    """Whether some geodesic from the origin ceases to be shortest within the factors of infinite volume."""
    if math.isfinite(M.volume):
        return False
    part, origin = open_part(M, M.origin(dtype=torch.float64))
    return bool(near_cut_points(part, *_rays(part, origin, generator), 1.0)[1].any())


def _rays(M: Manifold, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    starts = x.expand(8, *M.point_shape)
    return starts, M.random_tangent(starts, generator=generator)


def random_function(
    M: Manifold, generator: torch.Generator, *, ridges: int, frequency: float, profile: Profile, bell: Bell | None
) -> RandomFunction:
    """A function with the given number of ridges, whose waves have the given length."""
    size = M.features(M.origin(dtype=torch.float64)).shape[-1]
    waves = torch.randn(ridges, size, generator=generator, dtype=torch.float64)
    waves = frequency * waves / torch.linalg.vector_norm(waves, dim=-1, keepdim=True)
    shifts = (2 * torch.rand(ridges, generator=generator, dtype=torch.float64) - 1) * (
        math.pi if profile == "wave" else 0.5
    )
    amplitudes = torch.randn(ridges, generator=generator, dtype=torch.float64)
    highest = 4 if bell is None else 2  # a bell times a high power is wide
    degrees = tuple(1 + k % highest for k in range(ridges))
    return RandomFunction(M, profile, waves, shifts, amplitudes, degrees, bell)


def random_field(M: Manifold, generator: torch.Generator, function: RandomFunction) -> RandomField:
    """A field with one random array for each ridge of the function."""
    arrays = torch.randn(len(function.amplitudes), *M.point_shape, generator=generator, dtype=torch.float64)
    return RandomField(M, arrays, function)


def _round(x: Tensor) -> Tensor:
    """To one decimal, but not to zero."""
    rounded = x.round(decimals=1)
    return torch.where(rounded == 0, x, rounded)


def _numbers(x: Tensor) -> str:
    """A tensor as a person writes it, in the fewest digits that make up the same float to 3 figures."""
    if x.dim() == 0:
        return f"{float(x) + 0.0:.3g}"
    return f"[{', '.join(_numbers(row) for row in x)}]"
