"""`feed` of a function of `(part, parts)`: one stream, however many workers make it; and of generators, guarded."""

from __future__ import annotations

import gc
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from penstock import BatchError, FlowClosed, feed

pytestmark = pytest.mark.backends
posix = pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")

PARTS = 12
THREADS = [pytest.param({"workers": workers}, id=f"{workers} threads") for workers in (0, 1, 2, 3, 5, 12, 13)]
PROCESSES = [
    pytest.param({"workers": workers, "use_multiprocessing": True}, id=f"{workers} processes", marks=posix)
    for workers in (1, 3)
]
SOME = [THREADS[0], THREADS[3], PROCESSES[1]]


def unequal(part: int, parts: int) -> Iterator[Any]:
    """From 0 to 4 batches; parts 0 and 5 have none."""
    for number in range(part % 5):
        yield np.full(part + 1, number), {"part": np.array([part]), "parts": np.array([parts])}


def in_turn(function: Callable[[int, int], Iterator[Any]]) -> Iterator[Any]:
    """The same with plain generators."""
    while True:
        live = [iter(function(part, PARTS)) for part in range(PARTS)]
        while live:
            for generator in tuple(live):
                try:
                    yield next(generator)
                except StopIteration:
                    live.remove(generator)


def flat(batch: Any) -> tuple[int, int, int]:
    numbers, more = batch
    assert (numbers == numbers[0]).all()
    return len(numbers) - 1, int(numbers[0]), int(more["parts"][0])


def expected(count: int, first: int = 0) -> list[tuple[int, int, int]]:
    return list(map(flat, itertools.islice(in_turn(unequal), first, first + count)))


def numbered(part: int, parts: int, batches: int = 1 << 40) -> Iterator[Any]:
    for number in range(batches):
        yield np.array([part, number])


def taken(batches: Any, count: int) -> list[tuple[int, ...]]:
    return [tuple(next(batches).tolist()) for _ in range(count)]


def round_robin(count: int, first: int = 0) -> list[tuple[int, ...]]:
    return [(k % PARTS, k // PARTS) for k in range(first, first + count)]


# --- one stream -----------------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("feeding", THREADS + PROCESSES)
def test_the_stream_is_the_same_for_any_number_of_workers(feeding: dict[str, Any]) -> None:
    in_a_pass = sum(part % 5 for part in range(PARTS))
    count = 3 * in_a_pass + 5
    with feed(unequal, **feeding) as batches:
        assert [flat(next(batches)) for _ in range(count)] == expected(count)
        assert batches.total_batches_seen == batches.stats.batches == count


@pytest.mark.once
@pytest.mark.parametrize("feeding", SOME)
def test_parts_without_an_end_go_on_for_ever(feeding: dict[str, Any]) -> None:
    with feed(numbered, **feeding) as batches:
        assert taken(batches, 100) == round_robin(100)


@pytest.mark.once
@pytest.mark.parametrize("feeding", SOME)
def test_a_part_may_refill_one_array(feeding: dict[str, Any]) -> None:
    def refilling(part: int, parts: int) -> Iterator[Any]:
        array = np.zeros(2, int)
        for number in range(50):
            array[:] = part, number
            yield array

    with feed(refilling, max_queue_size=50, **feeding) as batches:
        kept = [next(batches) for _ in range(100)]
    assert [tuple(batch.tolist()) for batch in kept] == round_robin(100)


@pytest.mark.parametrize("feeding", SOME)
def test_fit_takes_the_parts_in_turn_and_looks_at_shapes_take_nothing(feeding: dict[str, Any]) -> None:
    def pairs(part: int, parts: int) -> Iterator[Any]:
        for number in range(1 + part % 3):
            x = np.full((4, 1), part + number / 10, "float32")
            yield x, 2 * x

    def trained(data: Any) -> float:
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "linear", False, "ones")])
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        model.fit(data, steps_per_epoch=7, epochs=5, shuffle=False, verbose=0)
        return float(model.get_weights()[0][0, 0])

    with feed(pairs, **feeding) as batches:
        assert trained(batches) == pytest.approx(trained(in_turn(pairs)), rel=1e-5)


