"""Small batches are made together, and nobody can tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fakes import FakeMaker
from interrupts import called_at_line
from penstock import BatchError, ImageDataGenerator
from penstock._pending import Pending
from penstock._types import ArraySpec, BadSample, BatchSpec, FillReport, Step
from penstock.feeding import _feeder
from penstock.feeding._feeder import Feeder
from penstock.feeding._group import group_size, joined, parted, reports_of
from penstock.feeding._plan import Plan, Shard
from penstock.feeding.executors._threads import ThreadExecutor

ROWS, SAMPLES = 16, 150  # ten batches an epoch, the last one of 6
NOTHING_S = 1e-6


def make_plan() -> Plan:
    return Plan(SAMPLES, ROWS, lambda epoch: np.roll(np.arange(SAMPLES), epoch), lambda epoch: np.arange(10)[::-1])


def make_feeder(maker: FakeMaker, workers: int = 1, queue: int = 6) -> Feeder:
    return Feeder(make_plan(), maker, ThreadExecutor(workers), max_queue_size=queue)


def small(**options: Any) -> FakeMaker:
    return FakeMaker(ROWS, is_joinable=True, make_s=NOTHING_S, **options)


def expected(position: int) -> tuple[list[int], list[int]]:
    step = make_plan().step(position)
    return (step.indices + 1000 * step.epoch).tolist(), step.indices.tolist()


def got(feeder: Feeder, position: int) -> tuple[list[int], list[int]]:
    values, indices = feeder.get(position).arrays
    return values[:, 0].tolist(), indices.tolist()


@dataclass
class Reported(FakeMaker):
    """Reports what a function makes of the usual."""

    report: Callable[[Step, FillReport], FillReport] = lambda step, report: report

    def fill(self, step, blobs, out):
        return self.report(step, super().fill(step, blobs, out))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_batches_made_together_are_those_made_one_by_one(workers: int) -> None:
    maker = small()
    feeder = make_feeder(maker, workers, queue=12)
    for position in range(45):
        step = feeder.plan.step(position)
        assert got(feeder, position) == expected(position)
        assert (step.epoch, step.number) == divmod(position, 10)
    feeder.close()
    assert len(maker.made) < 40, "some calls have made more than one"
    assert feeder.stats.batches == 45
    assert feeder.stats.samples == 4 * SAMPLES + 5 * ROWS


def test_who_collects_them_is_not_overwritten() -> None:
    feeder = make_feeder(small(), 2)
    kept = [feeder.get(position).arrays[1][:3] for position in range(40)]
    assert [view.tolist() for view in kept] == [expected(position)[1][:3] for position in range(40)]
    feeder.close()


def test_every_batch_is_aligned_and_writeable() -> None:
    feeder = make_feeder(small())
    for position in range(30):
        for array in feeder.get(position).arrays:
            assert array.ctypes.data % 64 == 0
            assert array.flags.writeable
    feeder.close()


def test_the_bound_of_the_queue_holds() -> None:
    maker = small()
    feeder = make_feeder(maker, 2, queue=7)
    for position in range(12):
        feeder.get(position)
        assert len(feeder._queue) <= 7
    assert feeder._together == 2
    assert feeder.peak_bytes == 7 * 320
    feeder._executor.close()  # has now made all that it was ever given
    assert maker.made[-1] <= (1, 8), "nothing beyond the bound"
    assert feeder.stats.ready <= 7
    feeder.close()


def test_only_the_broken_batch_fails_and_it_says_which_it_is() -> None:
    class Picky(FakeMaker):
        def fill(self, step, blobs, out):
            if self.broken and 70 in step.indices.tolist() and step.epoch == 0:
                raise ZeroDivisionError
            return super().fill(step, blobs, out)

    maker = Picky(ROWS, is_joinable=True, make_s=NOTHING_S, broken={(9, 9)})
    feeder = make_feeder(maker)
    for position in range(4):
        assert got(feeder, position) == expected(position)
    assert feeder._together == 3
    for _ in range(2):
        with pytest.raises(BatchError, match="batch 4 of epoch 0 could not be made") as caught:
            feeder.get(4)
        assert (caught.value.epoch, caught.value.step) == (0, 4)
    maker.broken.clear()
    for position in range(4, 20):
        assert got(feeder, position) == expected(position)
    feeder.close()


def test_a_worker_that_asks_to_exit_is_heard() -> None:
    class Exiting(FakeMaker):
        def fill(self, step, blobs, out):
            if self.broken and len(step.indices) > ROWS:
                raise SystemExit(3)
            return super().fill(step, blobs, out)

    maker = Exiting(ROWS, is_joinable=True, make_s=NOTHING_S, broken={(9, 9)})
    feeder = make_feeder(maker)
    position = 0
    while feeder._together == 1:
        assert got(feeder, position) == expected(position)
        position += 1
    position = feeder._queue[-1].position + 1  # the first of those made together
    with pytest.raises(SystemExit):
        feeder.get(position)
    maker.broken.clear()
    assert got(feeder, position) == expected(position)
    feeder.close()


def test_what_only_a_batch_alone_can_tell_is_asked_of_it_alone() -> None:
    def with_bad(step: Step, report: FillReport) -> FillReport:
        bad = tuple(BadSample(index, None, "torn", index) for index in step.indices.tolist() if index % 20 == 7)
        return report._replace(bad=bad)

    maker = Reported(ROWS, is_joinable=True, make_s=NOTHING_S, report=with_bad)
    feeder = make_feeder(maker)
    for position in range(10):
        batch = feeder.get(position)
        assert [sample.index for sample in batch.bad] == [k for k in batch.step.indices if k % 20 == 7]
    assert feeder.stats.bad_samples == 8
    assert [sample.index for sample in feeder.stats.bad] == [7, 27, 47, 67, 87, 107, 127, 147]
    feeder.close()


def test_an_interrupt_at_any_point_loses_nothing() -> None:
    feeder = make_feeder(small(), 2)
    position, interrupts = 0, 0
    for at_line in range(300):
        try:
            batch = called_at_line(partial(feeder.get, position), _feeder, at_line % 120)
        except KeyboardInterrupt:
            interrupts += 1
        else:
            assert (batch.arrays[0][:, 0].tolist(), batch.arrays[1].tolist()) == expected(position)
            position += 1
    for after in range(position, position + 30):
        assert got(feeder, after) == expected(after)
    feeder.close()
    assert interrupts > 20


def test_asking_elsewhere_and_in_another_order_begins_anew() -> None:
    feeder = make_feeder(small())
    for position in (0, 1, 2, 17, 18, 5, 6, 7, 8, 39, 40, 41):
        assert got(feeder, position) == expected(position)
    assert [feeder.get(p, shuffled=True).step.number for p in range(10)] == list(range(10))[::-1]
    assert got(feeder, 3) == expected(3)
    feeder.close()


def test_nothing_is_made_beyond_the_end() -> None:
    maker = small()
    feeder = make_feeder(maker, queue=12)
    for position in range(8):
        feeder.get(position, end=8)
    feeder._executor.close()
    assert max(maker.made) <= (0, 7)
    assert not feeder._queue
    feeder.close()


def test_other_numbers_of_workers_go_on_with_the_same_stream() -> None:
    feeder = make_feeder(small(), 1, queue=12)
    sizes = set()
    for position in range(60):
        if position % 10 == 9:
            feeder.set_workers(1 + position // 10)
        assert got(feeder, position) == expected(position)
        sizes.add(feeder._together)
    assert len(sizes) > 3
    feeder.close()


def test_a_group_that_is_waited_for_is_counted_as_one_busy_worker() -> None:
    maker = small()
    feeder = make_feeder(maker)
    while len(feeder._queue) < 2 or feeder._queue[-1].making.together == 1:
        feeder.get(len(feeder._queue) and feeder._queue[0].position)
    feeder._drop()
    gate = threading.Event()
    maker.gates.update({(4, number): gate for number in range(10)})
    while maker.started.acquire(blocking=False):
        pass
    consumer = threading.Thread(target=feeder.get, args=(40,))
    consumer.start()
    assert maker.started.acquire(timeout=60)
    stats = feeder.stats
    assert (stats.busy, stats.ready) == (1, 0)
    gate.set()
    consumer.join(60)
    feeder.close()


def test_batches_that_take_their_time_are_made_one_by_one() -> None:
    maker = FakeMaker(ROWS, is_joinable=True, make_s=5e-3)
    feeder = make_feeder(maker)
    for position in range(10):
        feeder.get(position)
    assert feeder._together == 1
    feeder.close()


def test_batches_that_become_slow_are_made_one_by_one_again() -> None:
    def timed(step: Step, report: FillReport) -> FillReport:
        return report._replace(seconds={"transform": NOTHING_S if step.epoch != 1 else 0.02 * len(step.indices) / ROWS})

    feeder = make_feeder(Reported(ROWS, is_joinable=True, report=timed))
    sizes = []
    for position in range(40):
        assert got(feeder, position) == expected(position)
        sizes.append(feeder._together)
    assert sizes[5] == 3
    assert sizes[15] == 1
    assert sizes[30] == 3
    feeder.close()


def test_time_for_a_group_is_time_for_each_of_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[float | None] = []
    real = Pending.wait
    monkeypatch.setattr(
        Pending, "wait", lambda self, timeout_s=None: patience.append(timeout_s) or real(self, timeout_s)
    )
    feeder = Feeder(make_plan(), small(), ThreadExecutor(1), max_queue_size=6, timeout_s=50.0)
    for position in range(20):
        feeder.get(position)
    feeder.close()
    assert set(patience) == {50.0, 150.0}


def test_a_short_batch_does_not_pass_for_a_quick_one() -> None:
    def timed(step: Step, report: FillReport) -> FillReport:
        return report._replace(seconds={"transform": NOTHING_S if len(step.indices) < ROWS else 5e-3})

    feeder = make_feeder(Reported(ROWS, is_joinable=True, report=timed))
    for position in range(20):
        feeder.get(position)
    assert feeder._together == 1
    feeder.close()


@pytest.mark.parametrize(
    ("rows", "columns", "depth", "workers", "size"),
    [
        (32, 768, 10, 1, 5),
        (32, 768, 10, 2, 3),
        (32, 768, 10, 9, 1),
        (32, 768, 1, 0, 1),
        (32, 768, 1000, 2, 8),
        (256, 3072, 10, 2, 3),  # 3 MiB each
        (256, 9216, 10, 2, 1),  # 9 MiB each
        (5, 3, 10, 2, 1),  # the next one would not be aligned
    ],
)
def test_how_many_are_made_together(rows: int, columns: int, depth: int, workers: int, size: int) -> None:
    spec = BatchSpec((ArraySpec((rows, columns), np.dtype("f4")),))
    assert group_size(spec, NOTHING_S, depth, workers) == size
    assert group_size(spec, 5e-3, depth, workers) == 1
    assert group_size(spec, 1.5e-3, depth, workers) == min(size, 2)


def test_arrays_of_other_lengths_are_not_cut() -> None:
    spec = BatchSpec((ArraySpec((32, 16), np.dtype("f4")), ArraySpec((64, 16), np.dtype("f4"))))
    assert group_size(spec, NOTHING_S, 10, 1) == 1


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5), st.integers(0, 60), st.integers(1, 12), st.data())
def test_joined_and_parted_again_every_sample_is_where_it_was(
    samples: int, batch_size: int, world: int, first: int, count: int, data: st.DataObject
) -> None:
    shard = Shard(data.draw(st.integers(0, world - 1)), world)
    plan = Plan(samples, batch_size, lambda epoch: np.roll(np.arange(samples), epoch), np.arange, shard=shard)
    steps = [plan.step(position) for position in range(first, first + count)]
    step, taken = joined(steps)
    assert 1 <= taken <= count
    assert taken == 1 or not any(each.fillers for each in steps[:taken])
    assert {each.epoch for each in steps[:taken]} == {step.epoch}
    parts = parted([step.indices, step.indices.reshape(-1, 1)], steps[:taken])
    for (flat, column), each in zip(parts, steps[:taken], strict=True):
        assert flat.tolist() == column[:, 0].tolist() == each.indices.tolist()


def test_the_parts_of_a_report_add_up() -> None:
    steps = [Step(0, number, 9, np.arange(4)) for number in range(3)]
    report = FillReport(12, {"read": 0.3, "transform": 0.6}, cpu_s=0.9, cache_hits=7, notes=("full",))
    parts = reports_of(report, steps)
    assert parts is not None
    assert sum(part.samples for part in parts) == 12
    assert sum(part.cache_hits for part in parts) == 7
    assert sum(part.cpu_s for part in parts) == pytest.approx(0.9)
    assert sum(part.seconds["transform"] for part in parts) == pytest.approx(0.6)
    assert all(part.notes == ("full",) for part in parts)


@pytest.mark.parametrize("more", [{"rows": (3,)}, {"objects": []}, {"structure": 1}, {"indices": np.arange(3)}])
def test_a_report_of_something_special_has_no_parts(more: dict[str, Any]) -> None:
    assert reports_of(FillReport(4, {}, **more), [Step(0, 0, 1, np.arange(2))] * 2) is None


@pytest.mark.parametrize(("semantics", "is_joined"), [("corrected", True), ("keras", False)])
def test_pixels_and_labels_of_small_images_are_the_same(
    semantics: str, is_joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.feeding._group._MOST_S", 1e6)  # on any machine
    images = np.random.default_rng(0).integers(0, 256, (128, 8, 8, 3), np.uint8)
    labels = np.arange(128, dtype=np.float32)

    def batches(workers: int) -> tuple[list[Any], int]:
        generator = ImageDataGenerator(rotation_range=30, horizontal_flip=True, semantics=semantics)
        with generator.flow(images, labels, batch_size=16, seed=3, workers=workers, max_queue_size=12) as flow:
            made = [next(flow) for _ in range(60)]
            return made, flow._feeder._together

    (one, _), (other, together) = batches(0), batches(1)
    assert (together > 1) == is_joined
    for (x, y), (its_x, its_y) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, its_x)
        np.testing.assert_array_equal(y, its_y)
