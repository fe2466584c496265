"""docs/accuracy.md holds what `python -m tools.accuracy` measures, and what it measures is good."""

import math

import pytest
import torch

pytest.importorskip("tools.accuracy", reason="the tools are in the repository, not in a release")

from tools.accuracy import measure, page
from tools.accuracy.compact import Rotations, Torus
from tools.accuracy.spaces import SPACES

TEXT = page.PAGE.read_text("utf-8")
EVERY_CASE = {
    (space.title, name, *map(str, case))
    for space in SPACES
    for name, dtype in page.DTYPES.items()
    for case in space.cases(dtype)
}


def test_the_page_has_every_case_and_no_other() -> None:
    assert page.marked(TEXT)
    assert set(page.errors_on(TEXT)) == EVERY_CASE


def test_the_page_shows_no_error_that_is_not_finite_but_of_exp_where_cosh_overflows() -> None:
    for key, errors in page.errors_on(TEXT).items():
        overflows = "hyperboloid" in key[0] and key[2] in ("40", "150")
        for name, error in zip(measure.ERRORS, errors, strict=True):
            assert math.isfinite(error) or (overflows and name == "exp"), (key, name)


def test_errors_are_at_most_twenty_times_what_rounding_the_numbers_does_and_no_worse_than_those_of_peers() -> None:
    """Twenty is for the roundings of a whole formula, an eigendecomposition in it; five for the luck of eight pairs."""
    for key, cells in page.rows_on(TEXT).items():
        floors, ours, *peers = ([float(number) for number in cell.split(" / ")] for cell in cells)
        eps = torch.finfo(page.DTYPES[key[1]]).eps
        for index, name in enumerate(measure.ERRORS):
            best = min((peer[index] for peer in peers if math.isfinite(peer[index])), default=math.inf)
            if math.isfinite(ours[index]):
                assert ours[index] <= 20 * max(floors[index], eps), (key, name)
                assert ours[index] <= 5 * max(best, eps), (key, name)


def test_two_geometries_measured_anew_are_what_the_page_says() -> None:
    found = page.errors_on(TEXT)
    for space in (Torus(), Rotations()):
        now = page.our_errors([space])
        assert now
        assert page.differences({key: found[key] for key in now}, now, factor=4.0) == []


def test_nothing_of_ours_is_infinite_at_coinciding_points_cut_loci_and_equal_eigenvalues() -> None:
    assert page.our_failures() == []


@pytest.mark.slow
def test_the_whole_page_is_what_is_measured_anew() -> None:
    assert page.differences(page.errors_on(TEXT), page.our_errors(), factor=4.0) == []


def test_a_page_that_says_something_else_is_found_out() -> None:
    key, other = ("Torus T²", "float64", "1", "inside"), ("Torus T²", "float64", "3", "inside")
    now = {key: [1e-13, 1e-13, 1e-13, math.nan]}
    assert page.differences(now, now, factor=2.0) == []
    assert page.differences({key: [1.9e-13, 0.6e-13, 1e-13, math.nan]}, now, factor=2.0) == []
    assert page.differences({key: [3e-13, 1e-13, 1e-13, 1.0]}, now, factor=2.0) == [
        "Torus T², float64, 1, inside: dist is 1e-13, the page says 3e-13",
        "Torus T², float64, 1, inside: ∇dist is NaN, the page says 1e+00",
    ]
    assert page.differences({other: now[key]}, now, factor=2.0) == [
        "Torus T², float64, 1, inside: not on the page",
        "Torus T², float64, 3, inside: on the page, but no case",
    ]
    small = {key: [0.0, 1e-17, 4e-16, 0.0]}  # below four roundings all is the same
    assert page.differences(small, {key: [1e-16, 1e-16, 1e-16, 8e-16]}, factor=2.0) == []


def test_tables_go_between_the_marks_and_can_be_read_again() -> None:
    table = (
        "### A\n\n| dtype | case | half a rounding | rmatch |\n|---|---|---|---|\n| float64 | 1 | 0 / 0 | 2e-16 / NaN |"
    )
    text = page.with_tables(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", table)
    assert text == f"before\n{page.BEGIN}\n\n{table}\n\n{page.END}\nafter\n"
    ((key, errors),) = page.errors_on(text).items()
    assert key == ("A", "float64", "1")
    assert errors[0] == 2e-16
    assert math.isnan(errors[1])
