"""The page on the survivors: figures, and each survivor with the reason that a person gave for it."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

BEGIN, END = "<!-- begin of what tools/mutation writes -->", "<!-- end of what tools/mutation writes -->"
REASONS = Path(__file__).with_name("survivors.toml")
_UNEXPLAINED = {"kind": "not explained yet", "why": ""}


def write_page(page: Path, verdicts: Sequence[dict[str, Any]], how: str, places: int) -> None:
    """Put the figures of a run between the two marks of the page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n\n".join([_figures(verdicts, how, places), _by_file(verdicts), *_survivors(verdicts)])
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", "utf-8")


def share(verdicts: Sequence[dict[str, Any]]) -> str:
    """The share of mutants that are killed, with Wilson's 95 % interval."""
    killed = sum(verdict["killed"] for verdict in verdicts)
    low, high = binomtest(killed, len(verdicts)).proportion_ci(method="wilson")
    return f"{killed / len(verdicts):.1%} (95 % interval {low:.1%} to {high:.1%})"


def explained(verdict: dict[str, Any]) -> dict[str, str]:
    """The kind of a survivor and the reason for it, found by the function and the text of the mutated line."""
    reasons = tomllib.loads(REASONS.read_text("utf-8")).get("survivor", []) if REASONS.exists() else []
    keys = ("path", "scope", "after")
    return next((one for one in reasons if all(one[key] == verdict[key] for key in keys)), _UNEXPLAINED)


def _figures(verdicts: Sequence[dict[str, Any]], how: str, places: int) -> str:
    killed = sum(verdict["killed"] for verdict in verdicts)
    kinds = Counter(explained(verdict)["kind"] for verdict in verdicts if not verdict["killed"])
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return (
        f"`{how}` drew {len(verdicts)} mutants from {places} places. Killed: {killed}, that is {share(verdicts)}. "
        f"Survivors: {len(verdicts) - killed}" + (f" ({told})." if told else ".")
    )


def _by_file(verdicts: Sequence[dict[str, Any]]) -> str:
    mutants = Counter(verdict["path"] for verdict in verdicts)
    killed = Counter(verdict["path"] for verdict in verdicts if verdict["killed"])
    rows = [
        f"| `{path}` | {count} | {killed[path]} | {count - killed[path]} |" for path, count in sorted(mutants.items())
    ]
    return "\n".join(["| file | mutants | killed | survivors |", "|---|---:|---:|---:|", *rows])


def _survivors(verdicts: Sequence[dict[str, Any]]) -> list[str]:
    sections: dict[str, list[str]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: (verdict["path"], verdict["line"])):
        if verdict["killed"]:
            continue
        reason = explained(verdict)
        where = f"`{verdict['path']}:{verdict['line']}` in `{verdict['scope'] or 'the module'}`"
        change = f"`{verdict['before']}` becomes `{verdict['after']}`"
        sections.setdefault(reason["kind"], []).append(f"- {where}: {change}. {reason['why']}".rstrip())
    return [f"### Survivors: {kind}\n\n" + "\n".join(rows) for kind, rows in sorted(sections.items())]
