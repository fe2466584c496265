"""The same list of laws as property tests: hypothesis looks for inputs that break one, and shrinks them.

The default profile takes a quarter of a minute, always the same one; the deep one looks for new counterexamples, among
fifty times as many inputs: `pytest --hypothesis-profile=deep tests/verify/test_property.py`.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rmatch as rm
from rmatch.testing.strategies import law_inputs
from rmatch.verify import LAWS, Law
from rmatch.verify.draw import Draw
from rmatch.verify.subject import Subject

from .gallery import ProjectedTransport

MEMBERS: list[rm.Manifold] = [
    rm.Euclidean(2),
    rm.Torus(2),
    rm.Sphere(2),
    rm.SpecialOrthogonal(3),
    rm.PoincareBall(2),
    rm.Lorentz(2),
    rm.SPD(2),
    rm.Product(rm.Sphere(2), rm.Torus(1)),
]
POINTWISE = [law for law in LAWS if law.family in ("metric", "geodesics", "transport", "calculus")]
INTEGRALS = [law for law in LAWS if law.name in ("divergence-theorem", "integration-by-parts", "green")]


def require(law: Law, M: rm.Manifold, inputs: Mapping[str, Any]) -> None:
    """Fail where a residual exceeds its tolerance, or is not a number."""
    value, tolerance, _ = law.residual(M, **inputs)
    assert bool((value <= tolerance).all()), f"{law.formula} is off by {value} of {tolerance} on {M!r}"


def fewer(parts: int) -> settings:
    """The profile that is loaded, with a part of its examples: each is a batch of eight already."""
    return settings(max_examples=max(1, settings().max_examples // parts))


@pytest.mark.parametrize("law", POINTWISE, ids=lambda law: law.name)
def test_members_obey_the_law_at_points(law: Law) -> None:
    @fewer(5)
    @given(data=st.data(), M=st.sampled_from(MEMBERS))
    def holds(data: st.DataObject, M: rm.Manifold) -> None:
        require(law, M, data.draw(law_inputs(law, M)))

    holds()


@pytest.mark.parametrize("law", INTEGRALS, ids=lambda law: law.name)
@pytest.mark.parametrize("M", [rm.Torus(2), rm.Sphere(2), rm.PoincareBall(2)], ids=repr)
def test_members_obey_the_law_of_integrals(law: Law, M: rm.Manifold) -> None:
    @fewer(20)
    @given(inputs=law_inputs(law, M))
    def holds(inputs: Mapping[str, Any]) -> None:
        require(law, M, inputs)

    holds()


def test_a_broken_law_shrinks_to_the_simplest_inputs() -> None:
    """A projection is no isometry from the first level and seed on: the last inputs that are tried are those."""
    (law,) = (law for law in LAWS if law.name == "transport-isometry")
    M = ProjectedTransport(2)
    tried: list[str] = []

    @settings(database=None)
    @given(inputs=law_inputs(law, M))
    def holds(inputs: Mapping[str, Any]) -> None:
        tried.append(repr(inputs))
        require(law, M, inputs)

    with pytest.raises(AssertionError):
        holds()
    simplest = law.inputs(Draw(Subject(M), seed=0, name="strategy", level=0, rows=8))
    assert tried[-1] == repr(simplest)
