"""Ctrl-C at each place where Python looks for it: no batch lost, no wait without an end, nothing left behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

from fakes import FakeMaker
from interrupts import called
from penstock import ImageDataGenerator, feed
from penstock.feeding import _memory
from penstock.feeding._feeder import Feeder
from penstock.feeding._memory import Segment
from penstock.feeding._plan import Plan
from penstock.feeding._slots import SlotPool
from penstock.feeding.executors._crew import Crew
from penstock.feeding.executors._threads import ThreadExecutor

X = np.arange(10 * 4, dtype="uint8").reshape(10, 2, 2, 1)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def interrupted_everywhere(call: Any) -> int:
    """Call again and again, interrupted at a place further on each time, until it ends; returns how often."""
    for at in range(2000):
        try:
            called(call, at)
        except KeyboardInterrupt:
            continue
        return at
    raise AssertionError("it does not end")


def test_the_next_call_of_a_feeder_gives_the_same_batch() -> None:
    """Also where Python's own `Future` would leave a lock behind, for which a worker then waits for ever."""
    plan = Plan(10, 2, lambda epoch: np.arange(10), lambda epoch: np.arange(5))
    feeder = Feeder(plan, FakeMaker(), ThreadExecutor(2), max_queue_size=3, timeout_s=30.0)
    places = 0
    for position in range(8):
        got = []
        places += interrupted_everywhere(lambda: got.append(feeder.get(position)))  # noqa: B023
        assert [(batch.step.epoch, batch.step.number) for batch in got] == [divmod(position, 5)]
    assert places > 200
    feeder.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_call_of_a_flow_gives_the_same_batch(workers: int) -> None:
    generator = ImageDataGenerator(rotation_range=30)
    how = {"batch_size": 4, "seed": 3}
    with generator.flow(X, workers=0, **how) as flow:
        expected = [next(flow).tolist() for _ in range(7)]
    with generator.flow(X, workers=workers, timeout=30, **how) as flow:
        for number in range(7):
            for at in range(0, 2000, 1 if number < 4 else 7):
                try:
                    batch = called(flow.__next__, at)
                except KeyboardInterrupt:
                    assert flow.total_batches_seen == number
                    continue
                assert batch.tolist() == expected[number]
                break


def test_a_change_that_is_interrupted_can_be_made_again() -> None:
    with ImageDataGenerator().flow(X, batch_size=4, shuffle=False, workers=2, timeout=30) as flow:
        first = next(flow).tolist()
        start = flow.state_dict(position=0)
        for change in (
            lambda: flow.load_state_dict(start),
            lambda: setattr(flow, "workers", 3),
            lambda: setattr(flow, "max_queue_size", 2),
        ):
            for at in range(2000):
                try:
                    called(change, at)
                except KeyboardInterrupt:
                    if at % 5 == 0:  # it goes on, whatever has become of the change
                        next(flow)
                    continue
                break
            flow.load_state_dict(start)
            assert next(flow).tolist() == first


def test_a_crew_that_is_interrupted_while_it_begins_leaves_no_thread() -> None:
    class Idle:
        def close(self) -> None:
            pass

        stop = make = close

    ended: list[int] = []
    for at in range(2000):
        crew = Crew(lambda: ended.append(at))  # noqa: B023
        try:
            called(lambda: crew.start([Idle(), Idle(), Idle()]), at)  # type: ignore[list-item]  # noqa: B023
        except KeyboardInterrupt:
            pass
        else:
            break
        for thread in threading.enumerate():
            if thread.name.startswith("penstock-"):
                thread.join(30)
                assert not thread.is_alive(), f"interrupted at place {at}"
        assert at in ended or not crew._threads
    crew.end()


def test_a_thread_that_ends_early_leaves_the_others_at_work() -> None:
    executor = ThreadExecutor(3)
    executor.start(FakeMaker())
    executor.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("penstock-")]
    executor.close()


def test_a_slot_is_not_lost_to_an_interrupt() -> None:
    pool = SlotPool(FakeMaker().spec, 2)
    for at in range(2000):
        leases = [pool.lease(), pool.lease()]
        assert None not in leases, f"interrupted at place {at - 1}"
        assert pool.lease() is None
        del leases
        try:
            called(pool.lease, at)
        except KeyboardInterrupt:
            continue
        break


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors")
def test_memory_is_given_back_if_an_interrupt_comes_while_it_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_memory.os, "posix_fallocate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Segment(4096)
    assert descriptors() == before
    assert interrupted_everywhere(lambda: Segment(4096)) > 6
    assert descriptors() == before
    segment = Segment(4096)
    memory = segment.memory
    del segment
    assert descriptors() > before
    del memory
    gc.collect()
    assert descriptors() == before, "it goes with the memory"


class Hooked:
    """Batches that say how often the hooks were called."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> np.ndarray:
        return np.array([self.begun, self.ended, number])

    def on_epoch_begin(self) -> None:
        self.begun += 1

    def on_epoch_end(self) -> None:
        self.ended += 1


@pytest.mark.parametrize("workers", [0, 2])
def test_hooks_are_called_once_an_epoch_although_it_is_interrupted(workers: int) -> None:
    with feed(Hooked(), workers=workers, timeout=30) as batches:
        for position in range(7):
            got: list[Any] = []
            for at in range(0, 2000, 1 if position % 3 == 0 else 11):
                try:
                    got.append(called(batches.__next__, at))
                except KeyboardInterrupt:
                    continue
                break
            epoch, number = divmod(position, 3)
            assert [batch.tolist() for batch in got] == [[epoch + 1, epoch, number]]
