"""The small parts of training: batches, schedule, interrupts."""

import itertools
import math
import os
import signal
import threading

import pytest
import torch

from rmatch.training._batches import Batches
from rmatch.training._interrupt import Interrupt
from rmatch.training._schedule import Horizon, average_decay, learning_rate_factor


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (10, 10), (3, 10), (1, 4), (7, 7)])
def test_every_pass_takes_every_row_once(rows: int, size: int) -> None:
    batches = Batches(rows, size, seed=0)
    taken = torch.cat([batches.take() for _ in range(rows)])  # rows * size indices: `size` whole passes
    for one_pass in taken.split(rows):
        assert sorted(one_pass.tolist()) == list(range(rows))


def test_batches_all_have_the_asked_size() -> None:
    batches = Batches(10, 7, seed=1)
    assert {len(batches.take()) for _ in range(9)} == {7}


def test_passes_and_seeds_have_different_orders() -> None:
    first = Batches(30, 30, seed=0)
    orders = [first.take().tolist(), first.take().tolist(), Batches(30, 30, seed=1).take().tolist()]
    assert all(a != b for a, b in itertools.combinations(orders, 2))


@pytest.mark.parametrize("before", range(9))
def test_restored_batches_go_on_with_the_same_rows(before: int) -> None:
    batches = Batches(10, 4, seed=5)
    for _ in range(before):
        batches.take()
    other = Batches(10, 4, seed=99)
    other.restore(*batches.state())
    for _ in range(8):
        assert torch.equal(batches.take(), other.take())


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    assert learning_rate_factor(0.05, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(0.1, 0.1) == 1.0
    assert learning_rate_factor(0.325, 0.1) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert learning_rate_factor(1.0, 0.1) == pytest.approx(0.0, abs=1e-15)
    assert learning_rate_factor(0.0, 0.0) == 1.0


def test_the_decay_of_the_average_starts_small_and_ends_at_what_was_asked() -> None:
    assert average_decay(0, 0.999) == pytest.approx(0.1)
    assert average_decay(10**6, 0.999) == 0.999
    assert average_decay(100, 0.0) == 0.0


def test_progress_counts_steps_or_seconds() -> None:
    assert Horizon(10, None).progress(5, 1e9) == 0.5
    assert Horizon(10, None).middle(9, 1e9) == pytest.approx(0.95)
    assert Horizon(None, 60.0).progress(10**9, 15.0) == 0.25
    assert Horizon(None, 60.0, reserve=10.0).progress(0, 50.0) == 1.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_and_the_second_stops(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_handlers_come_back_when_the_block_fails() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), Interrupt():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_in_a_thread_signals_are_left_alone() -> None:
    seen: list[bool] = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append(interrupt.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
