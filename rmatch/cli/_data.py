"""Points by what the user calls them: the name of a built-in data set, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rmatch._errors import DataError, OptionError
from rmatch.datasets import MINIMUM_ROWS, WORDS, Dataset, available, load, read_table
from rmatch.manifolds import FAMILIES, ManifoldSpec, parse_manifold


def asked_manifold(text: str | None) -> ManifoldSpec | None:
    """What `--manifold` says.

    Raises:
        OptionError: It says nothing that is known.
    """
    return None if text is None else parse_manifold(text, WORDS)


def is_built_in(name: str) -> bool:
    """Whether a data set of this name is built in; what has a suffix or a folder in it is a file."""
    path = Path(name)
    return not path.suffix and path.name == name and name in _built_in_names()


def read_points(
    data: str,
    manifold: ManifoldSpec | None,
    columns: Sequence[str] | None,
    unit: str | None,
    *,
    minimum_rows: int = MINIMUM_ROWS,
) -> Dataset:
    """The data set that `data` means.

    Args:
        data: A built-in name, or the path of a table.
        manifold: What it is on, and perhaps how its columns are written; needed for a table.
        columns: The columns of a table, or `None`.
        unit: The unit of a table, or `None`.
        minimum_rows: The fewest rows to accept.

    Raises:
        DataError: There is no such file, or it cannot be read as such a table.
        OptionError: An option is missing or does not fit a built-in data set.
    """
    if is_built_in(data):
        return _built_in(data, manifold, columns, unit)
    path = Path(data)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        names = ", ".join(_built_in_names())
        raise DataError(f"no such file: {data}, and no built-in data set of that name; built in are: {names}")
    if manifold is None:
        if not path.exists():
            raise DataError(f"no such file: {data}")
        raise OptionError(
            f"say what the points of {data} lie on: --manifold sphere (latitude and longitude, or x, y, z), torus "
            f"(angles), or another of {', '.join(FAMILIES[2:])}"
        )
    return read_table(path, manifold, columns=columns, unit=unit, minimum_rows=minimum_rows)


@cache
def _built_in_names() -> tuple[str, ...]:
    return tuple(info.name for info in available())


def _built_in(name: str, manifold: ManifoldSpec | None, columns: Sequence[str] | None, unit: str | None) -> Dataset:
    data = load(name)
    own = data.coordinates.spec
    if manifold is not None and not manifold.covers(own):
        raise OptionError(f"{name} is on the {own.family}, not on {manifold}; leave --manifold out")
    if columns is not None and tuple(columns) != data.columns:
        raise OptionError(f"the columns of {name} are {', '.join(data.columns)}; leave --columns out")
    if unit is not None and unit != data.unit:
        raise OptionError(f"{name} is in {data.unit}; leave --unit out")
    return data
