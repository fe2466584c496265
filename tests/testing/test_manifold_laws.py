"""The laws as a user's own tests, run by a pytest of their own."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings

import rmatch as rm
from rmatch.testing import manifold_laws, strategies

LAWS = ["triangle-inequality", "transport-isometry", "volume-normalisation"]

SUITE = """
import rmatch as rm

class Projected(rm.Sphere):
    def transport(self, x, y, v):
        return self.to_tangent(y, v)

@rm.testing.manifold_laws(rm.Sphere(2), rm.Euclidean(2), Projected(2), laws={laws}{more})
def test_laws(check):
    check()
"""


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("", {"passed": 7, "failed": 1, "skipped": 1, "xfailed": 0}),
        (", expected_failures=['transport-isometry']", {"passed": 5, "failed": 2, "skipped": 1, "xfailed": 1}),
    ],
)
def test_each_law_is_a_test(tmp_path: Path, more: str, wanted: dict[str, int]) -> None:
    """Of nine, one is skipped; a law that was expected to fail and holds is a failure."""
    path = tmp_path / f"test_suite_{len(more)}.py"  # one name for each, as modules stay loaded
    path.write_text(SUITE.format(laws=LAWS, more=more))
    counts = dict.fromkeys(wanted, 0)

    class Count:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.when == "call" or report.skipped:
                counts["xfailed" if hasattr(report, "wasxfail") else report.outcome] += 1

    pytest.main(
        ["--import-mode=importlib", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(path)],
        plugins=[Count()],
    )
    assert counts == wanted


@manifold_laws(rm.Torus(2), rm.Sphere(1), laws=["metric", "geodesics"])
def test_the_decorator_works_here_too(check) -> None:
    check()


def test_an_unknown_law_is_refused_at_once() -> None:
    with pytest.raises(rm.OptionError, match="triangle"):
        manifold_laws(rm.Sphere(2), laws=["triangle"])


M = rm.Sphere(2)
few = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])


@few
@given(x=strategies.points(M, rows=5, dtype=torch.float32))
def test_points(x: torch.Tensor) -> None:
    assert x.shape == (5, 3)
    assert x.dtype == torch.float32
    assert M.check_point(x) is None


@few
@given(pair=strategies.tangents(M))
def test_tangents(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert M.check_tangent(*pair) is None


@few
@given(pair=strategies.pairs(M))
def test_pairs_are_apart_close_and_the_same(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    d = M.dist(*pair)
    assert float(d.min()) < 1e-8
    assert float(d.max()) > 0.05


def test_pairs_reach_the_cut_locus() -> None:
    from hypothesis import find

    x, y = find(strategies.pairs(M), lambda pair: bool((M.dist(*pair) == torch.pi).any()))
    assert torch.equal(x[M.dist(x, y) == torch.pi], -y[M.dist(x, y) == torch.pi])


@few
@given(f=strategies.functions(M), V=strategies.fields(M, kind="solenoidal"))
def test_functions_and_fields(f, V) -> None:
    x = M.project(torch.ones(2, 3, dtype=torch.float64))
    assert f(x).shape == (2,)
    assert M.check_tangent(x, V(x)) is None
    assert float(M.divergence(V)(x).abs().max()) < 1e-10
