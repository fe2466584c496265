"""The columns in which points are written when no table says how."""

from __future__ import annotations

from collections.abc import Sequence

from rmatch._errors import OptionError
from rmatch.datasets.coordinates.angles import Angles
from rmatch.datasets.coordinates.ball import BallPoints
from rmatch.datasets.coordinates.base import Coordinates
from rmatch.datasets.coordinates.factors import FactorColumns
from rmatch.datasets.coordinates.hyperboloid import HyperboloidPoints
from rmatch.datasets.coordinates.rotations import RotationMatrices
from rmatch.datasets.coordinates.symmetric import SymmetricMatrices
from rmatch.datasets.coordinates.unit_vectors import UnitVectors
from rmatch.datasets.coordinates.vectors import Vectors
from rmatch.manifolds import Manifold, Product

_MEMBERS: tuple[type[Coordinates], ...] = (
    Angles,
    BallPoints,
    HyperboloidPoints,
    RotationMatrices,
    SymmetricMatrices,
    UnitVectors,
    Vectors,
)


def usual_coordinates(manifold: Manifold) -> Coordinates:
    """The columns that hold the entries of a point as rmatch has them: a function of points finds its arguments there.

    Args:
        manifold: A manifold that has a name on the command line.

    Returns:
        The coordinates; angles in radians from 0 to 2π, matrices row by row, the factors of a product side by side.

    Raises:
        OptionError: The manifold has no columns.

    Example:
        >>> import rmatch as rm
        >>> from rmatch.datasets import usual_coordinates
        >>> usual_coordinates(rm.Sphere(2)).columns, usual_coordinates(rm.SPD(2)).columns
        (('x', 'y', 'z'), ('a11', 'a12', 'a21', 'a22'))
        >>> usual_coordinates(rm.Product(rm.Sphere(2), rm.Torus(1))).columns
        ('x_1', 'y_1', 'z_1', 'angle1_2')
    """
    if not isinstance(manifold, Product):
        return _of_factor(manifold, "")
    return FactorColumns.of([_of_factor(factor, f"_{k}") for k, factor in enumerate(manifold.factors, 1)])


def _of_factor(manifold: Manifold, suffix: str) -> Coordinates:
    for member in _MEMBERS:
        names = [f"{name}{suffix}" for name in _names(member, manifold.point_shape)]
        unit = "radians" if member.has_unit(manifold) else None
        ranges = (True,) * len(names) if member is Angles else ()
        try:
            return member(manifold, tuple(names), unit, ranges)
        except OptionError:  # these are columns of another manifold
            continue
    raise OptionError(f"points of {manifold!r} have no columns of their own")


def _names(member: type[Coordinates], shape: Sequence[int]) -> list[str]:
    """Names of the entries of a point."""
    if len(shape) == 2:
        between = "" if max(shape) < 10 else "_"
        return [f"a{i}{between}{j}" for i in range(1, shape[0] + 1) for j in range(1, shape[1] + 1)]
    (count,) = shape
    if member is Angles:
        return [f"angle{k}" for k in range(1, count + 1)]
    first = 0 if member is HyperboloidPoints else 1
    return list("xyz"[:count]) if first and 1 < count <= 3 else [f"x{k}" for k in range(first, count + first)]
