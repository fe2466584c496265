"""The metrics of a run: one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from rmatch._errors import OutputError
from rmatch._files import atomic_write
from rmatch.training.report import Report

_MOST_LINES = 500  # of the loss, however long the training is
_ENDS = ("test", "evaluation")  # kinds of lines that tell of the end


class MetricsLog:
    """Appends the reports of a training to a file: lines of kind `train` and `validation`, and one of its end.

    Args:
        path: The file. It is begun anew, or cut after a step when a training goes on from there.
        after: The last step to keep lines of; `None` to begin anew.
        score_name: What the score is called.

    Raises:
        OutputError: The file could not be written.
    """

    def __init__(self, path: Path, *, after: int | None = None, score_name: str = "nll") -> None:
        self.path = path
        self._score_name = score_name
        kept = [] if after is None else [line for line in _lines(path) if _step(line) <= after]
        with atomic_write(path, "w") as file:
            file.writelines(kept)
        self._written = -1.0

    def __call__(self, report: Report) -> None:
        """Append a report: its loss, if enough of the training went by since the last one, and its score."""
        common = {"step": report.step, "seconds": round(report.seconds, 3)}
        if report.score is not None:
            self.append("validation", common | {self._score_name: report.score, "best": report.best})
        elif report.progress - self._written >= 1.0 / _MOST_LINES or report.progress >= 1.0:
            self._written = report.progress
            self.append("train", common | {"loss": report.loss, "rate": round(report.rate, 2), "lr": report.lr})

    def append(self, kind: str, values: Mapping[str, Any]) -> None:
        """Append a line.

        Args:
            kind: What it is about.
            values: Numbers by name; those that JSON cannot hold, NaN and infinity, are written as null.

        Raises:
            OutputError: The file could not be written.
        """
        line = json.dumps({"kind": kind} | {name: _finite(value) for name, value in values.items()})
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                _write(file, line + "\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}; free some space") from error


def _write(file: IO[str], line: str) -> None:
    file.write(line)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []


def _step(line: str) -> float:
    """The step of a line, or infinity: for a line that was cut short, or that tells of an end that is not one."""
    try:
        values = json.loads(line)
        return math.inf if values["kind"] in _ENDS else float(values["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
