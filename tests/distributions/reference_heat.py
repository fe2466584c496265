"""Heat kernels at 60 digits, from formulas that the library does not use: what its densities are measured against.

Every function returns `log K + θ²/2t`, in which the size of the exponent has cancelled, as a number of 60 digits.
"""

from typing import Any, TypeAlias

import mpmath as mp

mp.mp.dps = 60

Number: TypeAlias = Any  # mpmath.mpf, which comes without types


def sphere_by_harmonics(n: int, theta: Number, t: Number) -> Number:
    """`Σ_l d_l e^{-l(l+n-1)t/2} P_l(cos θ) / volume`, with as many digits as the terms cancel by."""
    theta, t = mp.mpf(theta), mp.mpf(t)
    digits = int(theta**2 / (2 * t) / mp.log(10)) + 80
    with mp.workdps(digits):
        c, half = mp.cos(theta), mp.mpf(n - 1) / 2
        before, now, total, degree = mp.mpf(0), mp.mpf(1), mp.mpf(0), 0
        while degree * (degree + n - 1) * t / 2 < (digits + 20) * mp.log(10):
            multiplicity = 1 if degree == 0 else mp.binomial(n + degree, n) - mp.binomial(n + degree - 2, n)
            total += multiplicity * mp.exp(-degree * (degree + n - 1) * t / 2) * now
            if degree == 0:
                before, now = now, c
            else:
                before, now = now, (2 * (degree + half) * c * now - degree * before) / (degree + n - 1)
            degree += 1
        volume = 2 * mp.pi ** (mp.mpf(n + 1) / 2) / mp.gamma(mp.mpf(n + 1) / 2)
        return mp.log(total / volume) + theta**2 / (2 * t)


def globe_by_integral(theta: Number, t: Number) -> Number:
    """S²: `e^{t/8} √2 (2πt)^{-3/2} ∫_θ^π Σ_k (-1)^k (φ + 2πk) e^{-(φ + 2πk)²/2t} / √(cos θ - cos φ) dφ`.

    McKean, J. Differential Geometry 4 (1970), with the sign of the curvature changed; here in w with φ² = θ² + w².
    """
    theta, t = min(mp.mpf(theta), mp.pi - mp.mpf(10) ** -30), mp.mpf(t)  # at π itself the integral is over one point
    turns = range(-2, 2) if t < 0.1 else range(-5, 5)

    def integrand(w: Number) -> Number:
        phi = mp.sqrt(theta**2 + w * w)
        total = mp.fsum(
            (-1) ** k * (phi + 2 * mp.pi * k) * mp.exp(-((phi + 2 * mp.pi * k) ** 2 - theta**2) / (2 * t))
            for k in turns
        )
        gap = 2 * mp.sin((phi + theta) / 2) * mp.sin(w * w / (phi + theta) / 2)  # cos θ - cos φ
        return total / phi * w / mp.sqrt(gap)

    end = min(mp.sqrt((mp.pi - theta) * (mp.pi + theta)), 14 * mp.sqrt(t))  # e^{-98} = 1e-43 is left out
    integral = mp.quad(integrand, [0, end])
    return t / 8 + mp.log(mp.sqrt(2) * integral) - mp.mpf(3) / 2 * mp.log(2 * mp.pi * t)


def odd_sphere(n: int, theta: Number, t: Number) -> Number:
    """S^1, S^3 and S^5 by `K_{n+2} = e^{nt/2} / 2π (-1/sin θ d/dθ) K_n` from the theta sum on the circle."""
    theta, t = mp.mpf(theta), mp.mpf(t)
    s, c = mp.sin(theta), mp.cos(theta)
    total = mp.mpf(0)
    for k in range(-6, 7):
        x = theta + 2 * mp.pi * k
        factor = {
            1: mp.mpf(1),
            3: x / (t * s),
            5: (x * x / t**2 - 1 / t) / s**2 + x * c / (t * s**3),
        }[n]
        total += factor * mp.exp(-(x * x - theta**2) / (2 * t))
    power = (n - 1) // 2
    return power**2 * t / 2 - power * mp.log(2 * mp.pi) - mp.log(2 * mp.pi * t) / 2 + mp.log(total)


def hyperbolic_plane(rho: Number, t: Number) -> Number:
    """H²: `√2 e^{-t/8} (2πt)^{-3/2} ∫_ρ^∞ φ e^{-φ²/2t} / √(cosh φ - cosh ρ) dφ` (McKean), in w with φ² = ρ² + w²."""
    rho, t = mp.mpf(rho), mp.mpf(t)

    def integrand(w: Number) -> Number:
        phi = mp.sqrt(rho**2 + w * w)
        gap = 2 * mp.sinh((phi + rho) / 2) * mp.sinh(w * w / (phi + rho) / 2)  # cosh φ - cosh ρ
        return mp.exp(rho / 2 - w * w / (2 * t)) * w / mp.sqrt(gap)

    end = min(15 * mp.sqrt(t), 240 + 3 * mp.sqrt(80 * rho))  # e^{-112} = 1e-49, or e^{-(φ-ρ)/2}, is left out
    integral = mp.quad(integrand, [0, end / 8, end])
    return -t / 8 - rho / 2 + mp.log(mp.sqrt(2) * integral) - mp.mpf(3) / 2 * mp.log(2 * mp.pi * t)


def odd_hyperbolic(n: int, rho: Number, t: Number) -> Number:
    """H^1, H^3 and H^5 by `K_{n+2} = e^{-nt/2} / 2π (-1/sinh ρ d/dρ) K_n` from the normal density."""
    rho, t = mp.mpf(rho), mp.mpf(t)
    s, c = mp.sinh(rho), mp.cosh(rho)
    factor = {
        1: mp.mpf(1),
        3: rho / (t * s),
        5: (rho / (t * s)) ** 2 + (rho * c - s) / (t * s**3),
    }[n]
    power = (n - 1) // 2
    return mp.log(factor) - power**2 * t / 2 - power * mp.log(2 * mp.pi) - mp.log(2 * mp.pi * t) / 2
