"""One thread, and a table at the end: per task the median of each library and how many times ours it is."""

from typing import Any

import pytest
import torch

OURS = "rmatch"


def pytest_configure(config: pytest.Config) -> None:
    for line in ("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ImportWarning", "ignore::UserWarning"):
        config.addinivalue_line("filterwarnings", line)  # what the peers warn about is not ours to mend


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    measured = [bench for bench in getattr(session, "benchmarks", []) if bench.extra_info.get("who") and bench.stats.data]
    tasks: dict[str, dict[str, float]] = {}
    targets: dict[str, str] = {}
    units: dict[tuple[str, str], str] = {}
    for bench in measured:
        tasks.setdefault(bench.group, {})[bench.extra_info["who"]] = bench.stats.median
        units[bench.group, bench.extra_info["who"]] = bench.extra_info.get("unit", "")
        targets[bench.group] = bench.extra_info.get("target") or targets.get(bench.group, "")
    if not tasks:
        return
    terminalreporter.section("medians in µs, and in brackets how many times rmatch's")
    for task, medians in tasks.items():
        ours = medians.get(OURS)
        cells = [
            f"{who} {1e6 * median:,.0f} {units[task, who]}" + (f"({median / ours:.2f}x)" if ours and who != OURS else "")
            for who, median in sorted(medians.items(), key=lambda item: item[0] != OURS)
        ]
        terminalreporter.write_line(f"{task:<44} {' | '.join(cells)}   {targets[task]}")
