"""`rmatch verify`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def verify(
    *subjects: str,
    law: Annotated[tuple[str, ...], Parameter(name="--law", negative=())] = (),
    thorough: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    reach: float | None = None,
    as_is: Annotated[bool, Parameter(negative=())] = False,
    output_format: Annotated[Literal["text", "json", "html"], Parameter(name="--format")] = "text",
) -> int:
    """Examine manifolds by the laws of Riemannian geometry.

    All members of the library, in about a minute on two cores:

        rmatch verify

    Some of them, or some laws:

        rmatch verify sphere:2 spd:3:log-euclidean product:sphere2,torus1
        rmatch verify torus:3 --law integration-by-parts --law green

    A manifold of your own, a class or an object in a Python file; for classes that take arguments, with them:

        rmatch verify my_manifolds.py:Cylinder
        rmatch verify my_manifolds.py:Ellipsoid(1.0, 2.0, 3.0)

    Manifolds of geomstats, and of geoopt with the shape of a point:

        rmatch verify geomstats:Hypersphere(2) geoopt:PoincareBall(shape=(2,))

    What they lack or get wrong is supplied, unless they are examined as they are:

        rmatch verify geoopt:Sphere(shape=(3,)) --as-is

    The status is 0 when all laws hold, 1 when one is broken, 2 when a name is unknown.

    Args:
        subjects: The manifolds; all members of the library by default.
        law: A law or a family of laws (metric, geodesics, transport, calculus, integrals, contract, distributions,
            paths); all by default. May be given more than once.
        thorough: Try more cases, and the laws that take long.
        seed: Seed of the inputs.
        reach: How far apart points may be, where a logarithm does not go everywhere.
        as_is: Supply nothing that a manifold of geomstats or geoopt lacks or gets wrong.
        output_format: text, json for an object with a list of reports, or html for a page.
    """
    from rmatch.cli._verify import run_verification

    return run_verification(
        subjects, laws=law, thorough=thorough, seed=seed, reach=reach, as_is=as_is, output_format=output_format
    )
