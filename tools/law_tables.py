"""Write the tables of laws into docs/verify.md, from the laws as data: `python -m tools.law_tables`.

The tests fail where the page is not what this makes of it.
"""

from __future__ import annotations

import re
from pathlib import Path

from rmatch.verify import LAWS, Law

PAGE = Path(__file__).resolve().parents[1] / "docs" / "verify.md"

_BLOCK = re.compile(r"(<!-- laws: (?P<family>\w+) -->\n).*?(<!-- end of laws -->)", re.DOTALL)


def main() -> None:
    """Bring the page up to date."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")


def with_tables(text: str) -> str:
    """The text with a table of the laws of its family between each pair of markers."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{table(match['family'])}\n\n{match[3]}", text)


def table(family: str) -> str:
    """The laws of a family, one to a line."""
    rows = [_row(law) for law in LAWS if law.family == family]
    return "\n".join(["| law | what it says | what it catches |", "|---|---|---|", *rows])


def _row(law: Law) -> str:
    needs = [need.name for need in law.needs] + (["to be asked for"] if law.thorough else [])
    note = f" Needs {' and '.join(needs)}." if needs else ""
    formula = law.formula.replace("|", "\\|")
    catches = law.catches[0].upper() + law.catches[1:]
    return f"| `{law.name}` | `{formula}` | {catches}.{note} |"


if __name__ == "__main__":
    main()
