"""What `check_manifold` returns, and what it refuses."""

import json
import math

import pytest
import torch

import rmatch as rm
from rmatch.verify import LAWS, Law, Residual, Row

from .gallery import ClampedLog, ProjectedTransport

QUICK = ["triangle-inequality", "transport-isometry"]


def test_the_report_of_a_right_manifold() -> None:
    report = rm.check_manifold(rm.Sphere(2), laws=QUICK)
    assert report.ok
    assert report.broken == ()
    assert [row.law for row in report.rows] == QUICK
    for row in report.rows:
        assert row.status == "holds"
        assert 0 <= row.residual <= row.tolerance < 1e-11
        assert row.cases == 3
        assert row.seconds > 0
        assert row.counterexample is None
    report.raise_if_failed()
    assert str(report).startswith("Sphere(2): 2 laws hold (")


def test_the_same_seed_gives_the_same_numbers_and_another_one_others() -> None:
    first, again, other = (rm.check_manifold(rm.Sphere(2), laws=QUICK, seed=seed) for seed in (0, 0, 1))
    assert [row.residual for row in first.rows] == [row.residual for row in again.rows]
    assert [row.tolerance for row in first.rows] != [row.tolerance for row in other.rows]


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    rm.check_manifold(rm.Torus(2), laws=["metric", "geodesics", "transport", "calculus"])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    rm.check_manifold(ProjectedTransport(2), laws=QUICK)
    assert capsys.readouterr() == ("", "")


def test_the_counterexample_is_as_simple_as_it_gets() -> None:
    """A clamped logarithm is wrong from any point to itself: the simplest one is the origin."""
    row = rm.check_manifold(ClampedLog(2), laws=["distance-to-itself"])["distance-to-itself"]
    assert row.counterexample == "x = [0, 0, 1]"
    assert row.residual == pytest.approx(2 * math.acos(1 - 1e-7), rel=1e-3)


def test_json_and_html_hold_the_rows() -> None:
    report = rm.check_manifold(ProjectedTransport(2), laws=QUICK)
    values = json.loads(report.to_json())
    assert values["subject"] == "ProjectedTransport(2)"
    assert values["ok"] is False
    assert [row["status"] for row in values["rows"]] == ["holds", "broken"]
    assert values["rows"][1]["residual"] == report.rows[1].residual
    page = report._repr_html_()
    assert page == report.to_html()
    assert "<td>transport-isometry</td>" in page
    assert "≤" in page
    assert page.count("<tr>") == 3


def test_json_has_null_for_what_is_no_number() -> None:
    row = Row("a", "b", "skipped", reason="no such thing")
    report = rm.verify.Report("M", (row,), 0, 1.0)
    assert json.loads(report.to_json())["rows"][0]["residual"] is None
    assert "skipped: no such thing" in str(report)


def test_an_expected_failure_does_not_make_the_report_fail() -> None:
    report = rm.check_manifold(ProjectedTransport(2), laws=QUICK, expected_failures={"transport-isometry"})
    assert report.ok
    assert report["transport-isometry"].status == "expected"
    assert "expected to fail" in str(report)
    holds = rm.check_manifold(rm.Sphere(2), laws=QUICK, expected_failures={"transport-isometry"})
    assert holds.ok
    assert "take it out" in str(holds["transport-isometry"].reason)


def test_an_unknown_law_is_refused_with_the_closest_name() -> None:
    with pytest.raises(rm.OptionError, match="did you mean 'triangle-inequality'"):
        rm.check_manifold(rm.Sphere(2), laws=["triangle-inequalty"])
    with pytest.raises(rm.OptionError, match="did you mean 'triangle-inequality'"):
        rm.check_manifold(rm.Sphere(2), laws=QUICK, expected_failures=["triangle-inequalty"])


def test_a_law_of_ones_own_is_tried_like_the_others() -> None:
    def residual(M: rm.Manifold, x: torch.Tensor) -> Residual:
        return Residual(M.dist(x, -x) - 3, torch.tensor(1e-9))

    own = Law("diameter", "d(x, -x) = 3", "π rounded to 3", lambda draw: {"x": draw.points()}, residual)
    report = rm.check_manifold(rm.Sphere(2), laws=[own, "triangle-inequality"])
    assert [row.status for row in report.rows] == ["holds", "broken"]
    assert report["diameter"].residual == pytest.approx(math.pi - 3)


def test_rows_are_shown_as_they_come() -> None:
    seen: list[Row] = []
    report = rm.check_manifold(rm.Sphere(2), laws=QUICK, on_row=seen.append)
    assert tuple(seen) == report.rows


def test_names_and_families_of_laws() -> None:
    names = [law.name for law in LAWS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower().replace(" ", "-") for name in names)
    assert {"metric", "geodesics", "transport", "calculus", "integrals"} <= {law.family for law in LAWS}
    assert not set(names) & {law.family for law in LAWS}
    assert all(law.formula and law.catches for law in LAWS)
