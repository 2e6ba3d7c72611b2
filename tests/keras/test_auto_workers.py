"""`workers="auto"`: the number changes as a flow runs, and the batches do not."""

from __future__ import annotations

import os
import threading
from itertools import groupby
from typing import Any

import keras
import numpy as np
import pytest

from penstock import BatchError, ImageDataGenerator, WorkerError, feed
from penstock.autotune import Limits, Period, Setting
from penstock.keras import _tuner
from penstock.keras._tuner import Tuner

X = np.random.default_rng(0).integers(0, 256, (40, 9, 7, 3), "uint8")


def led_by(settings: list[Setting], monkeypatch: pytest.MonkeyPatch) -> list[Period]:
    """Have the settings chosen one after the other, and return what is measured meanwhile."""
    measured: list[Period] = []
    left = list(settings)

    def choose(periods: Any, limits: Limits) -> Setting:
        measured.append(list(periods)[-1])
        return left.pop(0) if left else measured[-1].setting

    monkeypatch.setattr(_tuner, "choose", choose)
    monkeypatch.setattr(_tuner, "_SHORTEST_S", 0.0)
    return measured


def limits_seen(monkeypatch: pytest.MonkeyPatch) -> list[Limits]:
    """What is told to a choice that stays with what there is."""
    limits: list[Limits] = []

    def choose(periods: Any, given: Limits) -> Setting:
        limits.append(given)
        return list(periods)[-1].setting

    monkeypatch.setattr(_tuner, "choose", choose)
    monkeypatch.setattr(_tuner, "_SHORTEST_S", 0.0)
    return limits


def batches_of(stream: Any, count: int) -> list[Any]:
    return [np.array(next(stream)) for _ in range(count)]


def flow(**how: Any) -> Any:
    return ImageDataGenerator(rotation_range=30, zoom_range=0.2).flow(X, batch_size=4, seed=5, **how)


