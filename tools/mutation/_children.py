"""Work in forked children: each starts from a process that has imported torch already, and dies alone."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

_CONTEXT = multiprocessing.get_context("fork")
_WALL_PER_CPU = 10.0  # how much longer than its processor time a child may take, on a busy machine


class Task(NamedTuple):
    """What a child runs, under the limit of so many seconds of processor time."""

    name: str
    run: Callable[[], Any]
    cpu_seconds: float


class Done(NamedTuple):
    """What became of a task: its result, or why there is none."""

    name: str
    result: Any
    problem: str = ""


def warm_up() -> None:
    """Import what every child needs; rmatch and the tests are left to the children."""
    import hypothesis
    import mpmath
    import numpy
    import scipy.integrate
    import scipy.linalg
    import scipy.optimize
    import scipy.special
    import scipy.stats
    import torch
    import torch._dynamo

    del hypothesis, mpmath, numpy, scipy
    torch.set_num_threads(1)
    gc.freeze()  # the collector leaves what is there alone, so that the pages stay shared


def run_all(tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    """Run the tasks in children, so many at a time, and hand each out as it ends."""
    waiting = list(reversed(tasks))
    active: dict[Connection, tuple[Task, Any, float]] = {}
    while waiting or active:
        while waiting and len(active) < jobs:
            task = waiting.pop()
            receiver, sender = _CONTEXT.Pipe(duplex=False)
            child = _CONTEXT.Process(target=_child, args=(task, sender), daemon=True)
            child.start()
            sender.close()
            active[receiver] = (task, child, time.monotonic() + _WALL_PER_CPU * task.cpu_seconds)
        ready = wait(list(active), timeout=1.0)
        late = [receiver for receiver, (_, _, deadline) in active.items() if time.monotonic() > deadline]
        for receiver in {*ready, *late}:
            task, child, _ = active.pop(receiver)  # type: ignore[index]
            yield _done(task, receiver, child)  # type: ignore[arg-type]


def _done(task: Task, receiver: Connection, child: Any) -> Done:
    try:
        return Done(task.name, *receiver.recv()) if receiver.poll() else Done(task.name, None, "hangs")
    except EOFError:  # nothing was sent
        return Done(task.name, None, "died, or took too much processor time")
    finally:
        child.kill()
        child.join()
        receiver.close()


def _child(task: Task, sender: Connection) -> None:
    limit = int(task.cpu_seconds + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stdout.fileno())
    os.dup2(quiet, sys.stderr.fileno())
    try:
        answer = task.run(), ""
    except Exception:
        answer = None, traceback.format_exc()
    sender.send(answer)
    sender.close()
    os._exit(0)
