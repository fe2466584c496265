"""Which columns of a table are the points' coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmatch._errors import DataError, OptionError
from rmatch.datasets._coordinates import Kind
from rmatch.datasets._names import is_latitude, is_longitude
from rmatch.datasets._tables import Table
from rmatch.manifolds import Manifold, Sphere, Torus

_HOW = "choose them with columns (--columns), names or positions counted from 1"


def choose_columns(
    table: Table, manifold: Manifold | type[Manifold], wanted: Sequence[str] | None
) -> tuple[Kind, list[int]]:
    """The kind of coordinates in a table and their columns, in the order of the coordinates.

    Args:
        table: The table.
        manifold: A sphere, a torus, or the class `Torus` when the table decides how many angles there are.
        wanted: Names or positions of the columns; recognised by their names or their number when `None`.

    Returns:
        The kind, and the indices of its columns (the latitude's first).

    Raises:
        DataError: The columns are not there, or not as many as the manifold has coordinates.
    """
    chosen = None if wanted is None else [table.find(name) for name in wanted]
    for index in chosen or []:
        if (chosen or []).count(index) > 1:
            raise DataError(f"{table.path}: column {table.names[index]!r} is chosen twice")
    if isinstance(manifold, Sphere):
        return _sphere_columns(table, manifold, chosen)
    found = _angle_columns(table) if chosen is None else chosen
    if isinstance(manifold, Torus) and len(found) != manifold.dim:
        names = ", ".join(table.names[index] for index in found)
        raise DataError(
            f"{table.path}: {manifold} has {manifold.dim} angles, but these columns are {len(found)}: {names}; {_HOW}"
        )
    return "angles", found


def split_names(columns: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """The columns as a tuple; a single text is split at its commas, as on the command line.

    Args:
        columns: What the user gave.

    Returns:
        The names, or `None` when none were given.

    Raises:
        OptionError: The list is empty, or a name stands in it twice.
    """
    if columns is None:
        return None
    parts = columns.split(",") if isinstance(columns, str) else [str(name) for name in columns]
    names = tuple(part.strip() for part in parts)
    if not all(names) or not names:
        raise OptionError(f"columns={columns!r} has an empty name in it; give names like 'latitude,longitude'")
    if len(set(names)) < len(names):
        raise OptionError(f"columns={columns!r} names a column twice")
    return names


def _sphere_columns(table: Table, sphere: Sphere, chosen: list[int] | None) -> tuple[Kind, list[int]]:
    """Latitude and longitude on S², or the dim + 1 coordinates of a unit vector."""
    width = sphere.dim + 1
    if chosen is not None:
        if sphere.dim == 2 and len(chosen) == 2:
            return "latlon", _latitude_first(table, chosen)
        if len(chosen) == width:
            return "xyz", chosen
        expected = "2 (latitude, longitude) or 3 (x, y, z)" if sphere.dim == 2 else str(width)
        raise DataError(f"{table.path}: points of {sphere} need {expected} columns, but {len(chosen)} were chosen")
    if sphere.dim != 2:
        numeric = [index for index in range(len(table.names)) if _is_numeric(table, index)]
        if len(numeric) != width:
            raise DataError(
                f"{table.path}: points of {sphere} need {width} number columns, it has {len(numeric)}; {_HOW}"
            )
        return "xyz", numeric
    latitudes = [index for index, name in enumerate(table.names) if is_latitude(name)]
    longitudes = [index for index, name in enumerate(table.names) if is_longitude(name)]
    if len(latitudes) == 1 and len(longitudes) == 1:
        return "latlon", [latitudes[0], longitudes[0]]
    if len(latitudes) > 1 or len(longitudes) > 1:
        names = ", ".join(table.names[index] for index in latitudes + longitudes)
        raise DataError(f"{table.path}: several columns may be the latitude or the longitude ({names}); {_HOW}")
    return "xyz", _xyz_columns(table)


def _xyz_columns(table: Table) -> list[int]:
    """Columns x, y, z by their names, or the three number columns of a table without a header."""
    names = [name.casefold() for name in table.names]
    if all(names.count(name) == 1 for name in "xyz"):
        return [names.index(name) for name in "xyz"]
    numeric = [index for index in range(len(table.names)) if _is_numeric(table, index)]
    if not table.has_header and len(numeric) == 3:
        return numeric
    what = "neither latitude and longitude nor x, y, z are among its columns"
    if not table.has_header:
        what = f"it has no header, and {len(numeric)} number column{'' if len(numeric) == 1 else 's'}, not x, y, z"
    example = ",".join(str(index + 1) for index in numeric) if len(numeric) == 2 else "1,2"
    raise DataError(
        f"{table.path}: {what}; {_HOW}, for example columns='{example}' (latitude first); {table.listing()}"
    )


def _latitude_first(table: Table, chosen: list[int]) -> list[int]:
    """Two chosen columns in the order latitude, longitude: by their names where one tells, else as they were given."""
    first, second = (table.names[index] for index in chosen)
    swapped = is_longitude(first) or is_latitude(second) or (first.casefold(), second.casefold()) == ("x", "y")
    if swapped and not is_latitude(first) and not is_longitude(second):
        return [chosen[1], chosen[0]]
    return chosen


def _angle_columns(table: Table) -> list[int]:
    """Every column of numbers but row counters."""
    numeric = [index for index in range(len(table.names)) if _is_numeric(table, index)]
    found = [index for index in numeric if not _counts_rows(table, index)]
    if not found:
        raise DataError(f"{table.path} has no column of numbers to take as angles; {table.listing()}; {_HOW}")
    return found


def _is_numeric(table: Table, index: int) -> bool:
    """Whether a column holds numbers. One that mostly does has a mistake in it, and is not passed over in silence."""
    share = table.number_share(index)
    if 0.5 < share < 1:
        try:
            table.numbers(index)
        except DataError as error:
            raise DataError(f"{error}; or leave the column out: {_HOW}") from None
    return share == 1


def _counts_rows(table: Table, index: int) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ...: an index that a program wrote, not an angle."""
    values = table.numbers(index)
    return len(values) > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())
