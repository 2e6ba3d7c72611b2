"""In order, in time, in memory."""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial

import numpy as np
import pytest

from fakes import FakeMaker
from interrupts import called_at_line
from penstock import BatchError, FlowClosed, WorkerError
from penstock._types import Executor
from penstock.feeding import _feeder
from penstock.feeding._feeder import Feeder
from penstock.feeding._plan import Plan
from penstock.feeding.executors._serial import SerialExecutor
from penstock.feeding.executors._threads import ThreadExecutor

SAMPLES = 11


def make_feeder(maker: FakeMaker, executor: Executor, queue: int = 3, max_queue_bytes: int | None = None) -> Feeder:
    plan = make_plan(maker.batch_size)
    return Feeder(plan, maker, executor, max_queue_size=queue, max_queue_bytes=max_queue_bytes)


def make_plan(batch_size: int = 2) -> Plan:
    steps = -(-SAMPLES // batch_size)
    return Plan(
        SAMPLES, batch_size, lambda epoch: np.roll(np.arange(SAMPLES), epoch), lambda epoch: np.arange(steps)[::-1]
    )


def executor_for(workers: int) -> Executor:
    return ThreadExecutor(workers) if workers else SerialExecutor()


@pytest.mark.parametrize("workers", [0, 1, 2, 7])
def test_batches_come_in_order_whatever_the_workers(workers: int) -> None:
    feeder = make_feeder(FakeMaker(), executor_for(workers))
    for position in range(20):
        batch = feeder.get(position)
        step, (values, indices) = batch.step, batch.arrays
        epoch, number = divmod(position, 6)
        expected = np.roll(np.arange(SAMPLES), epoch)[2 * number : 2 * number + 2]
        assert (step.epoch, step.number) == (epoch, number)
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(values[:, 0], expected + 1000 * epoch)
    feeder.close()


def test_a_late_batch_is_waited_for_and_not_overtaken() -> None:
    gate = threading.Event()
    maker = FakeMaker(gates={(0, 0): gate})
    feeder = make_feeder(maker, ThreadExecutor(2))
    results: list[int] = []
    consumer = threading.Thread(target=lambda: results.extend(feeder.get(p).step.number for p in range(3)))
    consumer.start()
    for _ in range(3):  # the gated batch and both that overtake it have started
        assert maker.started.acquire(timeout=60)
    assert results == []
    gate.set()
    consumer.join(60)
    assert results == [0, 1, 2]
    feeder.close()


@pytest.mark.parametrize(("queue", "workers", "bound"), [(3, 1, 3), (1, 4, 4), (10, 2, 10)])
def test_no_more_than_the_bound_is_made_ahead(queue: int, workers: int, bound: int) -> None:
    maker = FakeMaker(batch_size=1)
    feeder = make_feeder(maker, ThreadExecutor(workers), queue)
    feeder.get(0)
    for _ in range(1 + bound):
        assert maker.started.acquire(timeout=60)
    feeder._executor.close()  # has now begun all that it was ever given
    assert not maker.started.acquire(blocking=False), "a batch beyond the bound was begun"
    assert feeder.depth == bound
    assert feeder.peak_bytes == bound * 128  # two arrays of one row, each on a cache line of its own
    feeder.close()


def test_the_bound_in_bytes_holds_and_one_batch_is_always_allowed() -> None:
    feeder = make_feeder(FakeMaker(batch_size=1), ThreadExecutor(2), 10, max_queue_bytes=300)
    assert feeder.depth == 2
    assert feeder.peak_bytes <= 300
    feeder.close()
    feeder = make_feeder(FakeMaker(batch_size=1), ThreadExecutor(2), 10, max_queue_bytes=1)
    assert feeder.depth == 1
    assert feeder.get(0).step.number == 0
    feeder.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_in_its_turn_names_the_batch_and_can_be_retried(workers: int) -> None:
    maker = FakeMaker(broken={(0, 2)})
    feeder = make_feeder(maker, executor_for(workers))
    assert [feeder.get(p).step.number for p in range(2)] == [0, 1]
    for _ in range(2):
        with pytest.raises(BatchError, match=r"batch 2 of epoch 0 could not be made: ZeroDivisionError") as caught:
            feeder.get(2)
        assert (caught.value.epoch, caught.value.step) == (0, 2)
        assert "in fill" in caught.value.traceback_text
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    maker.broken.clear()
    assert [feeder.get(p).step.number for p in range(2, 6)] == [2, 3, 4, 5]
    feeder.close()


def test_a_worker_that_asks_to_exit_is_heard_and_its_batch_can_be_retried() -> None:
    class Exiting(FakeMaker):
        def read(self, step):
            if self.broken:
                raise SystemExit(3)

    maker = Exiting(broken={(0, 0)})
    feeder = make_feeder(maker, ThreadExecutor(1))
    with pytest.raises(SystemExit):
        feeder.get(0)
    maker.broken.clear()
    assert feeder.get(0).step.number == 0
    feeder.close()


def test_an_interrupt_at_any_point_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """KeyboardInterrupt is raised at every line of `get` and of what it calls in the feeder, one after the other."""
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2))
    position, interrupts, at_line = 0, 0, 0
    seen = []
    while at_line < 400:
        try:
            arrays = called_at_line(partial(feeder.get, position), _feeder, at_line).arrays
        except KeyboardInterrupt:
            interrupts += 1
        else:
            seen.append((position, arrays[1].tolist()))
            position += 1
        at_line += 1
    while position < 450:
        seen.append((position, feeder.get(position).arrays[1].tolist()))
        position += 1
    feeder.close()
    assert interrupts > 20
    plan = make_plan()
    assert seen == [(p, plan.step(p).indices.tolist()) for p in range(position)]


