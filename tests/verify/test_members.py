"""Every member obeys every law; the same list that `rmatch verify` and a user's own suite go through."""

import pytest

import rmatch as rm

MEMBERS: list[rm.Manifold] = [
    rm.Euclidean(1),
    rm.Euclidean(3),
    rm.Lorentz(1),
    rm.Lorentz(2),
    rm.Lorentz(3, curvature=-0.25),
    rm.PoincareBall(1),
    rm.PoincareBall(2),
    rm.PoincareBall(3, curvature=-4.0),
    rm.Sphere(1),
    rm.Sphere(2),
    rm.Sphere(2, radius=3.0),
    rm.SpecialOrthogonal(3),
    rm.Torus(1),
    rm.Torus(2),
    rm.Torus(2, periods=(1.0, 24.0)),
    rm.Product(rm.Sphere(2), rm.Torus(1)),
]


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_members_obey_the_laws(M: rm.Manifold) -> None:
    rm.check_manifold(M).raise_if_failed()


@pytest.mark.parametrize("M", [rm.Sphere(2), rm.Torus(2), rm.Torus(3)], ids=repr)
@pytest.mark.parametrize("law", ["divergence-theorem", "integration-by-parts", "green"])
def test_integrals_are_spectrally_accurate(M: rm.Manifold, law: str) -> None:
    """Relative to the integral of the absolute values."""
    row = rm.check_manifold(M, laws=[law])[law]
    assert row.residual <= row.tolerance <= 1e-10


@pytest.mark.parametrize("M", [rm.Sphere(15), rm.Torus(10)], ids=repr)
@pytest.mark.parametrize("law", ["divergence-theorem", "integration-by-parts", "green"])
def test_integrals_in_many_dimensions_lie_within_their_standard_error(M: rm.Manifold, law: str) -> None:
    """And that error is small enough to see a factor that is missing."""
    row = rm.check_manifold(M, laws=[law])[law]
    assert row.residual <= row.tolerance <= 0.3


@pytest.mark.slow
@pytest.mark.parametrize("M", [*MEMBERS, rm.Sphere(15), rm.Torus(10)], ids=repr)
def test_members_obey_the_laws_thoroughly(M: rm.Manifold) -> None:
    rm.check_manifold(M, seed=1, thorough=True).raise_if_failed()
