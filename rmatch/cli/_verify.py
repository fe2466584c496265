"""Running `rmatch verify`: one process for each core, progress on a terminal, one report for each manifold."""

from __future__ import annotations

import html
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from rmatch._errors import OptionError
from rmatch.cli._subjects import MEMBERS, build_subject
from rmatch.verify import Report, check_manifold
from rmatch.verify.check import select_laws
from rmatch.verify.report import Row

_STYLE = "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .6em;text-align:left;vertical-align:top}"


@dataclass(frozen=True)
class _Task:
    """One manifold and how to examine it; it goes to another process as it is."""

    text: str
    laws: tuple[str, ...]
    thorough: bool
    seed: int
    reach: float | None
    as_is: bool

    def run(self, on_row: Callable[[Row], None] | None = None) -> Report:
        """Build the manifold and examine it."""
        manifold = build_subject(self.text, repair=not self.as_is)
        return check_manifold(manifold, self.laws or None, self.seed, self.thorough, reach=self.reach, on_row=on_row)


def run_verification(
    subjects: Sequence[str],
    *,
    laws: Sequence[str],
    thorough: bool,
    seed: int,
    reach: float | None,
    as_is: bool,
    output_format: str,
) -> int:
    """Examine the subjects, print the reports, and return the status.

    Raises:
        OptionError: A subject or a law is unknown, or the reach is no length; nothing has been examined then.
    """
    if reach is not None and not reach > 0:
        raise OptionError(f"--reach is a positive length, got {reach}")
    count = len(select_laws(tuple(laws) or None, thorough=thorough))
    texts = tuple(dict.fromkeys(subjects or MEMBERS))
    for text in texts:
        build_subject(text, repair=not as_is)
    tasks = [_Task(text, tuple(laws), thorough, seed, reach, as_is) for text in texts]
    reports = _together(tasks) if len(tasks) > 1 else [_alone(tasks[0], count)]
    print(_FORMATS[output_format](reports))
    return 0 if all(report.ok for report in reports) else 1


def _alone(task: _Task, count: int) -> Report:
    with _progress(task.text, count) as advance:
        return task.run(lambda row: advance(row.law))


def _together(tasks: Sequence[_Task]) -> list[Report]:
    """Each manifold in a process of its own, as many at a time as there are cores."""
    context = multiprocessing.get_context("spawn")
    workers = min(len(tasks), _cores())
    with (
        _progress("manifolds", len(tasks)) as advance,
        ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        futures = {pool.submit(task.run): task for task in tasks}
        for future in as_completed(futures):
            future.result()
            advance(futures[future].text)
        return [future.result() for future in futures]


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _progress(what: str, count: int) -> Generator[Callable[[str], None]]:
    """A bar on standard error where that is a terminal, else nothing; it is moved by naming what is done."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=count, done="")
        yield lambda name: bar.update(task, advance=1, done=name)


def _text(reports: Sequence[Report]) -> str:
    """One report in full; of several the summaries and the broken laws."""
    if len(reports) == 1:
        return str(reports[0])
    lines: list[str] = []
    for report in reports:
        lines.append(report.summary())
        lines += [f"  {line}" for row in report.broken for line in str(row).split("\n")]
    return "\n".join(lines)


def _json(reports: Sequence[Report]) -> str:
    values = {"ok": all(report.ok for report in reports), "reports": [json.loads(r.to_json()) for r in reports]}
    return json.dumps(values, indent=2, ensure_ascii=False)


def _html(reports: Sequence[Report]) -> str:
    parts = [f"<h2>{html.escape(report.subject)}</h2>{report.to_html()}" for report in reports]
    head = f'<meta charset="utf-8"><title>rmatch verify</title><style>{_STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>"


_FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {"text": _text, "json": _json, "html": _html}