def test_asking_elsewhere_begins_there_and_counts_what_was_dropped() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2))
    feeder.get(0)
    assert feeder.get(4, end=6).step.number == 4
    assert feeder.stats.dropped == 3
    assert feeder.get(5, end=6).step.number == 5
    assert not feeder.is_next(6), "nothing is made ahead beyond the end"
    feeder.close()


def test_a_batch_made_beside_the_queue_leaves_the_queue_alone() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2))
    feeder.get(0)
    assert feeder.make(5).step.number == 5
    assert feeder.is_next(1)
    assert feeder.stats.dropped == 0
    feeder.close()


def test_another_number_of_workers_goes_on_with_the_same_stream() -> None:
    feeder = make_feeder(FakeMaker(), SerialExecutor())
    numbers = []
    for position in range(30):
        if position % 5 == 0:
            feeder.resize(executor_for(position % 4), max_queue_size=1 + position % 3)
        numbers.append(feeder.get(position).arrays[1].tolist())
    feeder.close()
    plan = make_plan()
    assert numbers == [plan.step(p).indices.tolist() for p in range(30)]


def test_the_callers_arrays_are_aligned_writeable_and_never_written_again() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2), queue=2)
    kept = []
    for position in range(30):  # far more than there are slots
        values, indices = feeder.get(position).arrays
        assert values.ctypes.data % 64 == 0
        assert indices.ctypes.data % 64 == 0
        assert values.flags.writeable
        kept.append((values[:1], values[:1].copy()))  # only a view of a part is kept
    for view, copy in kept:
        np.testing.assert_array_equal(view, copy)
    assert feeder.stats.overflows > 0
    feeder.close()


def test_a_delivered_and_a_dropped_batch_give_their_slots_back() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(1), queue=2)
    for position in range(200):
        feeder.get(position * 7 % 50)  # hardly ever the next one
    assert feeder.stats.dropped > 100
    assert feeder.stats.overflows == 0
    feeder.close()


def test_who_keeps_all_batches_still_has_all_workers() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2), queue=3)
    kept = [feeder.get(position) for position in range(20)]
    assert len(feeder._queue) == 3, "batches are made ahead, in memory of their own"
    assert len(kept) == 20
    feeder.close()


def test_closing_wakes_who_waits_for_a_batch() -> None:
    gate = threading.Event()
    maker = FakeMaker(gates={(0, 0): gate})
    feeder = make_feeder(maker, ThreadExecutor(1))
    outcome: list[BaseException] = []

    def consume() -> None:
        try:
            feeder.get(0)
        except FlowClosed as error:
            outcome.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert maker.started.acquire(timeout=60)
    closer = threading.Thread(target=feeder.close)
    closer.start()
    consumer.join(60)
    assert "closed while a batch was waited for" in str(outcome[0])
    gate.set()
    closer.join(60)


def test_an_executor_that_has_ended_takes_no_more() -> None:
    executor = ThreadExecutor(1)
    executor.start(FakeMaker())
    executor.close()
    assert executor.submit(make_plan().step(0), []).cancelled()


def test_a_fork_is_told_to_make_a_flow_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(1))
    feeder.get(0)
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(WorkerError, match="make a new flow here"):
        feeder.get(1)
    monkeypatch.undo()
    feeder.close()


def test_a_shuffled_order_of_batches_is_the_streams_only() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2))
    assert [feeder.get(p, shuffled=True).step.number for p in range(6)] == [5, 4, 3, 2, 1, 0]
    assert [feeder.get(p).step.number for p in range(6)] == [0, 1, 2, 3, 4, 5]
    assert feeder.make(2).step.number == 2
    feeder.close()


def test_a_queue_of_a_billion_batches_does_not_begin_them_all() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(1), queue=10**9)
    assert feeder.get(0).step.number == 0
    assert feeder.depth == 12
    feeder.close()


def test_closing_frees_the_slots() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(1))
    feeder.get(0)
    pool = weakref.ref(feeder._pool)
    feeder.close()
    gc.collect()
    assert pool() is None


def test_closing_twice_ends_the_threads_and_names_itself() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(3))
    values, _ = feeder.get(0).arrays
    feeder.close()
    feeder.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("penstock-")]
    with pytest.raises(FlowClosed, match="this flow is closed"):
        feeder.get(1)
    with pytest.raises(FlowClosed, match="this flow is closed"):
        feeder.make(1)
    assert values[0, 0] == 0, "what was delivered stays valid"


def test_garbage_collection_ends_the_threads_without_a_cycle() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2))
    feeder.get(0)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("penstock-")]
    reference = weakref.ref(feeder)
    gc.disable()
    try:
        del feeder
        assert reference() is None, "reference counting alone frees a feeder"
    finally:
        gc.enable()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_statistics_add_up() -> None:
    feeder = make_feeder(FakeMaker(), ThreadExecutor(2))
    for position in range(6):
        feeder.get(position)
    stats = feeder.stats
    assert (stats.batches, stats.samples) == (6, SAMPLES)
    assert stats.make_s["transform"] == 6.0
    assert stats.make_s["read"] >= 0
    assert stats.wait_s > 0
    assert stats.peak_bytes == feeder.peak_bytes
    feeder.close()
