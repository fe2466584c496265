"""The page that `rmatch compare` writes: one file of HTML with its picture inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #262626; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: 0.3rem 1rem 0.3rem 0; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
"""


def comparison_page(title: str, numbers: Mapping[str, Any], picture: bytes) -> str:
    """The page.

    Args:
        title: Its heading.
        numbers: What `comparison.json` holds.
        picture: A PNG.
    """
    image = base64.b64encode(picture).decode("ascii")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{html.escape(title)}</h1>",
            f"<p>{numbers['rows']:,} rows on {html.escape(numbers['manifold'])}. One network from the same first "
            "weights, the same split and the same time for each objective. NLL in nats, lower is better.</p>",
            _table(_SCORES_HEAD, _scores(numbers)),
            f'<img alt="The comparison as a picture" src="data:image/png;base64,{image}">',
            "<h2>How the trained flows differ</h2>",
            "<p>All three numbers are expectations under the first path and differ only in what is paired: velocity "
            "with score (the rate of KL), score with score, velocity with velocity. Errors are standard errors.</p>",
            _table(_PAIRINGS_HEAD, _pairings(numbers)),
            "<h2>Where each one fails</h2>",
            "<ul>",
            *(f"<li>{line}</li>" for line in _failures(numbers["objectives"])),
            "</ul>",
            "</body></html>\n",
        ]
    )


_SCORES_HEAD = ("", "test NLL", "steps", "ms per step", "evaluations to solve", "samples away from the data")
_PAIRINGS_HEAD = ("", "KL by densities", "KL by the identity", "score matching", "flow matching")


def _scores(numbers: Mapping[str, Any]) -> list[list[str]]:
    rows: list[list[str]] = []
    for one in numbers["objectives"]:
        test = one["test"] or {}
        rows.append(
            [
                one["name"],
                _with_error(test.get("nll"), test.get("nll_stderr")),
                f"{one['steps']:,}",
                f"{one['milliseconds_per_step']:.3g}",
                str(test.get("nfe", "–")),
                _share(one["samples_astray"]),
            ]
        )
    base = numbers["baselines"]
    rows.append(["kernel density estimate", _with_error(base["kernel_density"], base["kernel_density_stderr"])])
    rows.append(["uniform density", _with_error(base["uniform"], None)])
    return rows


def _pairings(numbers: Mapping[str, Any]) -> list[list[str]]:
    names = ("kl", "kl_identity", "score_matching", "flow_matching")
    return [
        [one["pair"], *(_with_error(one["integrated"][name], one["errors"][name], digits=3) for name in names)]
        for one in numbers["pairings"]
    ]


def _failures(objectives: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each objective: what its samples and its solves show."""
    lines: list[str] = []
    for one in objectives:
        name = f"<b>{html.escape(one['name'])}</b>"
        if one["failure"] is not None:
            lines.append(f"{name}: its flow cannot be integrated ({html.escape(one['failure'])}).")
            continue
        lost = sum(score["validation_nll"] is None for score in one["curve"])
        early = f" During the training its flow could not be integrated {lost} times." if lost else ""
        lines.append(
            f"{name}: {_share(one['samples_astray'])} of its samples lie farther from the training rows than 99 % of "
            f"the test rows do (a perfect model has about 1 %), and its flow takes {one['test']['nfe']} evaluations to "
            f"solve.{early}"
        )
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], kind: str) -> str:
        padded = [*cells, *[""] * (len(head) - len(cells))]
        return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in padded) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


def _with_error(value: float | None, error: float | None, digits: int | None = None) -> str:
    if value is None:
        return "none"
    form = ".3f" if digits is None else f".{digits}g"
    return format(value, form) + ("" if error is None else f" ± {format(error, form)}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
