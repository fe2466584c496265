"""Kinds of columns: what they mean as points of a manifold, one member for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rmatch._errors import DataError, OptionError
from rmatch.datasets.coordinates.angles import Angles
from rmatch.datasets.coordinates.ball import BallPoints
from rmatch.datasets.coordinates.base import Coordinates, FloatArray, Problem, Unit
from rmatch.datasets.coordinates.factors import FactorColumns
from rmatch.datasets.coordinates.hyperboloid import HyperboloidPoints
from rmatch.datasets.coordinates.latitude_longitude import LatitudeLongitude
from rmatch.datasets.coordinates.rotations import AxisAngles, Quaternions, RotationMatrices
from rmatch.datasets.coordinates.symmetric import SymmetricMatrices, UpperTriangles
from rmatch.datasets.coordinates.unit_vectors import UnitVectors
from rmatch.datasets.coordinates.usual import usual_coordinates
from rmatch.datasets.coordinates.vectors import Vectors
from rmatch.manifolds import parse_manifold

__all__ = [
    "KINDS",
    "UNITS",
    "WORDS",
    "Angles",
    "AxisAngles",
    "BallPoints",
    "Coordinates",
    "FactorColumns",
    "FloatArray",
    "HyperboloidPoints",
    "LatitudeLongitude",
    "Problem",
    "Quaternions",
    "RotationMatrices",
    "SymmetricMatrices",
    "Unit",
    "UnitVectors",
    "UpperTriangles",
    "Vectors",
    "coordinates_from_dict",
    "usual_coordinates",
]

UNITS = ("degrees", "radians")

KINDS: tuple[type[Coordinates], ...] = (
    LatitudeLongitude,
    UnitVectors,
    Angles,
    BallPoints,
    HyperboloidPoints,
    UpperTriangles,
    SymmetricMatrices,
    Quaternions,
    AxisAngles,
    RotationMatrices,
    Vectors,
)
"""The kinds of columns; where a manifold has several that fit, the first is the usual one."""

WORDS = (*dict.fromkeys(kind.word for kind in KINDS), *UNITS)
"""What may stand after a manifold's name to say how its points are written."""


def coordinates_from_dict(values: Mapping[str, Any]) -> Coordinates:
    """The coordinates that `Coordinates.to_dict` wrote.

    Args:
        values: What `to_dict` returned, for example after a trip through a JSON file.

    Returns:
        The coordinates.

    Raises:
        DataError: A field is missing or of the wrong type.
        OptionError: The fields do not fit together.

    Example:
        >>> from rmatch.datasets import coordinates_from_dict
        >>> stored = {"kind": "quaternion", "columns": ["w", "x", "y", "z"], "unit": None, "nonnegative": []}
        >>> coordinates_from_dict(stored).manifold
        SpecialOrthogonal(3)
    """
    if values.get("kind") == FactorColumns.kind:
        parts = values.get("parts")
        if not _all_of(parts, dict) or not parts:
            raise DataError(f"stored coordinates of a product have parts {parts!r}, expected a list of coordinates")
        return FactorColumns.of([coordinates_from_dict(part) for part in cast("list[dict[str, Any]]", parts)])
    missing = [name for name in ("kind", "columns", "unit", "nonnegative") if name not in values]
    if missing:
        raise DataError(f"stored coordinates have no {missing[0]!r}; they were not written by Coordinates.to_dict")
    columns, ranges = values["columns"], values["nonnegative"]
    if not _all_of(columns, str) or not _all_of(ranges, bool):
        raise DataError(f"stored coordinates have columns {columns!r} and ranges {ranges!r}, expected two lists")
    members = {member.kind: member for member in KINDS}
    if values["kind"] not in members:
        kinds = ", ".join((*members, FactorColumns.kind))
        raise OptionError(f"coordinates of an unknown kind {values['kind']!r}; the kinds are {kinds}")
    member: Any = members[values["kind"]]
    fields = {"unit": values["unit"], "nonnegative": tuple(ranges)}
    if "manifold" not in values:
        return member.of_width(columns, **fields)
    return member(parse_manifold(str(values["manifold"])).build(), tuple(columns), **fields)


def _all_of(values: object, kind: type) -> bool:
    """Whether the value is a list or tuple of that type."""
    return isinstance(values, list | tuple) and all(isinstance(value, kind) for value in cast("list[Any]", values))
