"""Manifolds of other libraries with nothing repaired: their own functions, and what the laws find in them."""

from importlib.util import find_spec

import geoopt
import pytest
import torch

import rmatch as rm
from tools.examine_peers import CASES, KNOWN, PAGE, Known

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def points(M: rm.Manifold) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs of points, the first of them equal, and tangent vectors."""
    generator = torch.Generator().manual_seed(0)
    x = M.origin(dtype=torch.float64).expand(5, *M.point_shape)
    v = M.random_tangent(x, generator=generator)
    y = M.exp(x, v)
    return x, torch.cat([x[:1], y[1:]]), v


def test_the_functions_are_geoopts_own() -> None:
    theirs = geoopt.Sphere()
    M = rm.interop.from_geoopt(theirs, (3,), repair=False)
    x, y, v = points(M)
    torch.testing.assert_close(M.dist(x, y), theirs.dist(x, y), atol=0, rtol=0)
    torch.testing.assert_close(M.log(x, y), theirs.logmap(x, y), atol=0, rtol=0)
    torch.testing.assert_close(M.transport(x, y, v), theirs.transp(x, y, v), atol=0, rtol=0)
    repaired = rm.interop.from_geoopt(theirs, (3,))
    assert (M.transport(x, y, v) - repaired.transport(x, y, v)).abs().max() > 0.1


def test_the_functions_are_geomstats_own() -> None:
    stiefel = rm.interop.import_geomstats("geometry.stiefel").Stiefel(3, 2)
    M = rm.interop.from_geomstats(stiefel, repair=False)
    x, y, v = points(M)
    torch.testing.assert_close(M.exp(x, v), stiefel.metric.exp(v, x), atol=0, rtol=0)
    with pytest.raises(NotImplementedError):
        M.transport(x, y, v)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.what} {known.where}")
def test_a_law_finds_by_itself_what_was_found_by_hand(known: Known) -> None:
    if find_spec(known.library) is None:
        pytest.skip(f"{known.library} is not installed")
    row = known.find()
    assert row.law == known.law
    assert row.status == "broken"


def test_the_page_has_every_manifold_and_every_finding() -> None:
    """Where it fails: `python -m tools.examine_peers --write`, with all three libraries installed."""
    text = PAGE.read_text("utf-8")
    assert all(f"| {case.title} |" in text for case in CASES)
    assert all(f"| {known.what} | {known.where} | `{known.law}` |" in text for known in KNOWN)
