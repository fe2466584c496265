"""The sphere, the torus and the rotations at 60 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import torch
from torch import Tensor

import rmatch as rm
from tests.manifolds import reference as ref
from tools.accuracy.space import F32, F64, ROWS, Exact, Number, Pair, Space, angle_of, generator, numbers, rounded


class Sphere(Space):
    """S²: from angles below the square root of a rounding to the antipode."""

    title, key, columns = "Sphere S²", "sphere", ("angle",)
    member: rm.Manifold = rm.Sphere(2)

    def cases(self, dtype: torch.dtype) -> list[tuple[Any, ...]]:
        """Angles."""
        if dtype == F32:
            return [("1e-4",), ("1e-2",), ("1",), ("π-1e-2",), ("π-1e-4",)]
        return [("1e-12",), ("1e-8",), ("1e-4",), ("1",), ("π-1e-4",), ("π-1e-8",)]

    def pair(self, case: tuple[Any, ...], seed: int, dtype: torch.dtype) -> Pair:
        """Two random points at that angle."""
        return ref.sphere_pair(2, angle_of(case[0]), seed, dtype)

    def point(self, x: Tensor) -> Exact:
        """The array over its length."""
        return ref.unit(ref.exact(x))

    def vector(self, p: Exact, v: Tensor) -> Exact:
        """The tangent part."""
        return ref.tangent(p, ref.exact(v))

    def raised(self, p: Exact, covector: Tensor) -> Exact:
        """The same: the metric is the Euclidean one."""
        return self.vector(p, covector)

    def dist(self, p: Exact, q: Exact) -> Number:
        """The angle."""
        return ref.sphere_angle(p, q)

    def log(self, p: Exact, q: Exact) -> Exact:
        """See `reference.sphere_log`."""
        return ref.sphere_log(p, q)

    def exp(self, p: Exact, v: Exact) -> Exact:
        """See `reference.sphere_exp`."""
        return ref.sphere_exp(p, v)

    def length(self, p: Exact, v: Exact) -> Number:
        """The Euclidean one."""
        return ref.norm(v)

    def floats(self, p: Exact, dtype: torch.dtype) -> Tensor:
        """Number by number."""
        return numbers(p, dtype)

    def tensor(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """Number by number."""
        del p
        return numbers(v, dtype)

    def lowered(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """The same."""
        return self.tensor(p, v, dtype)

    def hard(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Equal and opposite points."""
        x, y = rm.Uniform(self.member).sample((2, ROWS), generator=generator(), dtype=dtype)
        return {"random": (x, y), "x = y": (x, x), "y = -x": (x, -x)}