@pytest.mark.parametrize("feeding", SOME)
def test_lists_come_as_they_are_and_go_to_keras_as_its_back_end_takes_them(feeding: dict[str, Any]) -> None:
    def lists(part: int, parts: int) -> Iterator[Any]:
        while True:
            yield [np.ones((2, 1), "float32"), np.ones((2, 1), "float32")], np.ones((2, 1), "float32")

    inputs = [keras.layers.Input((1,)), keras.layers.Input((1,))]
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.add(inputs)))
    model.compile("sgd", "mse")
    with feed(lists, **feeding) as batches:
        assert isinstance(next(batches)[0], list)
        assert isinstance(batches[0][0], list)
        model.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0)


@pytest.mark.once
@posix
def test_processes_draw_the_same_for_any_number_of_workers() -> None:
    generator = np.random.default_rng(0)

    def drawing(part: int, parts: int) -> Iterator[Any]:
        for _ in range(1 + part % 3):
            yield np.array([np.random.random(), generator.random()])

    streams = []
    for workers in (1, 3):
        np.random.seed(5)
        with feed(drawing, workers=workers, use_multiprocessing=True) as batches:
            streams.append(taken(batches, 60))
    assert streams[0] == streams[1]
    assert len(set(itertools.chain(*streams[0]))) == 120


# --- what is a part -------------------------------------------------------------------------------------------------


def test_what_can_be_called_without_arguments_has_no_parts() -> None:
    def either(part: int = 7, parts: int = 9) -> Iterator[Any]:
        yield np.array([part, parts])

    with feed(either) as batches:
        assert taken(batches, 3) == [(7, 9)] * 3
        assert (batches.parts, batches.workers) == (1, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_methods_and_partials_and_lists_of_batches_will_do(workers: int) -> None:
    class Recipe:
        def batches(self, k: int, n: int) -> list[Any]:
            return [np.array([k, number]) for number in range(3)]

    for function in (Recipe().batches, partial(numbered, batches=3)):
        with feed(function, workers=workers) as batches:
            assert taken(batches, 40) == round_robin(36) + round_robin(4)


def test_more_workers_than_parts_are_not_started(capsys: pytest.CaptureFixture[str]) -> None:
    with feed(numbered, workers=40) as batches:
        assert batches.workers == PARTS
        assert capsys.readouterr().out == "penstock: 12 workers make the batches, one for each part, instead of 40.\n"
    with feed(numbered) as batches:
        assert 1 <= batches.workers <= PARTS
        assert capsys.readouterr().out == ""


def test_the_queue_is_shared_by_the_workers() -> None:
    nbytes = np.array([0, 0]).nbytes
    for size, room in ((7, 7), (2, 3)):  # each worker has one ahead at least
        with feed(numbered, workers=3, max_queue_size=size) as batches:
            taken(batches, 3)
            assert batches.stats.peak_bytes == room * nbytes
    with feed(numbered, workers=3, max_queue_size=30, max_queue_bytes=6 * nbytes) as batches:
        taken(batches, 3)
        assert batches.stats.peak_bytes == 6 * nbytes


def test_all_workers_are_at_it_from_the_start() -> None:
    at_it = threading.Barrier(4)

    def waiting(part: int, parts: int) -> Iterator[Any]:
        if part < 4:
            at_it.wait(60)
        yield from numbered(part, parts)

    with feed(waiting, workers=4) as batches:
        assert taken(batches, 30) == round_robin(30)


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.once
@posix
def test_the_stream_goes_on_whatever_is_set() -> None:
    position = 0
    with feed(unequal, workers=2) as batches:
        for setting in (
            {},
            {"workers": 5},
            {"max_queue_size": 2},
            {"use_multiprocessing": True},
            {"workers": 1},
            {"use_multiprocessing": False, "workers": 0},
            {"max_queue_bytes": "1KB", "workers": 3},
        ):
            for name, value in setting.items():
                setattr(batches, name, value)
                assert getattr(batches, name) == (1000 if name == "max_queue_bytes" else value)
            assert [flat(next(batches)) for _ in range(9)] == expected(9, position)
            position += 9
        assert batches.stats.batches == position


def test_what_threads_have_made_ahead_is_not_made_again() -> None:
    made: list[tuple[int, int]] = []

    def recorded(part: int, parts: int) -> Iterator[Any]:
        for batch in numbered(part, parts):
            made.append(tuple(batch.tolist()))
            yield batch

    with feed(recorded, workers=3) as batches:
        stream = taken(batches, 20)
        for workers in (1, 12, 0, 4):
            batches.workers = workers
            stream += taken(batches, 20)
    assert stream == round_robin(100)
    assert len(made) == len(set(made))


def test_a_plain_generator_loses_nothing_to_settings_and_refuses_what_it_cannot_do() -> None:
    def counting() -> Iterator[Any]:
        for number in itertools.count():
            yield np.array([number])

    with feed(counting()) as batches:
        assert taken(batches, 5) == [(k,) for k in range(5)]
        for setting in ({"workers": 0}, {"max_queue_size": 3}, {"workers": "auto"}):
            for name, value in setting.items():
                setattr(batches, name, value)
            before = batches.total_batches_seen
            assert taken(batches, 5) == [(k,) for k in range(before, before + 5)]
        assert batches.workers == 1
        with pytest.raises(
            ValueError, match=r"one worker at a time. Received: workers=2. For several, .*\(part, parts"
        ):
            batches.workers = 2
        with pytest.raises(TypeError, match=r"cannot be sent to a process. Give the function"):
            batches.use_multiprocessing = True
        assert taken(batches, 1) == [(20,)]


def test_the_queue_of_a_dataset_is_taken_over() -> None:
    class Three(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, number: int) -> Any:
            return np.array([number])

    with feed(Three(max_queue_size=4)) as batches:
        assert batches.max_queue_size == 4
    with feed(Three(max_queue_size=4), max_queue_size=2) as batches:
        assert batches.max_queue_size == 2


# --- trouble --------------------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("feeding", SOME)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (LookupError("gone"), r"batch 1 of part 5 of `.*troubled` could not be made: LookupError: gone"),
        (BatchError("gone"), "^gone"),
        (None, r"batch 1 of part 5 of `.*troubled` is None, and a batch should be"),
        ({"x": np.zeros(1)}, r"batch 17 \(of part 5 of `.*troubled`\) is \{'x': x\}, and the first one was x"),
    ],
)
def test_trouble_comes_in_its_turn_and_stays(wrong: Any, words: str, feeding: dict[str, Any]) -> None:
    def troubled(part: int, parts: int) -> Iterator[Any]:
        for batch in numbered(part, parts):
            if batch.tolist() == [5, 1]:
                if isinstance(wrong, Exception):
                    raise wrong
                yield wrong
            yield batch

    with feed(troubled, **feeding) as batches:
        assert taken(batches, PARTS + 5) == round_robin(PARTS + 5)
        for _ in range(3):
            with pytest.raises(BatchError, match=words) as caught:
                next(batches)
            assert caught.value.step == PARTS + 5
            if isinstance(wrong, BatchError):
                assert "batch 1 of part 5 of" in "".join(caught.value.__notes__)
        batches.workers = 1
        with pytest.raises(BatchError, match=words):
            next(batches)
        assert batches.stats.batches == batches.total_batches_seen == PARTS + 5


