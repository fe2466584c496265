"""Quadrature in geodesic polar coordinates: a radial rule times a rule on the sphere of directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.manifolds._quadrature import sphere_rule

_FARTHEST = 32.0  # beyond it float64 cannot tell the ball's points from its boundary

_LOW_ENDS = {1: -3.56, 2: -2.81, 3: -2.36}  # there r^n is 1e-17


def hyperbolic_rule(n: int, degree: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distances `(N,)`, directions `(N, n)` and weights `(N,)` for `∫ f dV` over H^n of curvature -1, n = 1, 2, 3.

    The volume is `sinh^{n-1} r dr dω`.
    """
    r, radial = half_line_rule(2 * degree, n)
    directions, angular = directions_rule(n, degree)
    weights = (radial * r.sinh() ** (n - 1)).unsqueeze(1) * angular
    count = len(angular)
    return r.repeat_interleave(count), directions.repeat(len(r), 1), weights.reshape(-1)


def half_line_rule(steps: int, n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights for `∫_0^∞ g(r) dr`, g analytic, of the order `r^{n-1}` at 0 and decaying exponentially.

    The double exponential substitution `r = exp(u - exp(-u))` and the trapezoid rule in u: the integrand dies out at
    both ends faster than exponentially, for a g of any width, so the error falls exponentially with the steps.

    References:
        Takahasi and Mori, "Double exponential formulas for numerical integration", 1974, equation (4.5).
    """
    low, high = _LOW_ENDS[n], math.log(_FARTHEST) + 1 / _FARTHEST
    u = torch.linspace(low, high, steps + 1, dtype=torch.float64)
    r = (u - (-u).exp()).exp()
    return r, r * (1 + (-u).exp()) * ((high - low) / steps)


def directions_rule(n: int, degree: int) -> tuple[Tensor, Tensor]:
    """A rule on the unit sphere of R^n: both signs for n = 1, else exact for harmonics up to `degree`."""
    if n == 1:
        return torch.tensor([[1.0], [-1.0]], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    return sphere_rule(n - 1, degree, torch.float64, None)
