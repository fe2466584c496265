"""Squares of spectral distances on flat tori: sums `Σ_k 2 w(λ_k) (1 - cos k·δ) / volume` over the lattice.

With angles φ_i = δ_i / R_i the eigenvalue is `λ_k = Σ_i (k_i / R_i)²`. The terms with all signs of the k_i have one
weight, and their cosines add up to products of `cos k_i φ_i`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

import rmatch.distributions._circle_heat as _circle_heat
from rmatch._numerics import sqrt
from rmatch.manifolds import Torus
from rmatch.paths._spectral_square import Square

_EULER = 0.5772156649015329  # the constant γ
_NEGLIGIBLE = 38.0  # exp(-38) = 3e-17
_SERIES_TO = 2.0
_SERIES = [-((-1) ** k) / (k * math.factorial(k)) for k in range(1, 26)]  # of E₁, without its logarithm


class TorusSquare(Square):
    """A square that is even in every angle, and largest where all of them are half a turn.

    Args:
        manifold: The torus.
    """

    def __init__(self, manifold: Torus) -> None:
        self.torus = manifold

    def value(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum at the difference of the points."""
        return self.value_and_gradient(x, y)[0]

    def profile(self, r: Tensor) -> tuple[Tensor, Tensor] | None:
        """On a circle it is a function of the distance."""
        if self.torus.dim > 1:
            return None
        square, slope = self.value_and_gradient(r.unsqueeze(-1), r.new_zeros(1))
        return square, slope.squeeze(-1)

    @property
    def reach(self) -> float:
        """Half a turn, on a circle."""
        return self.torus.periods[0] / 2 if self.torus.dim == 1 else math.inf

    @property
    def largest(self) -> float:
        """The value half a turn away in every angle."""
        origin = self.torus.origin(dtype=torch.float64)
        return float(self.value(origin, origin + origin.new_tensor(self.torus.periods) / 2))


class LatticeSeries(TorusSquare):
    """The sum over `|k_i| <= degrees_i` with the weights `w(λ)` as they are given."""

    def __init__(self, manifold: Torus, degrees: Sequence[int], weight: Callable[[Tensor], Tensor]) -> None:
        super().__init__(manifold)
        axes = [torch.arange(degree + 1, dtype=torch.float64) for degree in degrees]
        grids = torch.meshgrid(*axes, indexing="ij")
        eigenvalues = sum((k / r).square() for k, r in zip(grids, manifold.radii, strict=True))
        signs = reduce(torch.mul, (1 + k.sign() for k in grids))
        values = torch.zeros_like(signs)
        values.view(-1)[1:] = weight(torch.as_tensor(eigenvalues).reshape(-1)[1:])  # all but λ = 0
        self.weights = 2 * signs * values / manifold.volume

    def value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Sums along one axis after the other."""
        return self.lattice_sum(self.torus.log(y, x))

    def lattice_sum(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The sum and its gradient.

        `1 - c_1 c_2 ... = (1 - c_1) + c_1 (1 - c_2) + ...` with `1 - c_i = 2 sin²(k_i φ_i / 2)`, without cancellation.
        """
        radii = delta.new_tensor(self.torus.radii)
        angles = (delta / radii).reshape(-1, self.torus.dim).unbind(-1)
        orders = [torch.arange(size, dtype=delta.dtype, device=delta.device) for size in self.weights.shape]
        halves = [k * (angle / 2).unsqueeze(-1) for k, angle in zip(orders, angles, strict=True)]
        sines = [half.sin() for half in halves]
        drops = [2 * sine.square() for sine in sines]
        cosines, ones = [1 - drop for drop in drops], [torch.ones_like(drop) for drop in drops]
        total = torch.zeros_like(angles[0])
        slopes: list[Tensor] = []
        for i, (k, sine, half) in enumerate(zip(orders, sines, halves, strict=True)):
            total = total + self._contract([*cosines[:i], drops[i], *ones[i + 1 :]])
            slopes.append(self._contract([*cosines[:i], 2 * k * sine * half.cos(), *cosines[i + 1 :]]))
        batch = delta.shape[:-1]
        return total.reshape(batch), torch.stack(slopes, -1).reshape(delta.shape) / radii

    def _contract(self, factors: list[Tensor]) -> Tensor:
        """`Σ_k W_k Π_i f_i[k_i]` for factors `(B, K_i)`: `(B)`."""
        *others, last = factors
        partial = self.weights.to(last) @ last.mT  # [K_1, ..., B]
        for factor in reversed(others):
            partial = (partial * factor.mT).sum(-2)
        return partial


