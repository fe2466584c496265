"""Members and inputs that the tests of this folder share: ordinary pairs, and all the places where formulas break."""

import math

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

MEMBERS: list[Manifold] = [Euclidean(1), Euclidean(3), Sphere(1), Sphere(2), Sphere(15), Torus(1), Torus(3)]
DTYPES = [torch.float32, torch.float64]

every_member = pytest.mark.parametrize("M", MEMBERS, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def points(M: Manifold, batch: tuple[int, ...] = (), seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Points all over the manifold (on Euclidean space: normal around 0)."""
    generator = torch.Generator().manual_seed(seed)
    spread = 5.0 if isinstance(M, Torus) else 1.0
    return M.project(spread * torch.randn(*batch, *M.point_shape, generator=generator, dtype=torch.float64)).to(dtype)


def tangents(M: Manifold, x: Tensor, seed: int = 0, size: float = 1.0) -> Tensor:
    """Tangent vectors at `x` with independent normal coefficients, times `size`."""
    return size * M.random_tangent(x, generator=torch.Generator().manual_seed(1000 + seed))


def cut_point(M: Manifold, x: Tensor) -> Tensor:
    """The point opposite to `x`, where geodesics stop to be unique; on Euclidean space, which has none, a far point."""
    if isinstance(M, Sphere):
        return -x
    return torch.where(x < math.pi, x + math.pi, x - math.pi) if isinstance(M, Torus) else x + 100.0


def reach(M: Manifold) -> float:
    """A length that no geodesic must reach to be the only shortest one."""
    return math.inf if isinstance(M, Euclidean) else math.pi


def rounding(M: Manifold, *tensors: Tensor) -> float:
    """A few roundings at the size of the numbers at hand: what an identity in floating point may miss by."""
    size = max([2 * math.pi if isinstance(M, Torus) else 1.0, *(float(t.abs().amax()) for t in tensors if t.numel())])
    return 16 * math.sqrt(M.dim) * torch.finfo(tensors[0].dtype).eps * size


def seam_apart(M: Manifold, x: Tensor, y: Tensor) -> float:
    """The largest coordinate difference of the two batches of points, on the torus across the seam."""
    gap = M.log(x, y) if isinstance(M, Torus) else y - x
    return float(gap.abs().amax()) if gap.numel() else 0.0


BATCHES = [(), (0,), (1,), (4,), (2, 3)]
RELATIONS = ["apart", "equal", "1e-12 apart", "1e-6 apart", "1e-6 from the cut", "at the cut"]


@st.composite
def pairs(draw: st.DrawFn, M: Manifold, relations: list[str] | None = None) -> tuple[Tensor, Tensor]:
    """Two batches of points in one of the `RELATIONS`, either dtype, any batch shape."""
    dtype, batch = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(BATCHES))
    relation = draw(st.sampled_from(RELATIONS if relations is None else relations))
    seed = draw(st.integers(0, 10**6))
    x, other = points(M, batch, seed, dtype), points(M, batch, seed + 1, dtype)
    if relation == "apart":
        return x, other
    y = cut_point(M, x) if "cut" in relation else x
    step = 0.0 if relation in ("equal", "at the cut") else float(relation.split()[0])
    return x, M.exp(y, tangents(M, y, seed, step)) if step else y


@st.composite
def triples(draw: st.DrawFn, M: Manifold) -> tuple[Tensor, Tensor, Tensor]:
    """A pair as in `pairs` and tangent vectors at the first, of a size from 1e-6 to 10."""
    x, y = draw(pairs(M))
    return x, y, tangents(M, x, draw(st.integers(0, 10**6)), draw(st.sampled_from([0.0, 1e-6, 1.0, 10.0])))
