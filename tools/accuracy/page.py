"""The tables of docs/accuracy.md: how they are made, put into the page, and read again."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import mpmath as mp
import torch

from tools.accuracy import measure, peers
from tools.accuracy.space import F32, F64, Space
from tools.accuracy.spaces import SPACES

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
OURS, ROUNDING = "rmatch", "half a rounding"
NOT_FINITE = "Values and derivatives that are not finite"
DTYPES = {"float64": F64, "float32": F32}

Key = tuple[str, ...]  # title, dtype and the case
Errors = dict[Key, list[float]]


# ---- make -----------------------------------------------------------------------------------------------------------


def sections() -> Iterator[str]:
    """The text between the marks, piece by piece."""
    yield f"Measured with {peers.versions()}, on one core."
    for space in SPACES:
        yield f"### {space.title}"
        yield "\n".join(error_table(space))
    yield f"### {NOT_FINITE}"
    yield "\n".join(not_finite_table())


def error_table(space: Space) -> Iterator[str]:
    """The rows of a Markdown table with the errors of all libraries in one geometry."""
    names = [OURS, *peers.theirs(space)]
    yield from header(["dtype", *space.columns, ROUNDING, *names])
    for dtype, case, pairs in cases(space):
        libraries = {OURS: peers.ours(space), **peers.theirs(space)}
        found = [measure.floors(space, pairs), *(measure.worst_errors(space, pairs, libraries[n]) for n in names)]
        yield row([dtype, *map(str, case), *(" / ".join(map(shown, errors)) for errors in found)])


def our_errors(spaces: list[Space] = SPACES) -> Errors:
    """What the column of this library should say."""
    return {
        (space.title, dtype, *map(str, case)): measure.worst_errors(space, pairs, peers.ours(space))
        for space in spaces
        for dtype, case, pairs in cases(space)
    }


def cases(space: Space) -> Iterator[tuple[str, tuple[object, ...], list[measure.Truth]]]:
    """The cases of a geometry in both dtypes, with the truth; peers make their constants in the default dtype."""
    before = torch.get_default_dtype()
    try:
        for name, dtype in DTYPES.items():
            torch.set_default_dtype(dtype)
            with mp.workdps(space.digits):
                for case in space.cases(dtype):
                    yield name, case, measure.truths(space, case, dtype)
    finally:
        torch.set_default_dtype(before)


def not_finite_table() -> Iterator[str]:
    """The rows of a Markdown table with the cases in which some library fails."""
    names = [OURS, *peers.PEERS]
    yield from header(["dtype", "geometry", "pairs", *names])
    for dtype, title, pairs, shares in shares_not_finite(names):
        if any(any(found) for found in shares.values()):
            cells = (" / ".join(f"{100 * share:.0f}" for share in shares[n]) if n in shares else "–" for n in names)
            yield row([dtype, title, pairs, *cells])


def shares_not_finite(names: list[str]) -> Iterator[tuple[str, str, str, dict[str, list[float]]]]:
    """Every hard case with the shares of rows that are not finite, for the libraries that have the geometry."""
    before = torch.get_default_dtype()
    try:
        for name, dtype in DTYPES.items():
            torch.set_default_dtype(dtype)
            for space in SPACES:
                theirs = peers.theirs(space) if set(names) > {OURS} else {}
                for pairs, (x, y) in space.hard(dtype).items():
                    v = space.member.log(x, y)
                    libraries = {OURS: peers.ours(space), **theirs}
                    yield name, space.title, pairs, {n: measure.not_finite(f, x, y, v) for n, f in libraries.items()}
    finally:
        torch.set_default_dtype(before)


def header(columns: list[str]) -> list[str]:
    """The first two lines of a table."""
    return [row(columns), "|---" * len(columns) + "|"]


def row(cells: list[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def shown(error: float) -> str:
    """One digit and the power of ten."""
    return "NaN" if math.isnan(error) else "0" if error == 0 else f"{error:.0e}"


# ---- put in and compare ---------------------------------------------------------------------------------------------


def with_tables(page: str, tables: str) -> str:
    """The page with other tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def errors_on(page: str) -> Errors:
    """The column of this library in every table of errors."""
    return {key: [float(number) for number in cells[1].split(" / ")] for key, cells in rows_on(page).items()}


def rows_on(page: str) -> dict[Key, list[str]]:
    """The cells of every table of errors from `ROUNDING` on: this library's comes second."""
    found: dict[Key, list[str]] = {}
    title, first = "", 0
    for line in page.partition(BEGIN)[2].partition(END)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("### "):
            title = line[4:]
        elif ROUNDING in cells:
            first = cells.index(ROUNDING)
        elif cells[0] in DTYPES and title != NOT_FINITE:
            found[title, *cells[:first]] = cells[first:]
    return found


def differences(page: Errors, now: Errors, factor: float) -> list[str]:
    """What the page says otherwise than by that factor; below four roundings all numbers are the same."""
    found = [f"{', '.join(key)}: on the page, but no case" for key in page.keys() - now.keys()]
    for key, errors in now.items():
        if key not in page:
            found.append(f"{', '.join(key)}: not on the page")
            continue
        least = 4 * torch.finfo(DTYPES[key[1]]).eps
        for name, old, new in zip(measure.ERRORS, page[key], errors, strict=True):
            if math.isnan(old) or math.isnan(new):
                same = math.isnan(old) == math.isnan(new)
            else:
                same = max(old, least) <= factor * max(new, least) and max(new, least) <= factor * max(old, least)
            if not same:
                found.append(f"{', '.join(key)}: {name} is {shown(new)}, the page says {shown(old)}")
    return sorted(found)


def our_failures() -> list[str]:
    """The hard cases in which this library gives what is not finite: there should be none."""
    return [
        f"{dtype}, {title}, {pairs}: not finite in {shares[OURS]} of the values, gradients and second derivatives"
        for dtype, title, pairs, shares in shares_not_finite([OURS])
        if any(shares[OURS])
    ]


def marked(page: str) -> bool:
    """Whether the page has the marks, once each and in order."""
    return re.search(f"{BEGIN}.*{END}", page, re.DOTALL) is not None and page.count(BEGIN) == page.count(END) == 1