WAYS = {
    "more threads and fewer": [Setting(5), Setting(1), Setting(3), Setting(2)],
    "threads, none, threads": [Setting(0), Setting(1), Setting(0), Setting(4)],
    "threads, processes, threads": [Setting(2, True), Setting(1, True), Setting(3, True), Setting(2)],
    "processes, none": [Setting(1, True), Setting(0), Setting(2, True)],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_stream_is_the_same_whatever_is_chosen_on_the_way(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with flow(workers=0) as expected:
        want = batches_of(expected, 90)
    measured = led_by(WAYS[way], monkeypatch)
    with flow() as stream:
        got = batches_of(stream, 90)
        assert stream.is_auto
        assert stream.workers == WAYS[way][-1].workers
        assert stream.use_multiprocessing == WAYS[way][-1].processes
    assert all(np.array_equal(one, other) for one, other in zip(got, want, strict=True))
    assert [setting for setting, _ in groupby(period.setting for period in measured)] == [Setting(2), *WAYS[way]]
    assert all(period.batches >= 1 and period.seconds > 0 for period in measured)


def test_threads_that_leave_are_gone_and_those_that_come_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    led_by([Setting(6), Setting(1)], monkeypatch)
    before = set(threading.enumerate())
    with flow() as stream:
        most = 0
        for _ in range(60):
            next(stream)
            most = max(most, len(stream.worker_ids))
        assert most == 6
        for thread in set(threading.enumerate()) - before:
            if thread.ident not in [worker.thread for worker in stream.worker_ids] and "penstock" in thread.name:
                thread.join(0 if len(stream.worker_ids) == 1 else 30)
        assert stream.workers == 1
    assert not [thread for thread in set(threading.enumerate()) - before if "penstock" in thread.name]


class Unsendable:
    """What threads can make, and processes cannot."""

    def __init__(self) -> None:
        self.running = (number for number in range(3))  # no pickle takes it

    def __len__(self) -> int:
        return 30

    def __getitem__(self, number: int) -> np.ndarray:
        return np.full(2, number)


class Lost(Unsendable):
    """It is sent, and cannot be unpacked over there."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __reduce__(self) -> Any:
        return _only_here, (self.home,)


def _only_here(pid: int) -> Lost:
    if os.getpid() != pid:
        raise ImportError("no module of that name over here")
    return Lost()


@pytest.mark.parametrize("kind", [Unsendable, Lost])
def test_what_processes_cannot_make_stays_with_threads(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    led_by([Setting(2, True)], monkeypatch)
    with feed(kind(), max_queue_size=3) as stream:
        assert [int(next(stream)[0]) for _ in range(70)] == [*range(30), *range(30), *range(10)]
        assert not stream.use_multiprocessing
        assert stream.workers == 2


class Failing:
    def __len__(self) -> int:
        return 30

    def __getitem__(self, number: int) -> np.ndarray:
        if number == 25:
            raise ArithmeticError("not batch 25")
        return np.full(2, number)


def test_an_error_of_the_users_is_theirs_wherever_batches_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    led_by([Setting(2, True)], monkeypatch)
    with feed(Failing()) as stream:
        assert [int(next(stream)[0]) for _ in range(25)] == list(range(25))
        with pytest.raises(BatchError, match="not batch 25"):
            next(stream)
        assert stream.use_multiprocessing


def test_it_can_be_set_and_ended_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = led_by([], monkeypatch)
    with flow(workers=3) as stream:
        batches_of(stream, 30)
        assert not measured
        assert not stream.is_auto
        stream.workers = "auto"
        batches_of(stream, 30)
        assert stream.is_auto
        assert measured
        stream.workers = 1
        before = len(measured)
        batches_of(stream, 30)
        assert len(measured) == before
        assert (stream.is_auto, stream.workers) == (False, 1)


@pytest.mark.parametrize(
    ("keywords", "may_use_processes"),
    [({}, True), ({"use_multiprocessing": False}, False), ({"use_multiprocessing": True}, False)],
)
def test_the_kind_of_workers_is_chosen_only_where_the_user_has_not(
    keywords: dict[str, Any], may_use_processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = limits_seen(monkeypatch)
    with flow(**keywords) as stream:
        batches_of(stream, 20)
    assert {given.may_use_processes for given in limits} == {may_use_processes}


def test_memory_bounds_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = limits_seen(monkeypatch)
    with flow(max_queue_bytes=4 * 4 * 9 * 7 * 3 * 4) as stream:
        batches_of(stream, 12)
    assert {given.most_workers for given in limits} == {3}  # each begins at a multiple of 64 bytes
    limits.clear()
    monkeypatch.setattr(_tuner, "free_bytes", lambda: 4 * 4 * 4 * 9 * 7 * 3 * 4 + 4000)
    with flow() as stream:
        batches_of(stream, 12)
        workers = stream.workers
    assert {given.most_workers for given in limits} == {workers + 4}


def test_a_pool_and_a_generator_have_the_workers_that_they_have() -> None:
    with feed(lambda: iter([np.zeros(2)] * 9)) as stream:
        next(stream)
        assert not stream.is_auto


def test_training_is_tuned_too(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = led_by([Setting(4), Setting(1)], monkeypatch)
    generator = ImageDataGenerator(rotation_range=10)
    with generator.flow(X, np.zeros(len(X)), batch_size=4) as stream:
        model = keras.Sequential([keras.layers.Input((9, 7, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(stream, epochs=6, verbose=0)
        assert stream.workers == 1
    assert {period.setting.workers for period in measured} >= {4, 1}


def test_a_tuner_says_nothing_of_the_first_batch() -> None:
    """It compiles and loads."""
    with flow(workers=2) as stream:
        next(stream)
        tuner = Tuner(stream._feeding)
        feeder = stream._feeder
        assert feeder is not None
        for _ in range(4):
            assert tuner.look(feeder, stream._feeding) is None
        assert not tuner._periods


class Crashing(Failing):
    def __getitem__(self, number: int) -> np.ndarray:
        if number == 25:
            os._exit(7)
        return np.full(2, number)


def test_code_that_crashes_a_process_is_not_called_in_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    led_by([Setting(2, True)], monkeypatch)
    with feed(Crashing(), max_queue_size=2) as stream:
        assert [int(next(stream)[0]) for _ in range(25)] == list(range(25))
        with pytest.raises(WorkerError, match="exit code 7"):
            next(stream)
        assert stream.use_multiprocessing


def test_a_kind_that_the_user_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = limits_seen(monkeypatch)
    with flow() as stream:
        batches_of(stream, 12)
        stream.use_multiprocessing = False
        limits.clear()
        batches_of(stream, 12)
        assert stream.is_auto
    assert {given.may_use_processes for given in limits} == {False}


class Counting(Failing):
    """Its batches depend on how often it has been asked: another process has a count of its own."""

    def __init__(self) -> None:
        self.asked = 0
        self.lock = threading.Lock()

    def __getitem__(self, number: int) -> np.ndarray:
        with self.lock:
            self.asked += 1
            return np.full(2, self.asked)


class Drawing(Failing):
    def __getitem__(self, number: int) -> np.ndarray:
        return np.random.random(2)


@pytest.mark.parametrize("kind", [Counting, Drawing])
def test_processes_that_would_make_other_batches_are_not_chosen(
    kind: type, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    led_by([Setting(1), Setting(2, True)], monkeypatch)
    with feed(kind()) as stream:
        batches = batches_of(stream, 60)
        assert (stream.workers, stream.use_multiprocessing) == (1, False)
    assert "processes make them" not in capsys.readouterr().out
    assert len({float(batch[0]) for batch in batches}) == 60  # none twice, as two counts would have made


class Levelled(Failing):
    level: Any = 0

    def __getitem__(self, number: int) -> np.ndarray:
        return np.full(2, self.level if isinstance(self.level, int) else -1)


def test_what_the_program_sets_between_epochs_reaches_processes_that_nobody_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    led_by([Setting(2, True)], monkeypatch)
    data = Levelled()
    with feed(data) as stream:
        for epoch in range(3):
            data.level = epoch
            taken = [int(batch[0]) for batch in batches_of(stream, 30)]
            assert stream.use_multiprocessing
            assert taken == [epoch] * 30
        data.level = (number for number in range(3))  # no pickle takes it
        assert [int(batch[0]) for batch in batches_of(stream, 30)] == [-1] * 30
        assert not stream.use_multiprocessing
        assert stream.is_auto


class Changing(Levelled):
    def on_epoch_end(self) -> None:
        self.level = (number for number in range(3))


def test_a_hook_after_which_it_cannot_be_sent_leads_back_to_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    led_by([Setting(2, True)], monkeypatch)
    with feed(Changing()) as stream:
        assert [int(batch[0]) for batch in batches_of(stream, 30)] == [0] * 30
        assert stream.use_multiprocessing
        assert [int(batch[0]) for batch in batches_of(stream, 60)] == [-1] * 60
        assert not stream.use_multiprocessing


def test_threads_that_cannot_be_had_are_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = threading.Thread.start
    limits: list[Limits] = []
    asked = []

    def limited(thread: threading.Thread) -> None:
        asked.append(thread)
        if sum(other.name.startswith("penstock-") for other in threading.enumerate()) >= 4:
            raise RuntimeError("can't start new thread")
        begin(thread)

    def choose(periods: Any, given: Limits) -> Setting:
        limits.append(given)
        return Setting(min(8, given.most_workers))

    monkeypatch.setattr(_tuner, "choose", choose)
    monkeypatch.setattr(_tuner, "_SHORTEST_S", 0.0)
    with flow() as stream:
        next(stream)
        monkeypatch.setattr(threading.Thread, "start", limited)
        batches_of(stream, 100)
        monkeypatch.undo()
        # Those that are told to go may be there for a moment when the next number is tried.
        assert 2 <= stream.workers <= 4
        assert len(asked) < 30
        assert limits[-1].most_workers == stream.workers
        feeder = stream._feeder
        assert feeder is not None
        crew = feeder._executor._crew
    assert not crew._hands
    assert not any(thread.is_alive() for thread in crew._threads)


def test_an_interrupt_does_not_end_the_tuning() -> None:
    with flow() as stream:
        next(stream)
        feeder = stream._feeder
        assert feeder is not None
        tuner = Tuner(stream._feeding)
        tuner._left = -7  # as if one had come between two lines
        tuner.look(feeder, stream._feeding)
        assert tuner._left > 0
