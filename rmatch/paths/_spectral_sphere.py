"""Squares of spectral distances on spheres: functions of the angle θ, of which ψ = π - θ is known to all digits too.

By the addition theorem `Σ (φ(x) - φ(y))²` over the harmonics of degree l on the unit S^n is, with m_l their number,
`2 (1 - P_l(cos θ)) m_l / |S^n|`. P_l is the Gegenbauer polynomial with P_l(1) = 1 (that of Legendre on S²), and the
eigenvalue is `l (l + n - 1)`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from rmatch._numerics import norm, possibly_any
from rmatch.distributions._radial_heat import Separation, log_kernel_and_slope
from rmatch.distributions._sphere_heat import Round
from rmatch.manifolds import Sphere
from rmatch.paths._spectral_square import Square

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
_ROUNDING_OF_PI = 1.2246467991473532e-16  # π minus its float64
_CANCELLED = 1e-2  # a slope so much smaller than its terms has lost two digits


class Zonal(Square):
    """A square that depends on the angle alone.

    Args:
        manifold: The sphere.
        factor: What the square on the unit sphere is multiplied by.
    """

    def __init__(self, manifold: Sphere, factor: float) -> None:
        self.sphere = manifold
        self.factor = factor

    @abstractmethod
    def of_angle(self, theta: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """The square on the unit sphere and its derivative in θ; `rest` is π - θ."""

    @property
    def reach(self) -> float:
        """Half a great circle."""
        return math.pi * self.sphere.radius

    @property
    def largest(self) -> float:
        """The value at the antipode."""
        return float(self.profile(torch.tensor(self.reach, dtype=torch.float64))[0])

    def profile(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """The angle is the distance over the radius."""
        theta = r / self.sphere.radius
        square, slope = self.of_angle(theta, math.pi - theta + _ROUNDING_OF_PI)
        return self.factor * square, self.factor / self.sphere.radius * slope

    def value(self, x: Tensor, y: Tensor) -> Tensor:
        """The square at the angle between the points."""
        return self.factor * self.of_angle(*_angles(x, y))[0]

    def value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of θ is a unit vector away from y, over the radius."""
        square, slope = self.of_angle(*_angles(x, y))
        v = self.sphere.log(x, y)
        length = norm(v)
        away = -v / (length + (length == 0).to(length))
        return self.factor * square, (self.factor / self.sphere.radius * slope).unsqueeze(-1) * away


