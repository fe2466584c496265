"""Tables of named columns, as they stand in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rmatch._errors import DataError
from rmatch._names import did_you_mean

FloatArray: TypeAlias = npt.NDArray[np.float64]

_MISSING = frozenset({"", "null", "na", "n/a", "none", "missing", "-", "--", ".", "?"})


@dataclass(frozen=True)
class Table:
    """Columns as they stand in a file: text cells, or numbers where the format has them.

    Args:
        path: The file.
        names: One per column: the header's, or `column_1`, `column_2`, ... without a header.
        columns: Per column its cells, N texts or an `(N,)` array.
        lines: The line of the file on which each row begins, or `None` where the format has no lines.
        has_header: Whether the names come from the file.
        holds_matrices: Whether each row is a square matrix, its entries row by row.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[Sequence[str] | FloatArray, ...]
    lines: Sequence[int] | None
    has_header: bool
    holds_matrices: bool = False
    _cache: dict[int, tuple[FloatArray, npt.NDArray[np.bool_]]] = field(
        default_factory=dict[int, tuple[FloatArray, npt.NDArray[np.bool_]]], init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.columns[0])

    def place(self, row: int, column: int | None = None) -> str:
        """Where a cell is, for an error message.

        Args:
            row: Counted from 0.
            column: Counted from 0; `None` for the whole row.
        """
        line = f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"
        return f"{self.path}, {line}" + ("" if column is None else f", column {self.names[column]!r}")

    def find(self, wanted: str) -> int:
        """The index of a column by its name in the header, or by its position counted from 1.

        Case matters only between two names that are otherwise equal.

        Args:
            wanted: `"latitude"`, or `"3"` for the third column.

        Returns:
            The index, counted from 0.

        Raises:
            DataError: No such column, or more than one; the text lists those that there are.
        """
        exact = [index for index, name in enumerate(self.names) if name == wanted]
        folded = [index for index, name in enumerate(self.names) if name.casefold() == wanted.strip().casefold()]
        found = exact or folded
        if len(found) > 1:
            positions = ", ".join(str(index + 1) for index in found)
            raise DataError(f"{self.path}: columns {positions} are all called {wanted!r}; choose one by its position")
        if found:
            return found[0]
        if wanted.strip().isdecimal() and 1 <= int(wanted) <= len(self.names):
            return int(wanted) - 1
        hint = did_you_mean(wanted, self.names) if self.has_header else "; without a header, give positions from 1"
        raise DataError(f"{self.path} has no column {_shortened(wanted)!r}; {self.listing()}{hint}")

    def listing(self) -> str:
        """The columns that there are, for an error message."""
        shown = ", ".join(_shortened(name) or "(unnamed)" for name in self.names[:20])
        more = f" and {len(self.names) - 20} more" if len(self.names) > 20 else ""
        return f"its columns are: {shown}{more}"

    def number_share(self, column: int) -> float:
        """The share of a column's cells that are numbers.

        Args:
            column: Counted from 0.
        """
        return float(self._parsed(column)[1].mean())

    def numbers(self, column: int) -> FloatArray:
        """A column as finite numbers.

        Args:
            column: Counted from 0.

        Returns:
            `(N,)`.

        Raises:
            DataError: A cell is empty, text, NaN or infinite; the text names its line and column.
        """
        cells = self.columns[column]
        values, is_number = self._parsed(column)
        bad = np.flatnonzero(~(is_number & np.isfinite(values)))
        if not len(bad):
            return values
        row = int(bad[0])
        if not is_number[row]:
            raise DataError(f"{self.place(row, column)}: {_not_a_number(str(cells[row]))}")
        missing = " (or the cell is empty)" if isinstance(cells, np.ndarray) and np.isnan(values[row]) else ""
        what = f"{values[row]} is not a finite number{missing}; correct the row or remove it"
        raise DataError(f"{self.place(row, column)}: {what}")

    def _parsed(self, column: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """A column's numbers and where there are any, parsed once."""
        if column not in self._cache:
            cells = self.columns[column]
            if isinstance(cells, np.ndarray):
                self._cache[column] = cells, np.ones(len(cells), dtype=bool)
            else:
                numbers = [to_number(cell) for cell in cells]
                found = np.array([number is not None for number in numbers])
                self._cache[column] = np.array([0.0 if number is None else number for number in numbers]), found
        return self._cache[column]


def position_names(width: int) -> tuple[str, ...]:
    """The names of columns without a header: `column_1`, `column_2`, ..."""
    return tuple(f"column_{index + 1}" for index in range(width))


def to_number(cell: str) -> float | None:
    """The number in a cell, NaN and infinity included, or `None` when there is none.

    Args:
        cell: The text.

    Example:
        >>> from rmatch.datasets._tables import to_number
        >>> [to_number(cell) for cell in ("-1.5e1", "nan", "12 N", "1_000", "")]
        [-15.0, nan, None, None, None]
    """
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _not_a_number(cell: str) -> str:
    """Why a cell is no number."""
    if cell.casefold() in _MISSING:
        what = f"the cell holds {cell!r}, a missing value" if cell else "the cell is empty"
        return f"{what}; fill it in or remove the row"
    comma = "; write decimals with a point" if cell.count(",") == 1 and to_number(cell.replace(",", ".")) else ""
    return f"{_shortened(cell)!r} is not a number{comma or '; correct the row or remove it'}"


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
