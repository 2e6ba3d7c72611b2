"""Pools that the user has opened: the same batches, bounded waits, and never closed by a flow."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from fakes import FakeMaker
from leftovers import shared_memory
from makers import ROWS, Maker, die, ignore_interrupts, once, say_and_hang
from penstock import BatchError, FlowClosed, WorkerError
from penstock._types import Step
from penstock.feeding._feeder import Feeder
from penstock.feeding._memory import Segment
from penstock.feeding._plan import Plan
from penstock.feeding.executors import _users_pool
from penstock.feeding.executors._pool_threads import PoolThreadExecutor
from penstock.feeding.executors._users_pool import UsersPool

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes look into one another's memory by /proc"),
    pytest.mark.usefixtures("quick_collections"),
]

STEPS = 5
KINDS: dict[str, Callable[[], Any]] = {
    "pool": lambda: multiprocessing.get_context("spawn").Pool(2, ignore_interrupts),
    "process_executor": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
    "thread_pool": lambda: ThreadPool(2),
    "thread_executor": lambda: ThreadPoolExecutor(2),
}
PROCESSES = ("pool", "process_executor")


def executor_of(pool: Any, workers: int = 2) -> Any:
    users = UsersPool(pool)
    if users.has_threads:
        return PoolThreadExecutor(users, workers)
    from penstock.feeding.executors._pool_processes import PoolProcessExecutor

    return PoolProcessExecutor(users, workers)


def feeder(pool: Any, maker: Any, timeout_s: float | None = 60.0, depth: int = 4, workers: int = 2) -> Feeder:
    plan = Plan(ROWS * STEPS - 1, ROWS, lambda epoch: np.arange(ROWS * STEPS - 1), lambda epoch: np.arange(STEPS))
    return Feeder(plan, maker, executor_of(pool, workers), max_queue_size=depth, timeout_s=timeout_s)


def expected(position: int) -> list[int]:
    epoch, number = divmod(position, STEPS)
    return [k + 1000 * epoch for k in range(number * ROWS, min((number + 1) * ROWS, ROWS * STEPS - 1))]


def take(feed: Feeder, batches: int, start: int = 0) -> list[list[int]]:
    return [feed.get(position).arrays[1].tolist() for position in range(start, start + batches)]


def answers(pool: Any) -> bool:
    """Whether a pool still works."""
    if isinstance(pool, Executor):
        return pool.submit(abs, -3).result(60) == 3
    return pool.apply_async(abs, (-3,)).get(60) == 3


def end(pool: Any) -> None:
    if isinstance(pool, Executor):
        pool.shutdown()
    else:
        pool.terminate()
        pool.join()


@pytest.fixture(scope="module", params=KINDS)
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = KINDS[request.param]()
    yield made
    end(made)


@pytest.fixture(scope="module", params=PROCESSES)
def processes(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = KINDS[request.param]()
    yield made
    end(made)


@pytest.fixture(autouse=True)
def _nothing_left() -> Any:
    """No memory that was shared. A pool that has begun meanwhile has descriptors of its own."""
    yield
    gc.collect()  # an error's traceback holds the batches that it was about
    gc.collect()  # and what was in its frames, others
    assert shared_memory() == []


def test_batches_come_in_order_and_the_pool_stays_open(pool: Any) -> None:
    feed = feeder(pool, Maker())
    kept = [feed.get(position) for position in range(12)]  # more than there are slots
    assert [batch.arrays[1].tolist() for batch in kept] == [expected(position) for position in range(12)]
    feed.close()
    assert answers(pool)
    assert [batch.arrays[1].tolist() for batch in kept] == [expected(position) for position in range(12)]


def test_large_arrays_and_a_changed_maker_reach_the_workers(processes: Any) -> None:
    table = np.arange(1 << 18, dtype="f8")
    maker = Maker(table=table)
    feed = feeder(processes, maker)
    assert feed.get(1).arrays[0][:, 0].tolist() == [4, 5, 6, 7]
    table += 100
    feed.renew()
    assert feed.get(1).arrays[0][:, 0].tolist() == [104, 105, 106, 107]
    feed.close()


def test_errors_come_in_order_with_the_workers_traceback(pool: Any) -> None:
    def trouble(step: Step) -> None:
        if step.number == 2:
            raise ArithmeticError(f"not batch {step.number}")

    feed = feeder(pool, Maker(trouble))
    assert take(feed, 2) == [expected(0), expected(1)]
    with pytest.raises(BatchError, match="ArithmeticError: not batch 2") as caught:
        feed.get(2)
    assert (caught.value.epoch, caught.value.step) == (0, 2)
    assert "in trouble" in caught.value.traceback_text
    assert take(feed, 2, 3) == [expected(3), expected(4)]
    feed.close()


def test_a_killed_process_of_a_pool_is_replaced_and_its_batch_made_again(tmp_path: Path) -> None:
    pool = KINDS["pool"]()
    feed = feeder(pool, Maker(once(tmp_path, die)))
    assert take(feed, 8) == [expected(position) for position in range(8)]
    feed.close()
    end(pool)


def test_deaths_of_the_same_batch_end_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_users_pool, "_LOOK_S", 0.2)
    pool = KINDS["pool"]()
    feed = feeder(pool, Maker(lambda step: die() if step.number == 1 else None))
    assert take(feed, 1) == [expected(0)]
    with pytest.raises(WorkerError, match="3 processes of the pool in a row died while they made batch 1 of epoch 0"):
        feed.get(1)
    feed.close()
    end(pool)


def test_workers_that_are_changed_after_each_task_lose_nothing() -> None:
    pool = multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1)
    feed = feeder(pool, Maker())
    assert take(feed, 4) == [expected(position) for position in range(4)]
    feed.close()
    end(pool)


def test_a_broken_executor_is_an_error_that_says_so(tmp_path: Path) -> None:
    pool = KINDS["process_executor"]()
    feed = feeder(pool, Maker(once(tmp_path, die)), depth=2)
    assert take(feed, 1) == [expected(0)]
    with pytest.raises(WorkerError, match="BrokenProcessPool"):
        take(feed, 5, 1)
    with pytest.raises(WorkerError, match="is over"):
        take(feed, 5, 1)
    feed.close()
    end(pool)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_that_ends_under_a_flow_is_an_error_and_no_wait(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_users_pool, "_LOOK_S", 0.05)
    pool = KINDS[kind]()
    feed = feeder(pool, Maker(), depth=2)
    assert take(feed, 2) == [expected(0), expected(1)]
    if isinstance(pool, Executor):
        pool.shutdown(cancel_futures=True)
    else:
        pool.terminate()
    with pytest.raises(WorkerError, match="Make a flow with a pool that is open"):
        take(feed, 5, 2)
    feed.close()
    end(pool)


def test_a_terminated_pool_that_was_at_a_batch_is_an_error_and_no_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_users_pool, "_LOOK_S", 0.05)
    pool = KINDS["pool"]()
    begun = Segment(8)  # a worker says here that it is at it
    window = f"/proc/{os.getpid()}/fd/{begun.descriptor}"
    feed = feeder(pool, Maker(partial(say_and_hang, window)), timeout_s=None)
    feed.look_ahead(0, STEPS)
    while not begun.memory[0]:
        pass
    pool.terminate()
    with pytest.raises(WorkerError, match="it was terminated"):
        feed.get(0)
    feed.close()
    begun.close()


def test_a_closed_pool_ends_what_it_was_at_and_takes_nothing_more() -> None:
    pool = ThreadPool(1)
    maker = FakeMaker(batch_size=ROWS, gates={(0, 0): threading.Event()})
    feed = feeder(pool, maker, workers=1, depth=1)
    feed.look_ahead(0, STEPS)
    maker.started.acquire()
    pool.close()
    maker.gates[0, 0].set()
    assert take(feed, 1) == [expected(0)]
    with pytest.raises(WorkerError, match="is over"):
        feed.get(1)
    feed.close()
    pool.join()


def test_a_worker_that_stalls_is_an_error_and_its_batch_is_made_once() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        maker = FakeMaker(batch_size=ROWS, gates={(0, 1): gate})
        feed = feeder(pool, maker, timeout_s=0.3)
        assert take(feed, 1) == [expected(0)]
        for _ in range(2):
            with pytest.raises(WorkerError, match=r"batch 1 of epoch 0 has not come for 0\.3 s"):
                feed.get(1)
        gate.set()
        assert take(feed, 4, 1) == [expected(position) for position in range(1, 5)]
        # A second task for the same memory might write to it when it holds another batch.
        assert maker.made.count((0, 1)) == 1
        feed.close()


def test_what_a_pool_has_not_begun_when_a_flow_is_closed_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_users_pool, "_LOOK_S", 1000)  # nobody waits for the next look
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(gate.wait)
        maker = FakeMaker(batch_size=ROWS)
        feed = feeder(pool, maker)
        feed.look_ahead(0, STEPS)
        feed.close()
        assert not any("penstock" in thread.name for thread in threading.enumerate())
        gate.set()
        pool.submit(int).result(30)
        assert maker.made == []


def test_a_maker_that_changes_again_and_again_is_held_once(processes: Any) -> None:
    maker = Maker(table=np.arange(1 << 20, dtype="f8"))
    feed = feeder(processes, maker)
    for change in range(8):
        assert feed.get(1).arrays[0][:, 0].tolist() == [4 + change, 5 + change, 6 + change, 7 + change]
        maker.table[:] += 1
        feed.renew()
    tables = 0
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            parts = child.memory_maps(grouped=False)
            tables += sum("memfd:penstock" in part.path and part.size >= 8 << 20 for part in parts)
    assert tables <= 2  # one in each process
    feed.close()


def test_ctrl_c_that_reaches_the_workers_too_costs_no_batch(tmp_path: Path) -> None:
    pool = multiprocessing.get_context("spawn").Pool(2)
    interrupt = once(tmp_path, partial(signal.raise_signal, signal.SIGINT))
    feed = feeder(pool, Maker(interrupt))
    assert take(feed, 6) == [expected(position) for position in range(6)]
    feed.close()
    end(pool)


def test_closing_wakes_who_waits_and_does_not_wait_for_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_users_pool, "_LOOK_S", 1000)
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        maker = FakeMaker(batch_size=ROWS, gates={(0, 0): gate})
        feed = feeder(pool, maker, workers=1)
        caught: list[BaseException] = []

        def ask() -> None:
            try:
                feed.get(0)
            except FlowClosed as error:
                caught.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        maker.started.acquire()
        feed.close()
        asking.join(30)
        assert len(caught) == 1
        assert not any("penstock" in thread.name for thread in threading.enumerate())
        gate.set()


def test_a_function_that_asks_its_own_flow_is_refused() -> None:
    with ThreadPoolExecutor(2) as pool:
        feeds: list[Feeder] = []
        feed = feeder(pool, Maker(lambda step: feeds[0].check_caller() if feeds else None))
        feeds.append(feed)
        with pytest.raises(BatchError, match="give it a flow of its own"):
            feed.get(0)
        feeds.clear()
        feed.close()


def test_a_descriptor_that_is_another_file_by_now_is_not_written_to(tmp_path: Path) -> None:
    from penstock.feeding.executors._pool_worker import Window

    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 64)
    segment = Segment(64)
    window = Window(os.getpid(), segment.descriptor, os.fstat(segment.descriptor).st_ino, 64)
    os.close(window.opened())
    with precious.open("r+b") as file:
        os.dup2(file.fileno(), segment.descriptor)
        with pytest.raises(FileNotFoundError, match="another file"):
            window.opened()
    segment.close()


def test_two_flows_share_a_pool(pool: Any) -> None:
    one, other = feeder(pool, Maker()), feeder(pool, Maker())
    for position in range(6):
        assert take(one, 1, position) == take(other, 1, position) == [expected(position)]
    one.close()
    assert take(other, 2, 6) == [expected(6), expected(7)]
    other.close()


@pytest.mark.parametrize("pool", [4, "pool", None, object(), multiprocessing])
def test_what_is_no_pool_is_refused(pool: Any) -> None:
    with pytest.raises(TypeError, match="`pool` should be an open"):
        UsersPool(pool)


def test_the_number_of_workers_is_the_pools(pool: Any) -> None:
    assert UsersPool(pool).workers == 2
