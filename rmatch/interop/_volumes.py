"""The volumes of the compact manifolds that both neighbours have, so that integrals over them go everywhere.

A group of rotations with the metric `½ tr uᵀv` fibres over spheres of radius 1, whence
`vol SO(n) = vol S^{n-1} vol SO(n-1)`; frames and planes are its quotients.
"""

from __future__ import annotations

import math


def sphere(n: int) -> float:
    """The unit sphere `S^n`: `2 π^{(n+1)/2} / Γ((n+1)/2)`."""
    return 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)


def rotations(n: int) -> float:
    """`SO(n)` with the metric `½ tr uᵀv`, whose distance is the angle for n = 3."""
    return math.prod(sphere(k) for k in range(1, n))


def canonical_stiefel(n: int, p: int) -> float:
    """Frames of p vectors in R^n with the canonical metric, the quotient `SO(n) / SO(n - p)`; p = n has two parts."""
    return math.prod(sphere(k) for k in range(n - p, n))


def euclidean_stiefel(n: int, p: int) -> float:
    """The same with the metric of R^{n×p}, in which the p (p - 1) / 2 turns inside the plane are longer by √2."""
    return canonical_stiefel(n, p) * math.sqrt(2) ** (p * (p - 1) / 2)


def grassmannian(n: int, p: int) -> float:
    """Planes as projection matrices with the metric `tr uᵀv`; the quotient `O(n) / O(p) × O(n - p)` has half of it."""
    quotient = rotations(n) / (2 * rotations(p) * rotations(n - p))
    return quotient * math.sqrt(2) ** (p * (n - p))