class TorusHeat(TorusSquare):
    """The sum with the weights `e^{-2τλ}`: twice the drop of the heat kernel at the time 4τ, a product over the angles.

    With `r_i = h_i(φ_i)/h_i(0)` it is `2 Π h_i(0)/R_i (1 - Π r_i)`, and `1 - r_i` is a sum of sin² next to 0.
    """

    def __init__(self, manifold: Torus, time: float) -> None:
        super().__init__(manifold)
        times = torch.tensor([4 * time / radius**2 for radius in manifold.radii], dtype=torch.float64)
        self.times = times
        count = math.ceil(math.sqrt(2 * (_NEGLIGIBLE + 8) / float(times.min()))) + 1
        m = torch.arange(1, count + 1, dtype=torch.float64)
        self.top = _circle_heat.log_kernel(torch.zeros_like(times), times)
        self.drops = 2 / math.pi * (-m.square() * times.unsqueeze(-1) / 2 - self.top.unsqueeze(-1)).exp()
        self.height = 2 * float((self.top.exp() / times.new_tensor(manifold.radii)).prod())

    def value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The logarithm of the product is the sum of that of each factor, from `1 - r_i` or from r_i itself."""
        delta = self.torus.log(y, x)
        radii, times, top, weights = (
            delta.new_tensor(self.torus.radii),
            *(a.to(delta) for a in (self.times, self.top, self.drops)),
        )
        angle = delta / radii
        m = torch.arange(1, weights.shape[-1] + 1, dtype=delta.dtype, device=delta.device)
        drop = (weights * (m * angle.unsqueeze(-1) / 2).sin().square()).sum(-1)
        near = drop < 0.5
        by_kernel = _circle_heat.log_kernel(angle, times.expand(angle.shape)) - top
        log_ratio = torch.where(near, torch.log1p(-torch.where(near, drop, 0.0)), by_kernel).sum(-1)
        score = _circle_heat.score(angle, times.expand(angle.shape)) / radii
        gradient = -self.height * log_ratio.exp().unsqueeze(-1) * score
        return -self.height * torch.expm1(log_ratio), gradient


class CircleBiharmonic(TorusSquare):
    """On T¹, with the weights λ⁻²: `R³ θ² (2π - θ)² / 24π`, a polynomial (of Bernoulli) in the angle θ."""

    def value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The polynomial."""
        (radius,) = self.torus.radii
        delta = self.torus.log(y, x).squeeze(-1) / radius
        theta = delta.abs()
        product, factor = theta * (2 * math.pi - theta), radius**3 / (24 * math.pi)
        slope = 4 * product * (math.pi - theta) * delta.sign()
        return factor * product.square(), (factor / radius * slope).unsqueeze(-1)


