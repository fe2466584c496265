"""Reading text tables: which separator, where the header is, and which line each row came from."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rmatch._errors import DataError
from rmatch.datasets._names import is_known
from rmatch.datasets._tables import Table, position_names, to_number

# Separators that are looked for, the explicit ones first; a blank stands for any run of blanks and tabs.
_SEPARATORS = ("\t", ";", ",", " ")
_COMMENT = ("#", "%")
# How many of the last lines tell the separator: a preamble of any length stands at the top.
_TAIL = 50
# A quoted field over more lines than this is a quotation mark that was never closed.
_MOST_LINES = 100
_UNIT_CELL = re.compile(
    r"[\[(]?(deg|degs|degree|degrees|rad|radians|decimal degrees|°|[nsew]|-*|=*)[\])]?", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


class Record(NamedTuple):
    """One record of a text table and the number of the line on which it begins."""

    line: int
    cells: list[str]


def parse_text(path: Path, text: str) -> Table:
    r"""The table in a text: comma, semicolon, tab or blank separated, with or without comments and a header.

    Lines that begin with # or % are comments. Lines above the header are skipped when they have another number of
    fields than the data. The header is the first line of text cells with as many fields as the data; when there
    is none, the last comment is one if it has that many fields.

    Args:
        path: The file, for the error messages.
        text: Its content.

    Returns:
        The table, cells as text.

    Raises:
        DataError: There are no rows, or a row has another number of fields; the text names the line.

    Example:
        >>> from pathlib import Path
        >>> from rmatch.datasets._text import parse_text
        >>> table = parse_text(Path("a.csv"), "# made by hand\nlat,lon\n1.5,2\n-3,4\n")
        >>> table.names, table.columns, list(table.lines)
        (('lat', 'lon'), (('1.5', '-3'), ('2', '4')), [3, 4])
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator = _separator(lines)
    records = list(_records(path, lines, separator))
    if not records:
        raise DataError(f"{path} holds only comments and blank lines: no header and no rows")
    width = Counter(len(record.cells) for record in records[-_TAIL:]).most_common(1)[0][0]
    start, names = _header(path, records, width)
    if names is None:
        names = _commented_header(lines, records[start].line, separator, width) if start < len(records) else None
    rows = [record for record in records[start:] if any(record.cells)]
    if not rows:
        raise DataError(f"{path} has a header (line {records[start - 1].line}) but no rows below it")
    for record in rows:
        if len(record.cells) != width:
            raise _ragged(path, record, width)
    columns = tuple(zip(*(record.cells for record in rows), strict=True))
    return Table(path, names or position_names(width), columns, tuple(record.line for record in rows), bool(names))


def _records(path: Path, lines: Sequence[str], separator: str) -> Iterator[Record]:
    """The records of a text without comments and blank lines."""
    started: list[int] = []

    def feed() -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith(_COMMENT):
                started.append(number)
                yield (line.strip().replace("\t", " ") if separator == " " else line) + "\n"

    reader = csv.reader(feed(), delimiter=separator, skipinitialspace=True)
    try:
        for cells in reader:
            first = started[0]
            if len(started) > 1:
                quotes = sum(lines[number - 1].count('"') for number in started)
                if quotes % 2 or len(started) > _MOST_LINES:
                    raise DataError(f"{path}, line {first}: a quotation mark is opened here and never closed")
            started.clear()
            yield Record(first, [cell.strip() for cell in cells])
    except csv.Error as error:
        where = started[0] if started else 1
        raise DataError(f"{path}, line {where}: {error}; is a quotation mark left open there?") from error


def _separator(lines: Sequence[str]) -> str:
    """The separator that splits the end of the text into as many fields on every line, numbers among them."""
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith(_COMMENT)][-_TAIL:]
    best, best_score = ",", (False, 0.0, 0.0)
    for separator in _SEPARATORS:
        rows = [_cells(line, separator) for line in kept]
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
        if width < 2:
            continue
        agreeing = [row for row in rows if len(row) == width]
        numbers = sum(_looks_numeric(cell) for row in agreeing for cell in row) / (width * count)
        if separator == " " and best_score[0] and (best_score[1] > 0 or numbers == 0):
            continue  # blanks also stand inside the text cells of a table with another separator
        score = (count >= len(rows) / 2, numbers, count / len(rows))
        if score > best_score:
            best, best_score = separator, score
    return best


def _header(path: Path, records: Sequence[Record], width: int) -> tuple[int, tuple[str, ...] | None]:
    """The index of the first data row, and the names above it if there are any."""
    end = next((i for i, r in enumerate(records) if len(r.cells) == width and _has_number(r)), len(records))
    candidates = [i for i in range(end) if len(records[i].cells) == width and not _is_units(records[i])]
    known = [i for i in candidates if any(is_known(cell) for cell in records[i].cells)]
    if candidates:
        index = (known or candidates)[0]
        start = index + 1
        while start < len(records) and _is_units(records[start]) and start < end:
            start += 1
        return start, tuple(" ".join(cell.split()) for cell in records[index].cells)  # one line each
    if end and width > 2 and len(records[end - 1].cells) == width - 1 and not _has_number(records[end - 1]):
        return end, ("", *records[end - 1].cells)  # R writes row names below a header that does not name them
    for record in records[:end]:
        if all(to_number(cell) is not None for cell in record.cells):
            raise _ragged(path, record, width)
    return end, None


def _commented_header(lines: Sequence[str], first_row: int, separator: str, width: int) -> tuple[str, ...] | None:
    """The names in the last comment above the data, as numpy.savetxt writes them."""
    comments = [line for line in lines[: first_row - 1] if line.lstrip().startswith(_COMMENT)]
    cells = _cells(comments[-1].strip().lstrip("#%").strip(), separator) if comments else []
    if len(cells) != width or any(to_number(cell) is not None or not cell for cell in cells):
        return None
    return tuple(cells)


def _ragged(path: Path, record: Record, width: int) -> DataError:
    """The error for a row with another number of fields than the rest."""
    count = len(record.cells)
    text = f"{path}, line {record.line}: {count} field{'' if count == 1 else 's'} where the other rows have {width}"
    return DataError(f"{text}; correct or remove the line, or begin it with # if it is no data")


def _cells(line: str, separator: str) -> list[str]:
    """The cells of one line."""
    if separator == " ":
        line = line.strip().replace("\t", " ")
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:
        return []


def _looks_numeric(cell: str) -> bool:
    """Whether the cell is a number, be it with a decimal comma (which is then refused by name, not split)."""
    return to_number(cell) is not None or _DECIMAL_COMMA.fullmatch(cell) is not None


def _has_number(record: Record) -> bool:
    return any(_looks_numeric(cell) for cell in record.cells)


def _is_units(record: Record) -> bool:
    """Whether the row gives units or underlines below the names."""
    return all(_UNIT_CELL.fullmatch(cell) for cell in record.cells)