@pytest.mark.once
@pytest.mark.parametrize("feeding", SOME)
def test_a_pass_without_any_batch_is_an_error(feeding: dict[str, Any]) -> None:
    def nothing(*part: int) -> Iterator[Any]:
        yield from ()

    def parts(part: int, parts: int) -> Iterator[Any]:
        yield from ()

    for function, workers in ((parts, feeding["workers"]), (nothing, min(1, feeding["workers"]))):
        with feed(function, **{**feeding, "workers": workers}) as batches:
            for _ in range(2):
                with pytest.raises(BatchError, match="ended before the first batch"):
                    next(batches)


@pytest.mark.once
@posix
@pytest.mark.parametrize("workers", [1, 3])
def test_the_parts_of_a_killed_worker_go_on_where_they_were(workers: int, tmp_path: Path) -> None:
    flag = tmp_path / "happened"

    def deadly(part: int, parts: int) -> Iterator[Any]:
        for batch in unequal(part, parts):
            if part == 4 and batch[0][0] == 2 and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), 9)
            yield batch

    with feed(deadly, workers=workers, use_multiprocessing=True) as batches:
        assert [flat(next(batches)) for _ in range(50)] == expected(50)
    assert flag.exists()


@pytest.mark.once
@posix
def test_worker_processes_share_large_arrays_also_one_that_replaces_another(tmp_path: Path) -> None:
    table, flag = np.arange(400_000), tmp_path / "happened"

    def looking_up(part: int, parts: int) -> Iterator[Any]:
        for number in range(10):
            if (part, number) == (2, 3) and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), 9)
            yield table[[part, number]]

    with feed(looking_up, workers=3, use_multiprocessing=True) as batches:
        assert taken(batches, 100) == round_robin(100)
        producers = batches._producers._producers  # type: ignore[union-attr]
        segments = [producer.feeder._executor._luggage.segments for producer in producers]  # type: ignore[attr-defined]
        assert len(segments[0]) == 1
        assert segments[0] == segments[1] == segments[2]
    assert flag.exists()