class TorusBiharmonic(LatticeSeries):
    """The sum with the weights λ⁻², which converges slowly, as two that converge fast (Ewald's method).

    `λ⁻² = ∫_0^∞ s e^{-sλ} ds`. From η on it is a lattice sum with the weights `e^{-ηλ} (1 + ηλ) λ⁻²`, and up to η one
    over the images `ρ = δ + 2πRm`, by Poisson's formula, of

        ∫_0^η s (4πs)^{-d/2} e^{-ρ²/4s} ds = (4π)^{-d/2} η^{2-d/2} E_p(a),   p = 3 - d/2,  a = ρ²/4η,

    with exponential integrals E_p. η is so small that next to δ = 0 only one image counts.

    References:
        Ewald, "Die Berechnung optischer und elektrostatischer Gitterpotentiale", Annalen der Physik 369 (1921).
    """

    def __init__(self, manifold: Torus) -> None:
        eta = (math.pi * min(manifold.radii)) ** 2 / _NEGLIGIBLE

        def weight(eigenvalue: Tensor) -> Tensor:
            return (-eta * eigenvalue).exp() * (1 + eta * eigenvalue) / eigenvalue.square()

        degrees = [math.ceil(radius * math.sqrt(_NEGLIGIBLE / eta)) for radius in manifold.radii]
        super().__init__(manifold, degrees, weight)
        self.eta = eta
        self.height = 2 * (4 * math.pi) ** (-manifold.dim / 2) * eta ** (2 - manifold.dim / 2)
        turns = [image for image in itertools.product((-1, 0, 1), repeat=manifold.dim) if any(image)]
        self.images = torch.tensor(turns, dtype=torch.float64) * torch.tensor(manifold.periods, dtype=torch.float64)
        self.at_zero, _ = _far(manifold.dim, self.images.square().sum(-1) / (4 * eta))

    def value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both sums; the gradient of the second is by `dE_p/da = -E_{p-1}`."""
        delta = self.torus.log(y, x)
        square, gradient = self.lattice_sum(delta)
        rho = delta.unsqueeze(-2) + self.images.to(delta)
        drop, lower = _near(self.torus.dim, delta.square().sum(-1) / (4 * self.eta))
        value, far_lower = _far(self.torus.dim, rho.square().sum(-1) / (4 * self.eta))
        square = square + self.height * (drop + (self.at_zero.to(delta) - value).sum(-1))
        pull = lower.unsqueeze(-1) * delta + (far_lower.unsqueeze(-1) * rho).sum(-2)
        return square, gradient + self.height / (2 * self.eta) * pull


def _near(dim: int, a: Tensor) -> tuple[Tensor, Tensor]:
    """`E_p(0) - E_p(a)` and `E_{p-1}(a)` (at a = 0 a finite number) for p = 3 - dim/2, on T² and T³."""
    safe = a + (a == 0).to(a)
    if dim == 2:
        lower = _exponential_integral(safe)
        return a * lower - torch.expm1(-a), lower
    root = sqrt(a)
    tail = math.sqrt(math.pi) * torch.erfc(root)
    return 2 * (root * tail - torch.expm1(-a)), tail / safe.sqrt()


def _far(dim: int, a: Tensor) -> tuple[Tensor, Tensor]:
    """`E_p(a)` and `E_{p-1}(a)` for the images, which have a > 9, within 1e-16 e^{-a}."""
    if dim == 2:
        lower = _continued_fraction(a, 12)
        return (-a).exp() - a * lower, lower
    tail = math.sqrt(math.pi) * torch.erfc(a.sqrt())
    return 2 * ((-a).exp() - a.sqrt() * tail), tail / a.sqrt()


def _exponential_integral(a: Tensor) -> Tensor:
    """`E₁(a) = ∫_a^∞ e^{-s}/s ds` for a > 0: its series next to 0, and a continued fraction beyond."""
    small = a < _SERIES_TO
    near, far = torch.where(small, a, 1.0), torch.where(small, _SERIES_TO, a)
    series = torch.full_like(a, _SERIES[-1])
    for coefficient in reversed(_SERIES[:-1]):
        series = torch.addcmul(torch.full_like(a, coefficient), series, near)
    return torch.where(small, series * near - near.log() - _EULER, _continued_fraction(far, 45))


def _continued_fraction(a: Tensor, terms: int) -> Tensor:
    """`E₁(a) = e^{-a}/(a + 1 - 1²/(a + 3 - 2²/(a + 5 - ...)))` (Stieltjes): 45 terms from a = 2 on, 12 from 9 on."""
    fraction = a + (2 * terms + 1)
    for k in range(terms, 0, -1):
        fraction = a + (2 * k - 1) - k * k / fraction
    return (-a).exp() / fraction
