"""Manifolds that are wrong on purpose are rejected, by the law that names the mistake."""

import pytest

import rmatch as rm

from .gallery import WRONG, Raises

SIZE: dict[type, int] = {rm.SPD: 2}


@pytest.mark.parametrize(("M", "law"), WRONG, ids=lambda value: value if isinstance(value, str) else repr(value))
def test_a_wrong_manifold_is_rejected_by_the_right_law(M: rm.Manifold, law: str) -> None:
    report = rm.check_manifold(M, laws=[law])
    assert not report.ok
    assert report[law].status == "broken"
    with pytest.raises(rm.LawError, match=law):
        report.raise_if_failed()


@pytest.mark.parametrize(("M", "law"), WRONG, ids=lambda value: value if isinstance(value, str) else repr(value))
def test_the_manifold_that_it_derives_from_passes(M: rm.Manifold, law: str) -> None:
    """So it is the mistake that is found, and nothing else."""
    parent = type(M).__bases__[0]
    rm.check_manifold(parent(SIZE.get(parent, M.dim)), laws=[law]).raise_if_failed()


def test_a_method_that_raises_is_a_broken_law_with_the_text_of_the_error() -> None:
    report = rm.check_manifold(Raises(2), laws=["transport", "distance-symmetric"])
    assert report["transport-isometry"].reason == "NotImplementedError: transport is still to be written"
    assert report["distance-symmetric"].ok
