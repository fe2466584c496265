"""Every member obeys every law; the same list that `rmatch verify` and a user's own suite go through."""

import pytest

import rmatch as rm
from rmatch.verify.laws import paths
from rmatch.verify.subject import Subject

MEMBERS: list[rm.Manifold] = [
    rm.Euclidean(3),
    rm.Lorentz(2),
    rm.PoincareBall(2),
    rm.Product(rm.Sphere(2), rm.Torus(1)),
    rm.SPD(2),
    rm.SpecialOrthogonal(3),
    rm.Sphere(2),
    rm.Sphere(2, radius=3.0),
    rm.Torus(2),
]
MORE: list[rm.Manifold] = [
    rm.Euclidean(1),
    rm.Lorentz(1),
    rm.Lorentz(3, curvature=-0.25),
    rm.PoincareBall(1),
    rm.PoincareBall(3, curvature=-4.0),
    rm.Product(rm.Sphere(2), rm.Torus(1), rm.Euclidean(1)),
    rm.SPD(3),
    rm.SPD(3, metric="log-euclidean"),
    rm.SPD(4),
    rm.Sphere(1),
    rm.Sphere(15),
    rm.Torus(1),
    rm.Torus(2, periods=(1.0, 24.0)),
    rm.Torus(10),
]
POINTWISE = ["metric", "geodesics", "transport", "calculus", "contract"]


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_members_obey_the_laws_at_points(M: rm.Manifold) -> None:
    rm.check_manifold(M, laws=POINTWISE).raise_if_failed()


@pytest.mark.parametrize("M", [M for M in MEMBERS if not isinstance(M, rm.SPD)], ids=repr)
def test_members_obey_the_laws_of_integrals_and_distributions(M: rm.Manifold) -> None:
    rm.check_manifold(M, laws=["integrals", "distributions"]).raise_if_failed()


QUICK = (rm.Sphere(2), rm.Torus(1), rm.Euclidean(3))


@pytest.mark.parametrize(
    "M", [*QUICK, *(pytest.param(M, marks=pytest.mark.slow) for M in MEMBERS if M not in QUICK)], ids=repr
)
def test_members_obey_the_laws_of_paths(M: rm.Manifold) -> None:
    rm.check_manifold(M, laws=["paths"]).raise_if_failed()


@pytest.mark.parametrize("M", [*MEMBERS, *MORE], ids=repr)
def test_members_are_tried_on_all_laws_of_paths_that_do_not_take_minutes(M: rm.Manifold) -> None:
    """Pairings of flows on matrices are left to thorough runs: no heat kernel and no spectral rule is known there."""
    subject = Subject(M)
    skipped = {law.name for law in paths.LAWS if any(need.missing(subject) for need in law.needs)}
    on_matrices = {"entropy-rate", "kl-rate", "kl-identity", "cauchy-schwarz"}
    assert skipped == (on_matrices if isinstance(M, rm.SPD) else set())
    thorough = Subject(M, thorough=True)
    assert not any(need.missing(thorough) for law in paths.LAWS for need in law.needs)


@pytest.mark.parametrize("M", [rm.Torus(10), rm.Sphere(15), rm.Torus(4)], ids=repr)
def test_members_of_many_dimensions_obey_the_laws_of_paths_within_the_standard_error(M: rm.Manifold) -> None:
    report = rm.check_manifold(M, laws=["paths"])
    report.raise_if_failed()
    assert report["kl-identity"].tolerance < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("M", MORE, ids=repr)
def test_more_members_obey_the_laws(M: rm.Manifold) -> None:
    rm.check_manifold(M).raise_if_failed()


@pytest.mark.slow
@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_members_obey_all_laws_thoroughly(M: rm.Manifold) -> None:
    rm.check_manifold(M, seed=1, thorough=True).raise_if_failed()


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
    assert row.residual <= row.tolerance <= 0.4


@pytest.mark.parametrize("law", ["integration-by-parts", "green"])
def test_integrals_over_large_matrices_lie_within_their_standard_error(law: str) -> None:
    """Ten dimensions of infinite volume; there the divergence theorem alone has an error as large as its terms."""
    row = rm.check_manifold(rm.SPD(4), laws=[law])[law]
    assert row.residual <= row.tolerance <= 0.4


@pytest.mark.parametrize("M", [rm.Sphere(2), rm.Torus(2), rm.Torus(3), rm.PoincareBall(2), rm.SPD(2)], ids=repr)
def test_the_product_rule_holds_to_twelve_digits(M: rm.Manifold) -> None:
    assert rm.check_manifold(M, laws=["leibniz"])["leibniz"].residual <= 1e-12


@pytest.mark.parametrize("M", [rm.PoincareBall(2), rm.Lorentz(2), rm.SPD(2)], ids=repr)
@pytest.mark.parametrize("law", ["divergence-theorem", "integration-by-parts", "green"])
def test_integrals_of_decaying_functions_are_accurate_where_volume_is_infinite(M: rm.Manifold, law: str) -> None:
    row = rm.check_manifold(M, laws=[law])[law]
    assert row.residual <= row.tolerance <= 1e-8