class Torus(Space):
    """T²: pairs inside and across the seam."""

    title, key, columns = "Torus T²", "torus", ("gap", "place")
    member: rm.Manifold = rm.Torus(2)

    def cases(self, dtype: torch.dtype) -> list[tuple[Any, ...]]:
        """Gaps in both angles, inside and on both sides of 0."""
        gaps = ("1e-4", "1", "3") if dtype == F32 else ("1e-12", "1e-8", "1e-4", "1", "3")
        return [(gap, place) for gap in gaps for place in ("inside", "across 0")]

    def pair(self, case: tuple[Any, ...], seed: int, dtype: torch.dtype) -> Pair:
        """Random angles, or a quarter of the gap ahead of 0."""
        gap = float(case[0])
        start = 3.1 + 2 * torch.rand(2, generator=generator(seed), dtype=F64)
        x = start.to(dtype) if case[1] == "inside" else torch.tensor([0.25, 0.3], dtype=dtype) * gap
        return x, self.member.project(x - gap)

    def point(self, x: Tensor) -> Exact:
        """The angles."""
        return ref.exact(x)

    def vector(self, p: Exact, v: Tensor) -> Exact:
        """The numbers themselves."""
        del p
        return ref.exact(v)

    def raised(self, p: Exact, covector: Tensor) -> Exact:
        """The same: the metric is the Euclidean one."""
        return self.vector(p, covector)

    def dist(self, p: Exact, q: Exact) -> Number:
        """The length of the logarithm."""
        return ref.norm(ref.torus_log(p, q))

    def log(self, p: Exact, q: Exact) -> Exact:
        """The shortest difference, with the real number π."""
        return ref.torus_log(p, q)

    def exp(self, p: Exact, v: Exact) -> Exact:
        """The sum."""
        return ref.torus_wrap(ref.combine(ref.ONE, p, ref.ONE, v))

    def length(self, p: Exact, v: Exact) -> Number:
        """The Euclidean one."""
        return ref.norm(v)

    def floats(self, p: Exact, dtype: torch.dtype) -> Tensor:
        """Number by number."""
        return numbers(p, dtype)

    def tensor(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """Number by number."""
        del p
        return numbers(v, dtype)

    def lowered(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """The same."""
        return self.tensor(p, v, dtype)

    def hard(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Equal points, and points half a turn apart in both angles."""
        x, y = rm.Uniform(self.member).sample((2, ROWS), generator=generator(), dtype=dtype)
        return {"random": (x, y), "x = y": (x, x), "half a turn": (x, self.member.project(x + torch.pi))}


class Rotations(Space):
    """SO(3), from an angle of 1e-12 to nearly half a turn."""

    title, key, columns = "Rotations SO(3)", "rotations", ("angle",)
    member: rm.Manifold = rm.SpecialOrthogonal(3)

    def cases(self, dtype: torch.dtype) -> list[tuple[Any, ...]]:
        """Angles."""
        if dtype == F32:
            return [("1e-4",), ("1e-2",), ("1",), ("3",), ("π-1e-2",), ("π-1e-4",)]
        return [("1e-12",), ("1e-8",), ("1e-4",), ("1",), ("3",), ("π-1e-4",), ("π-1e-8",), ("π-1e-12",)]

    def pair(self, case: tuple[Any, ...], seed: int, dtype: torch.dtype) -> Pair:
        """A random rotation, and one turned about a random axis."""
        g = generator(seed)
        x = rm.Uniform(self.member).sample((), generator=g, dtype=F64).to(dtype)
        axis = ref.unit(ref.exact(torch.randn(3, generator=g, dtype=F64)))
        turn = self._turn([angle_of(case[0]) * a for a in axis])
        return x, rounded(self.point(x) * turn, dtype)

    def point(self, x: Tensor) -> Exact:
        """The polar factor, by Newton's iteration `(a + a⁻ᵀ)/2`."""
        a = mp.matrix([[mp.mpf(entry) for entry in row] for row in x.detach().double().tolist()])
        for _ in range(7):
            a = (a + (a.T) ** -1) / 2
        return a

    def vector(self, p: Exact, v: Tensor) -> Exact:
        """The rotation vector of the part that is tangent."""
        m = p.T * mp.matrix(v.detach().double().tolist())
        return [(m[i, j] - m[j, i]) / 2 for i, j in ((2, 1), (0, 2), (1, 0))]

    def raised(self, p: Exact, covector: Tensor) -> Exact:
        """Twice that, for the metric is half the Euclidean one."""
        return [2 * a for a in self.vector(p, covector)]

    def dist(self, p: Exact, q: Exact) -> Number:
        """The angle."""
        return ref.norm(self.log(p, q))

    def log(self, p: Exact, q: Exact) -> Exact:
        """The rotation vector of `pᵀq`."""
        m = p.T * q
        sine = [(m[i, j] - m[j, i]) / 2 for i, j in ((2, 1), (0, 2), (1, 0))]
        size = ref.norm(sine)
        factor = mp.atan2(size, (m[0, 0] + m[1, 1] + m[2, 2] - 1) / 2) / size if size else 1
        return [factor * a for a in sine]

    def exp(self, p: Exact, v: Exact) -> Exact:
        """Rodrigues' formula."""
        return p * self._turn(v)

    def length(self, p: Exact, v: Exact) -> Number:
        """That of the rotation vector."""
        return ref.norm(v)

    def floats(self, p: Exact, dtype: torch.dtype) -> Tensor:
        """Entry by entry."""
        return rounded(p, dtype)

    def tensor(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """The matrix `p [v]`."""
        return rounded(p * skew(v), dtype)

    def lowered(self, p: Exact, v: Exact, dtype: torch.dtype) -> Tensor:
        """Half the matrix."""
        return self.tensor(p, v, dtype) / 2

    def hard(self, dtype: torch.dtype) -> dict[str, Pair]:
        """Equal rotations, and half a turn about each axis of the second."""
        x, y = rm.Uniform(self.member).sample((2, ROWS), generator=generator(), dtype=dtype)
        half = x @ torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=dtype))
        return {"random": (x, y), "x = y": (x, x), "half a turn": (x, half)}

    @staticmethod
    def _turn(v: Exact) -> Exact:
        angle, k = ref.norm(v), skew(v)
        return mp.eye(3) + mp.sinc(angle) * k + mp.sinc(angle / 2) ** 2 / 2 * k * k


def skew(w: Exact) -> Exact:
    """The matrix of the cross product with w."""
    return mp.matrix([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
