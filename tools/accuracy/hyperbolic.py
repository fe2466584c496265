"""Both models of the hyperbolic plane, as points of the hyperboloid at 200 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import torch
from torch import Tensor

import rmatch as rm
from tests.manifolds import reference as ref
from tests.manifolds import reference_hyperbolic as hyperbolic
from tools.accuracy.space import F32, F64, ROWS, Exact, Number, Pair, Space, generator, numbers


class Hyperbolic(Space):
    """H² in either model, as points of the hyperboloid: near pairs and far ones, at the origin and far out."""

    columns = ("radius", "separation")
    digits = 200  # numbers of the size exp(2r) are subtracted

    def __init__(self, model: str) -> None:
        self.model = model
        self.key = model
        self.title = {"Lorentz": "Hyperbolic plane, hyperboloid", "PoincareBall": "Hyperbolic plane, ball"}[model]
        self._plane: rm.HyperbolicSpace = rm.Lorentz(2) if model == "Lorentz" else rm.PoincareBall(2)
        self.member = self._plane

    def cases(self, dtype: torch.dtype) -> list[tuple[Any, ...]]:
        """A radius and a separation: the last of each radius goes through the origin to the far side."""
        near = "1e-3" if dtype == F32 else "1e-6"
        radii = (1, 5, 10) if dtype == F32 else (1, 5, 10, 20)
        found = [(radius, gap) for radius in radii for gap in (near, "1", f"{2 * radius}, through 0")]
        if self.model == "Lorentz":
            found.append((150, "300, through 0") if dtype == F64 else (40, "80, through 0"))
        return found

    def pair(self, case: tuple[Any, ...], seed: int, dtype: torch.dtype) -> Pair:
        """A point at that radius and another in any direction; next to the ball's edge their floats may coincide."""
        separation, _, through = case[1].partition(",")
        direction = "inward" if through else "any"
        exact = hyperbolic.pair(2, mp.mpf(case[0]), mp.mpf(separation), direction, seed)
        x, y = (self.member.project(hyperbolic.as_tensor(self.model, p, dtype)) for p in exact)
        return self.pair(case, seed + 1000, dtype) if torch.equal(x, y) else (x, y)

    def point(self, x: Tensor) -> Exact:
        """The point of the hyperboloid."""
        return hyperbolic.point(self.model, x)

    def holds(self, x: Tensor) -> bool:
        """Whether a point of the ball lies inside."""
        return self.model == "Lorentz" or bool(ref.norm(ref.exact(x)) < 1)

    def vector(self, p: Exact, v: Tensor) -> Exact:
        """The tangent vector there."""
        if self.model == "Lorentz":
            return hyperbolic.tangent_over(p, ref.exact(v)[1:])
        return self._from_ball(p, ref.exact(v))

    def raised(self, p: Exact, covector: Tensor) -> Exact:
        """`J c + <x, c> x` on the hyperboloid, `c/λ²` in the ball."""
        c = ref.exact(covector)
        if self.model == "Lorentz":
            return ref.combine(ref.ONE, [-c[0], *c[1:]], ref.dot(p, c), p)
        half_gap = 1 / (1 + p[0])
        return self._from_ball(p, [half_gap**2 * a for a in c])

    def dist(self, p: Exact, q: Exact) -> Number:
        """See `reference_hyperbolic.dist`."""
        return hyperbolic.dist(p, q)

    def log(self, p: Exact, q: Exact) -> Exact:
        """See `reference_hyperbolic.log`."""
        return hyperbolic.log(p, q)

    def exp(self, p: Exact, v: Exact) -> Exact:
        """See `reference_hyperbolic.exp`."""
        return hyperbolic.exp(p, v)

    def length(self, p: Exact, v: Exact) -> Number:
        """In Minkowski's metric."""
        return hyperbolic.length(v)

    def floats(self, p: Exact, dtype: torch.dtype) -> Tensor:
        """In the model's coordinates."""
        return hyperbolic.as_tensor(self.model, p, dtype)

    def tensor(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """In the ball `v' / (1 + x0) - v0 x' / (1 + x0)²`, by the differential of the projection."""
        if self.model == "PoincareBall":
            v = [(b - v[0] * a / (1 + p[0])) / (1 + p[0]) for a, b in zip(p[1:], v[1:], strict=True)]
        return numbers(v, dtype)

    def lowered(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """On the hyperboloid without time component, `v' - v0 x'/x0`; in the ball λ² times the vector, λ = 1 + x0."""
        if self.model == "PoincareBall":
            return self.tensor(p, [(1 + p[0]) ** 2 * a for a in v], dtype)
        return numbers([mp.mpf(0), *(b - v[0] * a / p[0] for a, b in zip(p[1:], v[1:], strict=True))], dtype)

    def hard(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Equal points, the origin, and points far out."""
        M = self._plane
        origin = M.origin(dtype=dtype).expand(ROWS, *M.point_shape)
        turn = 2 * torch.pi * torch.rand(ROWS, generator=generator(), dtype=dtype)
        directions = torch.stack([turn.cos(), turn.sin()], -1)

        def at(radius: float) -> Tensor:
            return M.polar(torch.full((ROWS,), radius, dtype=dtype), directions)

        far = 20.0 if dtype == F64 else 8.0
        pairs = {
            "random": (at(1.0), at(2.0).roll(1, 0)),
            "x = y": (at(1.0), at(1.0)),
            "x = y = 0": (origin, origin),
            f"at radius {far:g}": (at(far), at(far).roll(1, 0)),
            f"x = y at radius {far:g}": (at(far), at(far)),
        }
        if self.model == "Lorentz":
            edge = 300.0 if dtype == F64 else 40.0
            pairs[f"0 and radius {edge:g}"] = (origin, at(edge))
        return pairs

    @staticmethod
    def _from_ball(p: Exact, v: Exact) -> Exact:
        """The vector of the hyperboloid at `p` with the coordinates v in the ball: see `vector_from_ball`."""
        at, half = hyperbolic.to_ball(p), 1 + p[0]
        along = half**2 * ref.dot(at, v)
        return [along, *(half * b + along * a for a, b in zip(at, v, strict=True))]