class ZonalSeries(Zonal):
    """The sum over the degrees l = 1, 2, ... with the weights `w_l` as they are given."""

    def __init__(self, manifold: Sphere, factor: float, weights: Sequence[float]) -> None:
        super().__init__(manifold, factor)
        n = manifold.dim
        volume = 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)
        counts = (multiplicity(n, degree) for degree in range(1, len(weights) + 1))
        self.terms = [2 * w * count / volume for w, count in zip(weights, counts, strict=True)]

    def of_angle(self, theta: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """By recurrence, for the differences `P_{l-1} - P_l`, which add up to 1 - P_l without cancellation near θ = 0.

        `P_l' = l (l + n - 1)/n` times the polynomial of degree l - 1 of S^{n+2}.
        """
        n = self.sphere.dim
        z = 2 * (theta / 2).sin().square()  # 1 - cos θ
        c = 1 - z
        total, slope = torch.zeros_like(z), torch.zeros_like(z)
        drop, step = z, z  # 1 - P_l and P_{l-1} - P_l
        before, now = torch.zeros_like(z), torch.ones_like(z)  # of S^{n+2}
        for degree, weight in enumerate(self.terms, start=1):
            total = total + weight * drop
            slope = slope + weight * (eigenvalue(n, degree) / n) * now
            step = (degree * step + (2 * degree + n - 1) * z * (1 - drop)) / (degree + n - 1)
            drop = drop + step
            before, now = now, ((2 * degree + n - 1) * c * now - (degree - 1) * before) / (degree + n)
        return total, slope * _sine(theta, rest)


class SphereHeat(ZonalSeries):
    """The sum with the weights `e^{-2τλ}`, which is `2 (K(0) - K(θ))` with the heat kernel at the time 4τ.

    Where the terms of the slope cancel, at large angles for small τ, it is that of the kernel.
    """

    def __init__(self, manifold: Sphere, factor: float, time: float) -> None:
        weights: list[float] = []
        while len(weights) < 2 or _size(manifold.dim, len(weights), time) > 1e-20 * _size(manifold.dim, 1, time):
            weights.append(math.exp(-2 * time * eigenvalue(manifold.dim, len(weights) + 1)))
        super().__init__(manifold, factor, weights)
        self.time = time
        self.steepest = sum(
            term * eigenvalue(manifold.dim, k) / manifold.dim for k, term in enumerate(self.terms, start=1)
        )

    def of_angle(self, theta: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """The sums, and the slope of the kernel where these cancel."""
        square, slope = super().of_angle(theta, rest)
        cancelled = slope.detach() < _CANCELLED * self.steepest * _sine(theta, rest).detach()
        if not possibly_any(cancelled):
            return square, slope
        apart = Separation(theta.cos(), theta.detach(), rest.detach())
        log_k, r = log_kernel_and_slope(Round(), self.sphere.dim, apart, theta.new_tensor(4 * self.time))
        exact = 2 * log_k.exp() * r * _sine(theta, rest)
        return square, torch.where(cancelled, exact, slope)


class CircleBiharmonic(Zonal):
    """On S¹, `Σ_m (1 - cos mθ) / m⁴` is a polynomial (of Bernoulli): the distance is `θ (2π - θ) / √(24π)`."""

    def of_angle(self, theta: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """The square of that."""
        product = theta * (math.pi + rest)
        return product.square() / (24 * math.pi), product * rest / (6 * math.pi)


class GlobeBiharmonic(Zonal):
    """On S², with z = sin²(θ/2) and the dilogarithm, `(Li₂(z) + log z log(1 - z)) / 2π`.

    For `Δ (z ↦ f) = d/dz (z (1 - z) f')`, and what the Laplacian takes to Green's function `-(1 + log z)/4π` of -Δ has
    the derivative `log z / (1 - z) / 4π`: so it is `Li₂(1 - z)/4π` up to a constant.
    """

    def of_angle(self, theta: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Li₂ from z or from 1 - z, whichever is smaller; none of the sums cancels."""
        z, q = (theta / 2).sin().square(), (rest / 2).sin().square()
        near = theta <= rest
        u = -torch.log1p(-torch.where(near, z, q))
        log_z = torch.where(near, (z + (z == 0).to(z)).log(), -u)
        square = torch.where(near, _dilogarithm(u) - u * log_z, math.pi**2 / 6 - _dilogarithm(u))
        slope = -log_z * _sine(theta, rest) / (2 * (q + (q == 0).to(q)))
        return square / (2 * math.pi), slope / (2 * math.pi)


class ThreeSphereBiharmonic(Zonal):
    """On S³, `θ (2π - θ) / 8π²`: the square itself is a polynomial, as `Δf = (u'' + u)/sin θ` for f = u/sin θ."""

    def of_angle(self, theta: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """The polynomial."""
        return theta * (math.pi + rest) / (8 * math.pi**2), rest / (4 * math.pi**2)


def multiplicity(n: int, degree: int) -> int:
    """The number of independent spherical harmonics of this degree >= 1 on S^n."""
    return math.comb(n + degree, n) - (math.comb(n + degree - 2, n) if degree >= 2 else 0)


def eigenvalue(n: int, degree: int) -> int:
    """The eigenvalue of -Δ on the harmonics of this degree on the unit S^n."""
    return degree * (degree + n - 1)


def _size(n: int, degree: int, time: float) -> float:
    """How much the harmonics of one degree weigh in the slope."""
    return multiplicity(n, degree) * eigenvalue(n, degree) * math.exp(-2 * time * eigenvalue(n, degree))


def _sine(theta: Tensor, rest: Tensor) -> Tensor:
    """The sine of θ, to all digits next to π too."""
    return torch.where(theta <= rest, theta, rest).sin()


def _angles(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The angle between the points and what is left to π, each to all digits."""
    minus, plus = norm(x - y), norm(x + y)
    return 2 * torch.atan2(minus, plus).squeeze(-1), 2 * torch.atan2(plus, minus).squeeze(-1)


def _dilogarithm(u: Tensor) -> Tensor:
    """`Li₂(1 - e^{-u}) = Σ_k B_k u^{k+1} / (k+1)!` for 0 <= u <= log 2, with Bernoulli's numbers."""
    total = torch.zeros_like(u)
    for k in range(len(_BERNOULLI), 0, -1):
        total = total * u.square() + _BERNOULLI[k - 1] / math.factorial(2 * k + 1)
    return u * (1 - u / 4 + u.square() * total)
