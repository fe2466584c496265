"""One thread, and a table at the end: per task the median of each library and how many times ours it is."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    for line in ("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ImportWarning", "ignore::UserWarning"):
        config.addinivalue_line("filterwarnings", line)  # what the peers warn about is not ours to mend


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    tasks: dict[str, list[str]] = {}
    targets: dict[str, str] = {}
    for bench in getattr(session, "benchmarks", []):
        info = bench.extra_info
        if "who" not in info or not bench.stats.data:
            continue
        ratio = f" = {info['ratio']:.2f}x" if "ratio" in info else ""
        tasks.setdefault(bench.group, []).append(f"{info['who']} {1e6 * bench.stats.median:,.0f}{ratio}")
        targets[bench.group] = info["target"]
    if tasks:
        terminalreporter.section("medians in µs; x: times what it was timed in turn with")
        for task, cells in tasks.items():
            terminalreporter.write_line(f"{task:<44} {' | '.join(cells)}   {targets[task]}".rstrip())
