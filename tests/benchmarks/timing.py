"""Timing two things in turn, so that both see the same load of the machine."""

import statistics
import time
from collections.abc import Callable
from typing import Any

Work = Callable[[], object]

_WARM = 3


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
            start = time.perf_counter()
            ours()
            beside.append(time.perf_counter() - start)
        for _ in range(_WARM):
            work()

    benchmark.group = task
    benchmark.pedantic(work, setup=before, rounds=rounds, warmup_rounds=3)
    benchmark.extra_info.update(who=who, target=target)
    if beside:
        benchmark.extra_info["ratio"] = benchmark.stats.stats.median / statistics.median(beside)
