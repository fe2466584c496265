"""Timing things in turn, so that all see the same load of the machine."""

import statistics
import time
from collections.abc import Callable
from typing import Any

Work = Callable[[], object]

_WARM = 3
_SECONDS = 1.0  # what a race may take, about
_ROUNDS = (7, 150)


def measure(
    benchmark: Any, task: str, who: str, work: Work, ours: Work | None, *, rounds: int, target: str = ""
) -> None:
    """Time `work` and, before each round of it, `ours`; the ratio of the medians goes into the table at the end.

    Each is called thrice without a clock before it is timed: what the other left in the caches is not its fault.
    """
    beside: list[float] = []

    def before() -> None:
        if ours is not None:
            for _ in range(_WARM):
                ours()
            beside.append(_seconds(ours))
        for _ in range(_WARM):
            work()

    benchmark.group = task
    benchmark.pedantic(work, setup=before, rounds=rounds, warmup_rounds=3)
    benchmark.extra_info.update(who=who, target=target)
    if beside:
        benchmark.extra_info["ratio"] = benchmark.stats.stats.median / statistics.median(beside)


def race(benchmark: Any, group: str, task: str, ours: Work, peers: dict[str, Work]) -> None:
    """Time `ours` and, before each round of it, every peer; what each took goes into the table of ratios at the end.

    It is the lower quartile over the rounds: what a busy machine adds to the others is no property of the code. Each
    is called without a clock before it is timed.
    """
    times: dict[str, list[float]] = {who: [] for who in peers}
    for work in (ours, *peers.values()):
        work()
    pace = sum(_seconds(work) for work in (ours, *peers.values()))
    warm = _WARM if pace < 0.01 else 1

    def before() -> None:
        for who, work in peers.items():
            for _ in range(warm):
                work()
            times[who].append(_seconds(work))
        for _ in range(warm):
            ours()

    rounds = min(max(int(_SECONDS / (pace * (1 + warm))), _ROUNDS[0]), _ROUNDS[1])
    benchmark.group = task
    benchmark.pedantic(ours, setup=before, rounds=rounds, warmup_rounds=1)
    took = {who: lower_quartile(values) for who, values in times.items()}
    benchmark.extra_info.update(space=group, ours=lower_quartile(benchmark.stats.stats.data), peers=took)


def lower_quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
