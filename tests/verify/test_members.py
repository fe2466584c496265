"""Every member obeys every law; the same list that `rmatch verify` and a user's own suite go through."""

import pytest

import rmatch as rm

MEMBERS: list[rm.Manifold] = [
    rm.Euclidean(1),
    rm.Euclidean(3),
    rm.Sphere(1),
    rm.Sphere(2),
    rm.Torus(1),
    rm.Torus(2),
]


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_members_obey_the_laws(M: rm.Manifold) -> None:
    rm.check_manifold(M).raise_if_failed()


@pytest.mark.slow
@pytest.mark.parametrize("M", [*MEMBERS, rm.Sphere(15), rm.Torus(10)], ids=repr)
def test_members_obey_the_laws_thoroughly(M: rm.Manifold) -> None:
    rm.check_manifold(M, seed=1, thorough=True).raise_if_failed()
