"""The distance of the unit ball, with its gradient."""

from __future__ import annotations

from torch import Tensor

from rmatch.manifolds._backward import Primitive
from rmatch.manifolds._hyperbolic import ball_chord, distance, first, last, root_of

Kept = tuple[Tensor, ...]


class Dist(Primitive):
    """`θ = 2 asinh h` with `h² = |d|²/(ab)`, d = y - x, a and b the gaps."""

    def formula(self, x: Tensor, y: Tensor, *, safe: bool) -> tuple[Tensor, Kept]:  # pyright: ignore[reportIncompatibleMethodOverride]
        p, q = first(x, y)
        square, a, b, d, _ = ball_chord(p, q)
        root = root_of(square, safe)
        return distance(square, root), (p, q, square, a, b, d, root)

    def gradients(self, kept: Kept, grad: Tensor) -> Kept:
        """`dθ = d(h²) / (h sqrt(1 + h²))`, 0 at h = 0, and h² has the gradient `2 h² y/b + 2 d/(ab)` in y."""
        p, q, square, a, b, d, root = kept
        twice = 2 * grad / (root + (root == 0))
        along, weight = twice / (a * b) * d, twice * square
        return last((weight / a) * p - along), last((weight / b) * q + along)
