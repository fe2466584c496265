"""One thread, and tables at the end: what each library took, and how that compares with ours."""

import statistics
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
    benchmarks = [bench for bench in getattr(session, "benchmarks", []) if bench.stats.data]
    _table_of_medians(terminalreporter, [bench for bench in benchmarks if "who" in bench.extra_info])
    _table_of_ratios(terminalreporter, [bench for bench in benchmarks if "peers" in bench.extra_info])


def _table_of_medians(terminalreporter: Any, benchmarks: list[Any]) -> None:
    tasks: dict[str, list[str]] = {}
    targets: dict[str, str] = {}
    for bench in benchmarks:
        info = bench.extra_info
        ratio = f" = {info['ratio']:.2f}x" if "ratio" in info else ""
        tasks.setdefault(bench.group, []).append(f"{info['who']} {1e6 * bench.stats.median:,.0f}{ratio}")
        targets[bench.group] = info["target"]
    if tasks:
        terminalreporter.section("medians in µs; x: times what it was timed in turn with")
        for task, cells in tasks.items():
            terminalreporter.write_line(f"{task:<44} {' | '.join(cells)}   {targets[task]}".rstrip())


def _table_of_ratios(terminalreporter: Any, benchmarks: list[Any]) -> None:
    if not benchmarks:
        return
    terminalreporter.section("lower quartiles in µs; x: the fastest peer's time over ours")
    spaces: dict[str, list[float]] = {}
    for bench in benchmarks:
        info = bench.extra_info
        ratio = min(info["peers"].values()) / info["ours"]
        spaces.setdefault(info["space"], []).append(ratio)
        cells = " | ".join(f"{who} {1e6 * seconds:,.0f}" for who, seconds in info["peers"].items())
        terminalreporter.write_line(f"{ratio:5.2f}x  {bench.group:<42} ours {1e6 * info['ours']:,.0f} | {cells}")
    spaces["all"] = [ratio for ratios in spaces.values() for ratio in ratios]
    for space, found in spaces.items():
        mean, behind = statistics.geometric_mean(found), sum(ratio < 1 for ratio in found)
        terminalreporter.write_line(f"{mean:5.2f}x  geometric mean, {space}: {behind} of {len(found)} below 1")
