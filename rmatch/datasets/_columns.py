"""Which columns of a table are the points' coordinates, and of which kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from rmatch._errors import DataError, OptionError
from rmatch.datasets._names import is_latitude, is_longitude
from rmatch.datasets._tables import Table
from rmatch.datasets.coordinates import (
    KINDS,
    Coordinates,
    LatitudeLongitude,
    Quaternions,
    SymmetricMatrices,
    UnitVectors,
    UpperTriangles,
)
from rmatch.manifolds import Manifold, ManifoldSpec

_HOW = "choose them with columns (--columns), names or positions counted from 1"
_QUATERNION = re.compile(r"(?:q|quat|quaternion|rot|r)?[ _.]?([wxyz])", re.IGNORECASE)


class Choice(NamedTuple):
    """What some columns are: the kind of coordinates, the manifold, and the columns in the order of the coordinates."""

    kind: type[Coordinates]
    manifold: Manifold
    columns: list[int]


def choose_columns(table: Table, spec: ManifoldSpec, wanted: Sequence[str] | None) -> list[Choice]:
    """The kinds of coordinates in a table and their columns.

    Args:
        table: The table.
        spec: The manifold, perhaps with a word for the kind; the table tells a size that it leaves open.
        wanted: Names or positions of the columns; recognised by their names or their number when `None`.

    Returns:
        One choice, or one for each factor of a product.

    Raises:
        DataError: The columns are not there, or not as many as points of the manifold have.
        OptionError: The word is for another manifold.
    """
    chosen = None if wanted is None else [table.find(name) for name in wanted]
    for index in chosen or []:
        if (chosen or []).count(index) > 1:
            raise DataError(f"{table.path}: column {table.names[index]!r} is chosen twice")
    if table.holds_matrices and spec.family not in ("spd", "so3"):
        raise DataError(f"{table.path} holds matrices (rows, n, n), which are read as spd or so3, not as {spec}")
    if spec.factors:
        return _product_choices(table, spec, chosen if chosen is not None else _number_columns(table, str(spec)))
    if spec.family == "sphere":
        return [_sphere_choice(table, spec, chosen)]
    if chosen is None and Quaternions in _kinds(spec):
        chosen = _quaternion_columns(table)
    found = _number_columns(table, str(spec)) if chosen is None else chosen
    return [_choice(table, spec, found)]


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


def _kinds(spec: ManifoldSpec) -> list[type[Coordinates]]:
    """The kinds of columns of a manifold: all of its family, or that of its word."""
    family = [kind for kind in KINDS if kind.family == spec.family]
    named = [kind for kind in family if kind.word in spec.words]
    wrong = [word for word in spec.words if word in {kind.word for kind in KINDS} - {kind.word for kind in family}]
    if wrong:
        words = ", ".join(kind.word for kind in family)
        raise OptionError(f"manifold {str(spec)!r}: {spec.family} has no columns called {wrong[0]!r}, only: {words}")
    if named:
        return named
    return [kind for kind in family if kind is not SymmetricMatrices]  # only where it is said: 36 columns fit both


def _choice(table: Table, spec: ManifoldSpec, columns: list[int]) -> Choice:
    """The kind that has as many columns."""
    if table.holds_matrices:
        spec = spec.with_words("matrix", *spec.words)
    for kind in _kinds(spec):
        size = kind.size(len(columns))
        if size is not None and spec.known_size in (None, size):
            if kind is Quaternions:
                columns = _scalar_first(table, columns)
            return Choice(kind, spec.build(size), columns)
    names = ", ".join(table.names[index] for index in columns[:20]) + (" and more" if len(columns) > 20 else "")
    these = f"these columns are {len(columns)}: {names}"
    raise DataError(f"{table.path}: {_needed(spec, len(columns))}, but {these}; {_HOW}")


def _needed(spec: ManifoldSpec, found: int) -> str:
    """How many columns the points have, for an error message."""
    kinds, size = _kinds(spec), spec.known_size
    if size is not None:
        widths = [f"{kind.width(size)} ({kind.word})" for kind in kinds if kind.width(size) is not None]
        return f"points of {spec.build(size)!r} have {' or '.join(widths)} columns"
    if UpperTriangles in kinds:
        square = SymmetricMatrices.size(found)
        hint = f", or, said by --manifold spd:matrix, all {found} entries" if square else ""
        return f"an upper triangle has 1, 3, 6, 10, 15, ... entries, row by row{hint}"
    return f"points of {spec.family} have {'2 or more' if kinds[0].size(1) is None else '1 or more'} columns"


def _product_choices(table: Table, spec: ManifoldSpec, columns: list[int]) -> list[Choice]:
    """The columns dealt out to the factors in their order, by the one way that uses all of them."""
    options: list[list[tuple[type[Coordinates], int, int]]] = []
    for factor in spec.factors:
        size = factor.known_size
        if size is None:
            raise OptionError(f"say the size of each factor of {str(spec)!r}, for example {factor.family}2")
        widths = ((kind, kind.width(size)) for kind in _kinds(factor))
        options.append([(kind, size, width) for kind, width in widths if width is not None])
    ways = [way for way in product(*options) if sum(width for _, _, width in way) == len(columns)]
    if len(ways) > 1 and _names_tell(table, columns):
        ways = [way for way in ways if _agrees_with_names(table, way, columns)] or ways
    if len(ways) != 1:
        raise DataError(f"{table.path}: {_mismatch(table, spec, options, columns, len(ways))}")
    choices: list[Choice] = []
    for factor, (kind, size, width) in zip(spec.factors, ways[0], strict=True):
        own, columns = columns[:width], columns[width:]
        if kind is LatitudeLongitude:
            own = _latitude_first(table, own)
        if kind is Quaternions:
            own = _scalar_first(table, own)
        choices.append(Choice(kind, factor.build(size), own))
    return choices


def _names_tell(table: Table, columns: list[int]) -> bool:
    """Whether some names are those of geography or of a quaternion."""
    geographic = any(is_latitude(table.names[index]) or is_longitude(table.names[index]) for index in columns)
    return geographic or _quaternion_columns(table) is not None


def _agrees_with_names(table: Table, way: Sequence[tuple[type[Coordinates], int, int]], columns: list[int]) -> bool:
    """Whether latitudes and quaternions stand where their names say, and only there."""
    start = 0
    for kind, _, width in way:
        own = columns[start : start + width]
        start += width
        names = [table.names[index] for index in own]
        geographic = any(is_latitude(name) or is_longitude(name) for name in names)
        if geographic != (kind is LatitudeLongitude) or (_letters(names) is not None) != (kind is Quaternions):
            return False
    return True


def _mismatch(
    table: Table,
    spec: ManifoldSpec,
    options: list[list[tuple[type[Coordinates], int, int]]],
    columns: list[int],
    ways: int,
) -> str:
    """Why the columns cannot be dealt out."""
    parts = [
        f"{' or '.join(f'{width} ({kind.word})' for kind, _, width in choices)} for {factor}"
        for factor, choices in zip(spec.factors, options, strict=True)
    ]
    names = ", ".join(table.names[index] for index in columns)
    if ways:
        return (
            f"{len(columns)} columns can be read as {spec} in {ways} ways ({'; '.join(parts)}); name the kind after "
            "the factor, for example sphere2:xyz or so3:quaternion"
        )
    return f"{spec} takes columns side by side: {'; '.join(parts)}; but these are {len(columns)}: {names}; {_HOW}"


def _sphere_choice(table: Table, spec: ManifoldSpec, chosen: list[int] | None) -> Choice:
    """Latitude and longitude on S², or the dim + 1 coordinates of a vector of the sphere's length."""
    sphere, kinds = spec.build(), _kinds(spec)
    width = sphere.dim + 1
    geographic = LatitudeLongitude in kinds and sphere.dim == 2
    if chosen is not None:
        if geographic and len(chosen) == 2:
            return Choice(LatitudeLongitude, sphere, _latitude_first(table, chosen))
        if UnitVectors in kinds and len(chosen) == width:
            return Choice(UnitVectors, sphere, chosen)
        expected = "2 (latitude, longitude) or 3 (x, y, z)" if sphere.dim == 2 else str(width)
        raise DataError(f"{table.path}: points of {sphere} need {expected} columns, but {len(chosen)} were chosen")
    if sphere.dim != 2:
        numeric = [index for index in range(len(table.names)) if _is_numeric(table, index)]
        if len(numeric) != width:
            raise DataError(
                f"{table.path}: points of {sphere} need {width} number columns, it has {len(numeric)}; {_HOW}"
            )
        return Choice(UnitVectors, sphere, numeric)
    latitudes = [index for index, name in enumerate(table.names) if geographic and is_latitude(name)]
    longitudes = [index for index, name in enumerate(table.names) if geographic and is_longitude(name)]
    if len(latitudes) == 1 and len(longitudes) == 1:
        return Choice(LatitudeLongitude, sphere, [latitudes[0], longitudes[0]])
    if len(latitudes) > 1 or len(longitudes) > 1:
        names = ", ".join(table.names[index] for index in latitudes + longitudes)
        raise DataError(f"{table.path}: several columns may be the latitude or the longitude ({names}); {_HOW}")
    return Choice(UnitVectors, sphere, _xyz_columns(table))


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


