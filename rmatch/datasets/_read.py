"""From a file to points on a manifold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rmatch._errors import DataError, OptionError
from rmatch.datasets._columns import choose_columns, split_names
from rmatch.datasets._coordinates import Coordinates, FloatArray, Kind, Unit
from rmatch.datasets._formats import read_file
from rmatch.datasets._names import did_you_mean
from rmatch.datasets._split import MINIMUM_ROWS
from rmatch.datasets._tables import Table
from rmatch.datasets.base import Dataset
from rmatch.manifolds import Manifold, Sphere, Torus

# Points no farther apart than this are one place: what rounding leaves of equal coordinates.
_SAME = 1e-9


def read_table(
    path: str | os.PathLike[str],
    manifold: Manifold | str,
    *,
    columns: str | Sequence[str] | None = None,
    unit: str | None = None,
    minimum_rows: int = MINIMUM_ROWS,
) -> Dataset:
    r"""Points from a CSV, TSV, blank-separated, .npy or Parquet file.

    Text files may have comments (# or %), any lines above the header, and quoted fields, and need no header.
    On the sphere a latitude and a longitude column are recognised by their usual names, else x, y, z; a torus
    takes every column of numbers. The coordinates of the result write points in the same columns, units and ranges.

    Args:
        path: The file.
        manifold: `"sphere"` for S², `"torus"` for as many angles as there are columns, or a `Sphere` or `Torus`.
        columns: The columns to take, by header text, or by position counted from 1 (`"3"`; a table without a header
            also has the names `column_1`, ...). A text is split at its commas. Of two columns on the sphere the
            latitude is first, unless their names say otherwise.
        unit: `"degrees"` or `"radians"`. When left out, latitudes and longitudes are in degrees (refused when all of
            them could be radians), and torus angles in degrees when one is larger than 2π.
        minimum_rows: The fewest rows to accept; 10 make an 80/10/10 split possible. With 1, for a table to evaluate
            on, equal rows are accepted too.

    Returns:
        The data set.

    Raises:
        DataError: The file is missing or cannot be read as such a table; the text names line and column.
        OptionError: The manifold or the unit is unknown, or the columns are not a list of names.
        DependencyError: The file is Parquet and polars is not installed.

    Example:
        >>> import pathlib, tempfile
        >>> from rmatch.datasets import read_table
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "sites.csv"
        >>> rows = "".join(f"{latitude},{2 * latitude}\n" for latitude in range(12))
        >>> _ = path.write_text("# sites\nlat,long\n" + rows)
        >>> data = read_table(path, "sphere")
        >>> data.manifold, data.columns, data.unit, data.points.shape
        (Sphere(2), ('lat', 'long'), 'degrees', torch.Size([12, 3]))
    """
    target = _resolve(manifold)
    names = split_names(columns)
    if unit not in (None, "degrees", "radians"):
        raise OptionError(
            f"unknown unit {unit!r}; say 'degrees' or 'radians'{did_you_mean(unit, ['degrees', 'radians'])}"
        )
    table = read_file(path)
    kind, indices = choose_columns(table, target, names)
    values = np.stack([table.numbers(index) for index in indices], axis=-1)
    if kind == "xyz" and unit is not None:
        raise OptionError(f"{table.path} holds unit vectors, which have no unit; leave out unit={unit!r}")
    found = None if kind == "xyz" else unit if unit else _unit(table, kind, indices, values)
    coordinates = Coordinates.of_table(kind, _unique_names(table, indices), found, values)
    if (problem := coordinates.problem(values)) is not None:
        column = None if problem.column is None else indices[problem.column]
        raise DataError(f"{table.place(problem.row, column)}: {problem.message}")
    if len(values) < minimum_rows:
        rows = f"{len(values)} row{'' if len(values) == 1 else 's'}"
        raise DataError(f"{table.path} has only {rows}; at least {minimum_rows} are needed")
    points = coordinates.to_points(values)
    if minimum_rows > 1 and float(coordinates.manifold.dist(points[:1], points).max()) < _SAME:
        raise DataError(f"{table.path}: all {len(points)} rows are the same point; a density needs points that differ")
    name = Path(path).stem
    return Dataset(name, coordinates.manifold, points, coordinates, source=str(path), licence="not stated")


def _resolve(manifold: Manifold | str) -> Manifold | type[Manifold]:
    """The manifold that is meant; `Torus` itself when the table decides its dimension."""
    if isinstance(manifold, str):
        known: dict[str, Manifold | type[Manifold]] = {"sphere": Sphere(2), "torus": Torus}
        if manifold.casefold() not in known:
            hint = did_you_mean(manifold, known)
            raise OptionError(f"unknown manifold {manifold!r}: tables are read as 'sphere' or 'torus'{hint}")
        return known[manifold.casefold()]
    if not isinstance(manifold, Sphere | Torus):
        raise OptionError(f"tables are read as points of a sphere or a torus, not of {manifold!r}")
    if manifold != type(manifold)(manifold.dim):
        raise OptionError(
            f"tables are read as unit vectors or angles in radians, not as points of {manifold!r}; scale the points "
            f"of {type(manifold)(manifold.dim)!r} yourself"
        )
    return manifold


def _unit(table: Table, kind: Kind, indices: Sequence[int], values: FloatArray) -> Unit:
    """The unit of the angles when the user named none."""
    turn = 2 * np.pi + 1e-6
    if kind == "angles":
        return "degrees" if bool((np.abs(values) > turn).any()) else "radians"
    if len(values) >= MINIMUM_ROWS and bool((np.abs(values) <= (turn / 4, turn)).all()):
        names = " and ".join(repr(table.names[index]) for index in indices)
        raise DataError(
            f"{table.path}: columns {names} could be in radians (none is larger than pi/2 and 2 pi); "
            "say unit='radians' or unit='degrees' (--unit)"
        )
    return "degrees"


def _unique_names(table: Table, indices: Sequence[int]) -> list[str]:
    """The chosen columns' names; by position where the header leaves one empty or repeats it."""
    names = [table.names[index] for index in indices]
    return [
        name if name and names.count(name) == 1 else f"column_{index + 1}"
        for name, index in zip(names, indices, strict=True)
    ]