@pytest.mark.parametrize("feeding", [{"workers": 1}, {"workers": 3}])
def test_a_generator_that_asks_its_own_feed_is_told_so(feeding: dict[str, Any]) -> None:
    feeds: list[Any] = []

    def asking(part: int, parts: int) -> Iterator[Any]:
        yield np.array([part, 0])
        yield next(feeds[0]) if part % 2 else feeds[0][0]

    with feed(asking, **feeding) as batches:
        feeds.append(batches)
        assert taken(batches, PARTS) == round_robin(PARTS)
        with pytest.raises(BatchError, match=r"batch 1 of part 0 .* RuntimeError: .* asks the same flow for a batch"):
            next(batches)
        feeds.clear()


def test_the_end_of_a_generator_is_no_batch() -> None:
    with feed(np.array([k]) for k in range(4)) as batches:
        assert [int(batch[0]) for batch in batches] == [0, 1, 2, 3]
        assert list(batches) == []
        assert (batches.stats.batches, batches.stats.samples, batches.stats.ready) == (4, 4, 0)
        batches.workers = 0
        assert list(batches) == []


# --- nothing is left ------------------------------------------------------------------------------------------------


def workers_left() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("penstock-")]


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def pids(part: int, parts: int) -> Iterator[Any]:
    while True:
        yield np.array([os.getpid()])


@pytest.mark.once
@pytest.mark.parametrize("feeding", [THREADS[3], PROCESSES[1]])
@pytest.mark.parametrize("ended", ["closed", "deleted"])
def test_nothing_is_left_running(ended: str, feeding: dict[str, Any]) -> None:
    batches = feed(pids, **feeding)
    processes = {pid for (pid,) in taken(batches, PARTS)} - {os.getpid()}
    assert len(workers_left()) == 3
    if ended == "closed":
        batches.close()
        batches.close()
        with pytest.raises(FlowClosed):
            next(batches)
    del batches
    gc.collect()
    for thread in workers_left():
        thread.join(60)
    assert not workers_left()
    assert len(processes) == (3 if "use_multiprocessing" in feeding else 0)
    assert not any(map(is_there, processes))


def test_a_thread_that_waits_is_woken_by_closing() -> None:
    waits, held = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def stuck(part: int, parts: int) -> Iterator[Any]:
        waits.set()
        held.wait(60)
        yield np.array([part])

    def ask() -> None:
        try:
            next(batches)
        except FlowClosed as closed:
            failures.append(closed)

    batches = feed(stuck, workers=2)
    consumer = threading.Thread(target=ask)
    consumer.start()
    assert waits.wait(60)
    closer = threading.Thread(target=batches.close)
    closer.start()
    consumer.join(60)
    assert len(failures) == 1
    held.set()
    closer.join(60)


class ClosingWhenSent:
    """Closes its feed while that is opened: when it is pickled for the first process."""

    feeds: list[Any]

    def __call__(self, part: int, parts: int) -> Iterator[Any]:
        return numbered(part, parts)

    def __getstate__(self) -> dict[str, Any]:
        for batches in self.feeds:
            batches.close()
        return {}


@posix
def test_closing_while_it_is_opened_leaves_no_worker() -> None:
    function = ClosingWhenSent()
    function.feeds = []
    batches = feed(function, workers=3, use_multiprocessing=True)
    function.feeds.append(batches)
    with pytest.raises(FlowClosed):
        next(batches)
    assert not workers_left()


@posix
def test_a_function_that_cannot_be_sent_leaves_all_as_it_was() -> None:
    unsendable = (number for number in ())

    def function(part: int, parts: int) -> Iterator[Any]:
        assert unsendable
        yield from numbered(part, parts)

    with feed(function, workers=3) as batches:
        assert taken(batches, 5) == round_robin(5)
        with pytest.raises(TypeError, match="cannot be made by other processes"):
            batches.use_multiprocessing = True
        assert taken(batches, 5) == round_robin(5, 5)
        assert batches.use_multiprocessing is False
