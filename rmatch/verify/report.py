"""The result of an examination: one row for each law, as text, as HTML, as JSON, or as an error."""

from __future__ import annotations

import html
import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

from rmatch._errors import LawError

__all__ = ["Report", "Row", "Status"]

Status = Literal["holds", "broken", "expected", "skipped"]

_MARKS: dict[Status, str] = {"holds": "✓", "broken": "✗", "expected": "~", "skipped": "–"}


@dataclass(frozen=True)
class Row:
    """What became of one law.

    Args:
        law: Its name.
        formula: Its formula.
        status: `holds`, `broken`, `expected` (broken, as was said beforehand) or `skipped`.
        residual: By how much it is missed, in the instance that misses it by the most for its tolerance; NaN where it
            could not be computed.
        tolerance: By how much it may be missed in that instance.
        cases: How many inputs were tried.
        seconds: How long it took.
        counterexample: The simplest inputs found for which it is broken.
        reason: Why it was skipped, or the error that was raised.
    """

    law: str
    formula: str
    status: Status
    residual: float = math.nan
    tolerance: float = math.nan
    cases: int = 0
    seconds: float = 0.0
    counterexample: str | None = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it is not broken, or was expected to be."""
        return self.status != "broken"

    def __str__(self) -> str:
        """One line; for a broken law the formula and the counterexample follow."""
        head = f"{_MARKS[self.status]} {self.law:<{_WIDTH}} "
        if self.status == "skipped":
            return f"{head}skipped: {self.reason}"
        if self.status == "broken" and self.reason is not None:
            text = f"{head}{self.reason}"
        else:
            text = f"{head}{self.residual:8.1e} of {self.tolerance:.1e}"
        if self.status == "expected":
            return f"{text}   expected to fail"
        if self.status == "holds" and self.reason is not None:
            return f"{text}   {self.reason}"
        if self.status == "broken":
            text += f"\n    {self.formula}"
            text += f"\n    for {self.counterexample}" if self.counterexample is not None else ""
        return text


_WIDTH = 32


@dataclass(frozen=True)
class Report:
    """The laws that were tried on a subject, and what became of each.

    Args:
        subject: What was examined, as its constructor call.
        rows: One for each law.
        seed: Seed of the inputs; the same seed gives the same report.
        seconds: How long it took.
    """

    subject: str
    rows: tuple[Row, ...]
    seed: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether no law is broken that was not expected to be."""
        return all(row.ok for row in self.rows)

    @property
    def broken(self) -> tuple[Row, ...]:
        """The rows of the broken laws."""
        return tuple(row for row in self.rows if not row.ok)

    def __getitem__(self, law: str) -> Row:
        """The row of a law, by its name."""
        for row in self.rows:
            if row.law == law:
                return row
        raise KeyError(law)

    def raise_if_failed(self) -> None:
        """Raise where a law is broken.

        Raises:
            LawError: The text is that of the broken rows.
        """
        if not self.ok:
            broken = "\n".join(map(str, self.broken))
            raise LawError(f"{self.subject} breaks {_count(len(self.broken), 'law')}:\n{broken}")

    def summary(self) -> str:
        """One line: how many laws hold, are broken, were skipped."""
        counts = {status: sum(row.status == status for row in self.rows) for status in _MARKS}
        parts = [f"{_count(counts['holds'], 'law')} hold{'s' if counts['holds'] == 1 else ''}"]
        parts += [f"{counts['broken']} broken"] if counts["broken"] else []
        parts += [f"{counts['expected']} broken as expected"] if counts["expected"] else []
        parts += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
        return f"{self.subject}: {', '.join(parts)} ({self.seconds:.1f} s)"

    def __str__(self) -> str:
        """A line for each law after the summary."""
        return "\n".join([self.summary(), *(f"  {line}" for row in self.rows for line in str(row).split("\n"))])

    def to_json(self) -> str:
        """The report as a JSON object; numbers that are not finite are null."""
        rows = [
            {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in {**asdict(row), "ok": row.ok}.items()
            }
            for row in self.rows
        ]
        values = {"subject": self.subject, "ok": self.ok, "seed": self.seed, "seconds": self.seconds, "rows": rows}
        return json.dumps(values, indent=2, ensure_ascii=False)

    def to_html(self) -> str:
        """The report as an HTML table, for a page or a notebook."""
        head = "".join(f"<th>{name}</th>" for name in ("", "law", "formula", "residual", "tolerance", "remark"))
        body = "".join(_html_row(row) for row in self.rows)
        return f"<p>{html.escape(self.summary())}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _repr_html_(self) -> str:
        return self.to_html()


def _html_row(row: Row) -> str:
    remark = row.reason or (f"for {row.counterexample}" if row.counterexample else "")
    numbers = ["" if math.isnan(value) else f"{value:.1e}" for value in (row.residual, row.tolerance)]
    cells = [_MARKS[row.status], row.law, row.formula, *numbers, remark]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
