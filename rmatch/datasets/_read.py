"""From a file to points on a manifold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rmatch._errors import DataError, OptionError
from rmatch._names import did_you_mean
from rmatch.datasets._columns import Choice, choose_columns, split_names
from rmatch.datasets._formats import read_file
from rmatch.datasets._split import MINIMUM_ROWS
from rmatch.datasets._tables import Table
from rmatch.datasets.base import Dataset
from rmatch.datasets.coordinates import (
    UNITS,
    WORDS,
    AxisAngles,
    Coordinates,
    FactorColumns,
    FloatArray,
    LatitudeLongitude,
    Unit,
)
from rmatch.manifolds import Manifold, ManifoldSpec, parse_manifold

# Points no farther apart than this are one place: what rounding leaves of equal coordinates.
_SAME = 1e-9


def read_table(
    path: str | os.PathLike[str],
    manifold: Manifold | ManifoldSpec | str,
    *,
    columns: str | Sequence[str] | None = None,
    unit: str | None = None,
    minimum_rows: int = MINIMUM_ROWS,
) -> Dataset:
    r"""Points from a CSV, TSV, blank-separated, .npy or Parquet file.

    Text files may have comments (# or %), any lines above the header, and quoted fields, and need no header.
    On the sphere a latitude and a longitude column are recognised by their usual names, else x, y, z; elsewhere
    every column of numbers is taken, and their number tells the manifold's size and what they are:

    - `torus`: angles; `poincare`: the ball's coordinates; `lorentz`: the hyperboloid's, the time first;
    - `spd`: the upper triangle row by row, or a .npy file of matrices `(N, n, n)`;
    - `so3`: a quaternion w, x, y, z, axis times angle, or the nine entries of a matrix, also a .npy of `(N, 3, 3)`;
    - a product: the columns of its factors side by side.

    The coordinates of the result write points in the same columns, units and ranges.

    Args:
        path: The file.
        manifold: A manifold, or its name as `parse_manifold` reads it: `"sphere"` for S², `"torus"` for as many angles
            as there are columns, `"product:sphere2,torus1"`. After the name may stand what the columns are
            (`"so3:axis-angle"`, `"sphere:xyz"`) and their unit.
        columns: The columns to take, by header text, or by position counted from 1 (`"3"`; a table without a header
            also has the names `column_1`, ...). A text is split at its commas. Of two columns on the sphere the
            latitude is first, and of four of a quaternion the scalar, unless their names say otherwise.
        unit: `"degrees"` or `"radians"`. When left out, latitudes and longitudes are in degrees (refused when all of
            them could be radians), and other angles in degrees when one is larger than 2π.
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
    spec = _spec(manifold)
    names = split_names(columns)
    if unit is not None and unit not in UNITS:
        raise OptionError(f"unknown unit {unit!r}; say 'degrees' or 'radians'{did_you_mean(unit, UNITS)}")
    table = read_file(path)
    choices = choose_columns(table, spec, names)
    _require_use(table, choices, unit)
    parts: list[Coordinates] = []
    for choice, part in zip(choices, spec.factors or (spec,), strict=True):
        values = np.stack([table.numbers(index) for index in choice.columns], axis=-1)
        found = _unit(table, choice, unit or next((word for word in UNITS if word in part.words), None), values)
        parts.append(choice.kind.of_table(choice.manifold, _unique_names(table, choice.columns), found, values))
    coordinates = FactorColumns.of(parts) if spec.factors else parts[0]
    points = _points(table, coordinates, [index for choice in choices for index in choice.columns], minimum_rows)
    return Dataset(Path(path).stem, coordinates.manifold, points, coordinates, source=str(path), licence="not stated")


def _spec(manifold: Manifold | ManifoldSpec | str) -> ManifoldSpec:
    if isinstance(manifold, str):
        return parse_manifold(manifold, WORDS)
    return manifold if isinstance(manifold, ManifoldSpec) else ManifoldSpec.of(manifold)


def _points(table: Table, coordinates: Coordinates, indices: Sequence[int], minimum_rows: int) -> torch.Tensor:
    """The points of all rows, once every row is one and there are enough."""
    values = np.stack([table.numbers(index) for index in indices], axis=-1)
    if (problem := coordinates.problem(values)) is not None:
        column = None if problem.column is None else indices[problem.column]
        raise DataError(f"{table.place(problem.row, column)}: {problem.message}")
    if len(values) < minimum_rows:
        rows = f"{len(values)} row{'' if len(values) == 1 else 's'}"
        raise DataError(f"{table.path} has only {rows}; at least {minimum_rows} are needed")
    points = coordinates.to_points(values)
    if minimum_rows > 1 and float(coordinates.manifold.dist(points[:1], points).max()) < _SAME:
        raise DataError(f"{table.path}: all {len(points)} rows are the same point; a density needs points that differ")
    return points


def _require_use(table: Table, choices: Sequence[Choice], unit: str | None) -> None:
    """Raise OptionError for a unit where no column has one."""
    if unit is not None and not any(choice.kind.has_unit(choice.manifold) for choice in choices):
        nouns = " and ".join(dict.fromkeys(choice.kind.noun for choice in choices))
        raise OptionError(f"{table.path} holds {nouns}, which have no unit; leave out unit={unit!r}")


def _unit(table: Table, choice: Choice, said: str | None, values: FloatArray) -> Unit | None:
    """The unit of some columns: none, the one that was said, or what their values tell."""
    if not choice.kind.has_unit(choice.manifold):
        return None
    if said is not None:
        return "degrees" if said == "degrees" else "radians"
    turn = 2 * np.pi + 1e-6
    if choice.kind is not LatitudeLongitude:
        sizes = np.linalg.norm(values, axis=1) if choice.kind is AxisAngles else np.abs(values)
        return "degrees" if bool((sizes > turn).any()) else "radians"
    if len(values) >= MINIMUM_ROWS and bool((np.abs(values) <= (turn / 4, turn)).all()):
        names = " and ".join(repr(table.names[index]) for index in choice.columns)
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
