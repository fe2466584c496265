"""Manifolds by name."""

import math

import pytest

import rmatch as rm
from rmatch.manifolds import ManifoldSpec, parse_manifold

NAMED = [
    ("sphere", rm.Sphere(2)),
    ("sphere:2", rm.Sphere(2)),
    ("sphere4", rm.Sphere(4)),
    ("Sphere:3:radius=2.5", rm.Sphere(3, radius=2.5)),
    ("torus:3", rm.Torus(3)),
    ("torus2:period=24", rm.Torus(2, periods=24.0)),
    ("torus2:period=24/7", rm.Torus(2, periods=(24.0, 7.0))),
    ("poincare:2", rm.PoincareBall(2)),
    ("poincare3:curvature=-0.25", rm.PoincareBall(3, curvature=-0.25)),
    ("lorentz:2", rm.Lorentz(2)),
    ("spd:3", rm.SPD(3)),
    ("spd:log-euclidean:3", rm.SPD(3, metric="log-euclidean")),
    ("so3", rm.SpecialOrthogonal(3)),
    ("euclidean:2", rm.Euclidean(2)),
    ("product:sphere,torus1", rm.Product(rm.Sphere(2), rm.Torus(1))),
    ("product: spd2:log-euclidean , so3", rm.Product(rm.SPD(2, metric="log-euclidean"), rm.SpecialOrthogonal(3))),
]


@pytest.mark.parametrize(("text", "manifold"), NAMED)
def test_a_text_and_its_manifold_lead_to_each_other(text: str, manifold: rm.Manifold) -> None:
    assert parse_manifold(text).build() == manifold
    written = str(ManifoldSpec.of(manifold))
    assert parse_manifold(written).build() == manifold


@pytest.mark.parametrize(("text", "size", "manifold"), [("torus", 3, rm.Torus(3)), ("spd", 2, rm.SPD(2))])
def test_an_open_size_is_filled_in(text: str, size: int, manifold: rm.Manifold) -> None:
    spec = parse_manifold(text)
    assert spec.known_size is None
    assert spec.build(size) == manifold
    with pytest.raises(rm.OptionError, match=f"say the size of {text}, for example {text}:2"):
        spec.build()


def test_numbers_keep_their_digits() -> None:
    ball = rm.PoincareBall(2, curvature=-1 / 3)
    assert parse_manifold(str(ManifoldSpec.of(ball))).build() == ball
    torus = rm.Torus(2, periods=(2 * math.pi, math.e))
    assert parse_manifold(str(ManifoldSpec.of(torus))).build() == torus


def test_options_that_are_the_defaults_are_not_written() -> None:
    for text in (
        "sphere:radius=1",
        "poincare:2:curvature=-1",
        "spd:2:affine-invariant",
        f"torus2:period={2 * math.pi!r}",
    ):
        assert parse_manifold(text).options == ()


@pytest.mark.parametrize(
    ("asked", "held", "answer"),
    [
        ("sphere", "sphere:2", True),
        ("sphere:3", "sphere:2", False),
        ("torus", "torus:7", True),
        ("torus:7", "torus:7:degrees", True),
        ("so3:quaternion", "so3", False),
        ("so3", "so3:quaternion", True),
        ("poincare", "poincare:2:curvature=-2", False),
        ("poincare", "lorentz:2", False),
        ("product:sphere,torus1", "product:sphere2:latlon,torus1", True),
        ("product:torus1,sphere", "product:sphere2,torus1", False),
        ("product:sphere,torus1", "product:sphere,torus1,torus1", False),
        ("spd:log-euclidean", "spd:3:log-euclidean", True),
        ("spd", "spd:3:log-euclidean", False),
    ],
)
def test_what_was_asked_for_covers_what_there_is(asked: str, held: str, answer: bool) -> None:
    words = ("quaternion", "latlon", "degrees")
    assert parse_manifold(asked, words).covers(parse_manifold(held, words)) == answer


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("spere", "unknown manifold 'spere'; there are: sphere, torus, .*; did you mean 'sphere'"),
        ("hyperbolic", "unknown manifold 'hyperbolic'; there are: .*poincare, lorentz.*the like$"),
        ("so4", "unknown manifold 'so4'; .* did you mean 'so3'"),
        ("so3:4", "rotations are of 3 dimensions here; say so3"),
        ("sphere0", "a sphere has dimension 1 or more"),
        ("", "unknown manifold ''; there are"),
        ("sphere:", "'' is unknown"),
        ("sphere2:3", "a second size '3'; give one, as in sphere:2"),
        ("sphere:radios=2", "sphere has no option 'radios'; did you mean 'radius'"),
        ("so3:radius=2", "so3 has no option 'radius'; it has no options"),
        ("sphere:radius=big", "radius=big is not a number"),
        ("sphere:radius=1/2", "radius=1/2 is not a number"),
        ("sphere:radius=nan", "radius=nan is not a number"),
        ("sphere:radius=2:radius=3", "radius is given twice"),
        ("spd:euclidean", "'euclidean' is unknown; did you mean 'log-euclidean'"),
        ("spd:metric=flat", "no metric 'flat'; there are: affine-invariant, log-euclidean"),
        ("torus:degrees:degrees", "'degrees' is given twice"),
        ("torus:hours", "'hours' is unknown; there are: degrees"),
        ("product", "a product lists its factors"),
        ("product:sphere", "a product lists its factors"),
        ("product:sphere,", "a product lists its factors"),
        ("product:sphere,trous1", "unknown manifold 'trous1'.*did you mean 'torus'"),
        ("product:sphere,product:a", "'product:a' stands within a product"),
    ],
)
def test_a_text_that_names_no_manifold_is_told_why(text: str, error: str) -> None:
    with pytest.raises(rm.OptionError, match=error):
        parse_manifold(text, ["degrees"]).build()