def _quaternion_columns(table: Table) -> list[int] | None:
    """The four columns of a quaternion among others, such as those of a position, by their names."""
    matches = [_QUATERNION.fullmatch(name.strip()) for name in table.names]
    prefixes = {name.strip()[:-1] for name, match in zip(table.names, matches, strict=True) if match}
    for prefix in sorted(prefixes, key=len, reverse=True):
        group = [i for i, name in enumerate(table.names) if matches[i] and name.strip()[:-1] == prefix]
        if len(group) == 4:
            return group
    return None


def _letters(names: Sequence[str]) -> str | None:
    """The letters of four names such as qx, qy, qz, qw in their order, or `None` when they are others."""
    matches = [_QUATERNION.fullmatch(name.strip()) for name in names]
    letters = "".join(match[1].casefold() for match in matches if match)
    return letters if len(names) == 4 and sorted(letters) == sorted("wxyz") else None


def _scalar_first(table: Table, columns: list[int]) -> list[int]:
    """Four columns in the order w, x, y, z: by their names where these tell, else as they are."""
    letters = _letters([table.names[index] for index in columns])
    return columns if letters is None else [columns[letters.index(letter)] for letter in "wxyz"]


def _number_columns(table: Table, what: str) -> list[int]:
    """Every column of numbers but row counters."""
    numeric = [index for index in range(len(table.names)) if _is_numeric(table, index)]
    found = [index for index in numeric if table.holds_matrices or not _counts_rows(table, index)]
    if not found:
        raise DataError(f"{table.path} has no column of numbers to take as points of {what}; {table.listing()}; {_HOW}")
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
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ...: an index that a program wrote, not a coordinate."""
    values = table.numbers(index)
    return len(values) > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())
