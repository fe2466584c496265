"""A manifold whose logarithm does not go everywhere is examined where it goes."""

import pytest
from torch import Tensor

import rmatch as rm


class ShortSighted(rm.Sphere):
    """A logarithm that is found by shooting, and gives up beyond a distance of 0.6."""

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        if bool((self.dist(x, y) > 0.6).any()):
            raise rm.SolverError("take points that are closer")
        return super().log(x, y)


def test_points_stay_within_the_reach() -> None:
    M = ShortSighted(2)
    assert not rm.check_manifold(M, laws=["exp-undoes-log"]).ok
    families = ["metric", "geodesics", "transport", "calculus", "integrals"]
    report = rm.check_manifold(M, laws=families, reach=0.5)
    report.raise_if_failed()
    assert report["exp-undoes-log"].status == "holds"
    assert report["integration-by-parts"].status == "skipped"
    assert "within a reach" in str(report["integration-by-parts"].reason)


@pytest.mark.parametrize("reach", [0.0, -1.0, float("nan")])
def test_a_reach_is_a_positive_length(reach: float) -> None:
    with pytest.raises(rm.OptionError, match="positive length"):
        rm.check_manifold(rm.Sphere(2), reach=reach)


def test_a_wrong_law_is_found_within_the_reach_too() -> None:
    class Wrong(ShortSighted):
        def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
            return self.to_tangent(y, v)

    assert rm.check_manifold(Wrong(2), laws=["transport-isometry"], reach=0.5)["transport-isometry"].status == "broken"
