"""Showing a training while it runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from rmatch.training.report import Report

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS = 10.0


class ProgressBar:
    r"""A listener for `fit` that shows loss, rate, time left and score.

    On a terminal it is a bar, elsewhere a plain line every ten seconds. Use it as a context manager.

    Args:
        file: Where to write; standard error by default.
        score_name: What the score is.

    Example:
        >>> import io
        >>> from rmatch.training import ProgressBar, Report
        >>> out = io.StringIO()
        >>> with ProgressBar(out) as show:
        ...     show(Report(10, 10, 1.0, 0.5, 1e-3, 100.0, 0.1, 0.0))
        >>> out.getvalue()
        'step 10/10 (100 %)  loss 0.5000  100 steps/s  0:00 left\n'
    """

    def __init__(self, file: TextIO | None = None, *, score_name: str = "score") -> None:
        self._file = sys.stderr if file is None else file
        self._score_name = score_name
        self._bar: tuple[Progress, TaskID] | None = None
        self._shown = -math.inf

    def __enter__(self) -> ProgressBar:
        if self._file.isatty():
            progress = _rich_progress(self._file)
            progress.start()
            self._bar = progress, progress.add_task("training", total=1.0, facts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def __call__(self, report: Report) -> None:
        """Show a report."""
        facts = self._facts(report)
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, completed=report.progress, facts=facts)
            return
        now = time.monotonic()
        if now - self._shown >= _LINE_SECONDS or report.progress >= 1.0:
            if report.score is not None and report.progress >= 1.0:
                return  # the report of the last step follows, with the same score
            self._shown = now
            steps = f"/{report.steps}" if report.steps is not None else ""
            print(
                f"step {report.step}{steps} ({report.progress:.0%})".replace("%)", " %)"),
                facts,
                sep="  ",
                file=self._file,
            )
            self._file.flush()

    def _facts(self, report: Report) -> str:
        parts = [f"loss {report.loss:.4f}", f"{_rate(report.rate)} steps/s", f"{duration(report.remaining)} left"]
        if report.best is not None:
            parts.append(f"{self._score_name} {report.best:.3f}")
        return "  ".join(parts)


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def duration(seconds: float) -> str:
    """For example `1:05` or `2:00:00`.

    Example:
        >>> from rmatch.training.progress import duration
        >>> duration(65.2)
        '1:05'
    """
    minutes, rest = divmod(round(min(seconds, 359_999)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _rich_progress(file: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns: list[Any] = [BarColumn(bar_width=12), TaskProgressColumn(), TextColumn("{task.fields[facts]}")]
    return Progress(*columns, console=Console(file=file), refresh_per_second=5)
