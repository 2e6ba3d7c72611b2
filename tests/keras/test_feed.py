"""`feed`: batches of anybody's sequence, the same from threads, processes and the caller's thread."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.trainers.epoch_iterator import EpochIterator

from penstock import BatchError, Feed, feed

pytestmark = pytest.mark.backends

STEPS = 5
EXECUTORS = [
    pytest.param({"workers": 0}, id="caller"),
    pytest.param({"workers": 1}, id="1 thread"),
    pytest.param({"workers": 7}, id="7 threads"),
    pytest.param({"workers": 2, "use_multiprocessing": True}, id="2 processes"),
]


def numbered(k: int, rows: int = 3) -> dict[str, Any]:
    return {"x": np.full((rows, 2), k, "float32"), "more": [np.arange(rows), (np.full(rows, k),)]}


class Numbered(keras.utils.PyDataset):
    """Batches in a nest, the last one shorter."""

    def __init__(self, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, k: int) -> Any:
        return numbered(k, 3 if k < self.steps - 1 else 2), np.full(3 if k < self.steps - 1 else 2, k)


class Old:
    """A Keras 2 Sequence, which was no class of Keras 3."""

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, k: int) -> Any:
        return Numbered()[k]


def labels(feed: Feed, batches: int) -> list[int]:
    return [int(next(feed)[1][0]) for _ in range(batches)]


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, tuple | list):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.once
@pytest.mark.parametrize("feeding", EXECUTORS)
@pytest.mark.parametrize(
    "data", [Numbered(), Old(), [Numbered()[k] for k in range(STEPS)]], ids=["PyDataset", "old", "list"]
)
def test_batches_come_in_order_and_as_they_were_returned(data: Any, feeding: dict[str, Any]) -> None:
    with feed(data, **feeding) as batches:
        assert len(batches) == STEPS
        for k in range(3 * STEPS):
            assert_same(next(batches), Numbered()[k % STEPS])
        assert_same(batches[3], Numbered()[3])
        assert batches.stats.samples >= 3 * (3 * STEPS - 1)


@pytest.mark.parametrize("feeding", EXECUTORS)
def test_batches_of_one_array_and_of_any_shape_are_taken(feeding: dict[str, Any]) -> None:
    data = [np.arange(k + 1.0) for k in range(STEPS)]
    with feed(data, **feeding) as batches:
        for k in range(2 * STEPS):
            np.testing.assert_array_equal(next(batches), data[k % STEPS])


@pytest.mark.parametrize("feeding", EXECUTORS)
def test_what_no_memory_can_be_laid_out_for_still_comes(feeding: dict[str, Any]) -> None:
    data = [(np.array([f"text {k}", k], object), [k, "list"], np.float64(k)) for k in range(STEPS)]
    with feed(data, **feeding) as batches:
        for k in range(2 * STEPS):
            text, plain, number = next(batches)
            assert text.tolist() == data[k % STEPS][0].tolist()
            assert plain == [k % STEPS, "list"]
            assert number == k % STEPS


@pytest.mark.once
@pytest.mark.parametrize("feeding", EXECUTORS)
def test_going_on_at_every_step(feeding: dict[str, Any]) -> None:
    with feed(Numbered(), workers=0) as batches:
        states = []
        for _ in range(STEPS + 2):
            states.append(batches.state_dict())
            next(batches)
    for position, state in list(enumerate(states))[:: 1 if "use_multiprocessing" not in feeding else 3]:
        with feed(Numbered(), **feeding) as batches:
            batches.load_state_dict(state)
            assert labels(batches, 3) == [k % STEPS for k in range(position, position + 3)]


# --- hooks ----------------------------------------------------------------------------------------------------------


class Shuffled(keras.utils.PyDataset):
    """A new order after each epoch; writes down which hooks were called, by whom."""

    def __init__(self) -> None:
        super().__init__()
        self.order = np.arange(STEPS)
        self.table = np.arange(600_000)
        self.calls: list[tuple[str, int]] = []

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, k: int) -> Any:
        return np.full((2, 1), self.table[self.order[k]], "float32"), np.full(2, self.table[self.order[k]])

    def on_epoch_begin(self) -> None:
        self.calls.append(("begin", os.getpid()))

    def on_epoch_end(self) -> None:
        self.calls.append(("end", os.getpid()))
        np.random.RandomState(len(self.calls)).shuffle(self.order)


def shuffled_epochs(count: int) -> list[list[int]]:
    data, epochs = Shuffled(), []
    for _ in range(count):
        data.on_epoch_begin()
        epochs.append([int(data[k][1][0]) for k in range(STEPS)])
        data.on_epoch_end()
    return epochs


@pytest.mark.parametrize("feeding", EXECUTORS)
def test_hooks_run_once_an_epoch_and_the_next_one_is_made_of_what_they_change(feeding: dict[str, Any]) -> None:
    data = Shuffled()
    with feed(data, **feeding) as batches:
        epochs = [labels(batches, STEPS) for _ in range(3)]
    assert epochs == shuffled_epochs(3)
    assert data.calls == [(name, os.getpid()) for name in ("begin", "end", "begin", "end", "begin")]


@pytest.mark.parametrize("feeding", [EXECUTORS[0], EXECUTORS[3]])
def test_hooks_run_once_an_epoch_under_fit(feeding: dict[str, Any]) -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data, validation = Shuffled(), Shuffled()
    with feed(data, **feeding) as batches, feed(validation, **feeding) as other:
        model.fit(batches, epochs=3, shuffle=False, validation_data=other, verbose=0)
    assert [name for name, _ in data.calls] == ["begin", "end"] * 3
    assert [name for name, _ in validation.calls] == ["begin", "end"] * 3


@pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")
def test_large_arrays_that_hooks_leave_alone_are_not_sent_again() -> None:
    with feed(Shuffled(), workers=1, use_multiprocessing=True) as batches:
        labels(batches, 1)
        assert batches._feeder is not None
        before = dict(batches._feeder._executor._luggage.segments)  # type: ignore[attr-defined]
        labels(batches, 2 * STEPS)
        assert batches._feeder._executor._luggage.segments == before  # type: ignore[attr-defined]
        batches.data.table += 1
        assert labels(batches, STEPS)[-1] != 0
        assert batches._feeder._executor._luggage.segments != before  # type: ignore[attr-defined]


@pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")
def test_a_large_array_that_is_made_anew_each_epoch_is_the_new_one() -> None:
    class Cached(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.cache: Any = None
            self.epoch = -1

        def __len__(self) -> int:
            return 3

        def __getitem__(self, k: int) -> Any:
            return np.full(2, self.cache[k])

        def on_epoch_begin(self) -> None:
            self.epoch += 1
            self.cache = np.full(300_000, self.epoch)

        def on_epoch_end(self) -> None:
            self.cache = None

    with feed(Cached(), workers=2, use_multiprocessing=True) as batches:
        assert [int(next(batches)[0]) for _ in range(12)] == [k // 3 for k in range(12)]


def test_an_epoch_may_change_its_length() -> None:
    class Growing(Numbered):
        def on_epoch_end(self) -> None:
            self.steps += 1

    for feeding in ({"workers": 0}, {"workers": 2}):
        with feed(Growing(2), **feeding) as batches:
            assert labels(batches, 2 + 3 + 4) == [0, 1, 0, 1, 2, 0, 1, 2, 3]
            assert len(batches) == 4


def test_a_hook_that_fails_is_the_callers_and_can_be_tried_again() -> None:
    class Failing(Numbered):
        broken = True

        def on_epoch_begin(self) -> None:
            if self.broken:
                raise LookupError("not yet")

    data = Failing()
    with feed(data, workers=2) as batches:
        with pytest.raises(LookupError, match="not yet"):
            next(batches)
        data.broken = False
        assert labels(batches, 2) == [0, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_whose_first_batch_fails_is_begun_once(workers: int) -> None:
    class Failing(Numbered):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[str] = []
            self.broken = True

        def __getitem__(self, k: int) -> Any:
            if k == 0 and self.broken and self.calls:
                raise LookupError("not yet")
            return super().__getitem__(k)

        def on_epoch_begin(self) -> None:
            self.calls.append("begin")

        def on_epoch_end(self) -> None:
            self.calls.append("end")

    data = Failing()
    with feed(data, workers=workers) as batches:
        for _ in range(3):
            with pytest.raises(BatchError, match="not yet"):
                next(batches)
        data.broken = False
        assert labels(batches, STEPS) == list(range(STEPS))
        data.broken = True
        for _ in range(3):
            with pytest.raises(BatchError, match="not yet"):
                next(batches)
        data.broken = False
        assert labels(batches, 2) == [0, 1]
        assert data.calls == ["begin", "end", "begin"]


# --- with Keras -----------------------------------------------------------------------------------------------------


class Pairs(keras.utils.PyDataset):
    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, k: int) -> Any:
        return np.full((4, 1), k, "float32"), np.full((4, 1), 2.0 * k, "float32")


@pytest.mark.parametrize("feeding", EXECUTORS)
def test_fit_evaluate_and_predict_take_it(feeding: dict[str, Any]) -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    with feed(Pairs(), **feeding) as batches:
        model.fit(batches, epochs=4, verbose=0)
        assert batches.total_batches_seen == 4 * STEPS
        assert model.evaluate(batches, verbose=0) < 0.1
        predictions = model.predict(batches, verbose=0)[:, 0]
        np.testing.assert_allclose(predictions, np.repeat(np.arange(STEPS) * 2.0, 4), atol=0.5)
        model.fit(batches.endless(), steps_per_epoch=7, epochs=2, shuffle=False, verbose=0)
        assert batches.total_batches_seen == 4 * STEPS + 14


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("is_endless", [True, False])
def test_batches_that_are_asked_for_and_not_trained_do_not_count(ahead: int, is_endless: bool) -> None:
    """TensorFlow's thread asks for them before an epoch's last step is over, or after it."""

    class OneByOne(EpochIterator):  # type: ignore[misc]
        def __next__(self) -> Any:
            return next(self._epoch_iterator)

    trainer = """def fit(epochs, number, ahead):
        for _ in range(2):
            for step, _, iterator in epochs:
                trained.append(waiting.pop(0) if waiting else number(next(iterator)))
                if step == 1:
                    waiting.extend(number(next(iterator)) for _ in range(ahead))
        return iterator"""
    trained: list[float] = []
    waiting: list[float] = []
    names: dict[str, Any] = {"trained": trained, "waiting": waiting}
    exec(compile(trainer, "trainer.py", "exec"), names)  # by name Keras's
    with feed(Pairs(), workers=0) as batches:
        start = [float(batches[k][0][0, 0]) for k in range(len(batches))]
        data = batches.endless() if is_endless else batches
        epochs = OneByOne(x=data, steps_per_epoch=2, shuffle=False)
        iterator = names["fit"](epochs, lambda batch: float(batch[0][0, 0]), ahead)
        next(iterator, None)  # from now on nobody trains
        assert batches.total_batches_seen == 4
        assert trained == start[:4]
        assert float(next(batches)[0][0, 0]) == start[4]


def test_the_workers_of_a_dataset_are_taken_over() -> None:
    class Many(Pairs):
        def __init__(self) -> None:
            super().__init__(workers=3)

    with feed(Many()) as batches:
        assert (batches.workers, batches.use_multiprocessing) == (3, False)
    with feed(Many(), workers=1) as batches:
        assert batches.workers == 1


# --- what code draws ------------------------------------------------------------------------------------------------


class Drawing(keras.utils.PyDataset):
    def __init__(self) -> None:
        super().__init__()
        self.own = np.random.default_rng(0), random.Random(0)
        self.generator, self.random = self.own

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, k: int) -> Any:
        return np.array([random.random(), np.random.random(), self.generator.random(), self.random.random()])


@pytest.mark.once
@pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")
def test_processes_draw_differently_for_each_batch_and_the_same_whoever_makes_it() -> None:
    streams = []
    for workers in (1, 3):
        np.random.seed(5)
        with feed(Drawing(), workers=workers, use_multiprocessing=True) as batches:
            streams.append([tuple(next(batches).tolist()) for _ in range(3 * STEPS)])
    assert streams[0] == streams[1]
    for column in zip(*streams[0], strict=True):
        assert len(set(column)) == 3 * STEPS


# --- trouble --------------------------------------------------------------------------------------------------------


class Broken(Numbered):
    """Batch 2 is what it is told to be."""

    def __init__(self, wrong: Any) -> None:
        super().__init__()
        self.wrong = wrong

    def __getitem__(self, k: int) -> Any:
        if k != 2:
            return super().__getitem__(k)
        if isinstance(self.wrong, str):
            raise LookupError(self.wrong)
        return self.wrong


@pytest.mark.once
@pytest.mark.parametrize("feeding", EXECUTORS)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("nothing there", "batch 2 of epoch 0 could not be made: LookupError: nothing there"),
        (None, "batch 2 of `Broken` is None, and a batch should be an array"),
        ((), r"batch 2 of `Broken` is \(\), and a batch"),
        ((np.zeros(3), np.zeros(3)), r"is \(x, x\), and the first one was \(\{'x': x, 'more': \[x, \(x,\)\]\}, x\)"),
    ],
)
def test_a_batch_that_is_none_says_so_in_its_turn(wrong: Any, words: str, feeding: dict[str, Any]) -> None:
    with feed(Broken(wrong), **feeding) as batches:
        assert labels(batches, 2) == [0, 1]
        for _ in range(2):
            with pytest.raises(BatchError, match=words) as caught:
                next(batches)
            assert (caught.value.epoch, caught.value.step) == (0, 2)


@pytest.mark.parametrize("data", [lambda x: 1, 7, {"a": 1}, "text", None, dict])
def test_what_gives_no_batches_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=r"should have a length and give batch number i .* Received: "):
        feed(data)


def test_a_flow_is_not_fed_twice() -> None:
    with feed(Numbered()) as batches, pytest.raises(TypeError, match="A Feed is made ahead already"):
        feed(batches)


# --- generators -----------------------------------------------------------------------------------------------------

ONE_PRODUCER = [
    pytest.param({"workers": 0}, id="caller"),
    pytest.param({}, id="thread"),
    pytest.param({"use_multiprocessing": True}, id="process"),
]


def counting(first: int = 0, end: int = 6) -> Any:
    for k in range(first, end):
        yield np.full((2, 1), k, "float32"), {"y": np.full(2, k)}


def numbers(batches: Any, count: int) -> list[int]:
    return [int(next(batches)[1]["y"][0]) for _ in range(count)]


@pytest.mark.parametrize("feeding", ONE_PRODUCER)
def test_a_function_s_generator_begins_again_when_it_ends(feeding: dict[str, Any]) -> None:
    with feed(counting, **feeding) as batches:
        assert numbers(batches, 20) == [k % 6 for k in range(20)]
        assert batches.total_batches_seen == 20


@pytest.mark.parametrize("feeding", ONE_PRODUCER[:2])
def test_a_loop_over_a_generator_ends_with_it(feeding: dict[str, Any]) -> None:
    with feed(counting(2), **feeding) as batches:
        assert [int(x[0, 0]) for x, _ in batches] == [2, 3, 4, 5]
        assert list(batches) == []


@pytest.mark.parametrize("feeding", ONE_PRODUCER)
def test_a_generator_may_refill_one_array(feeding: dict[str, Any]) -> None:
    def refilled() -> Any:
        x = np.zeros(3)
        for k in range(20):
            x[...] = k
            yield x

    with feed(refilled, **feeding) as batches:
        kept = [next(batches) for _ in range(20)]
    assert [int(x[0]) for x in kept] == list(range(20))


@pytest.mark.parametrize("feeding", ONE_PRODUCER)
def test_a_generator_that_fails_has_not_ended(feeding: dict[str, Any]) -> None:
    def failing() -> Any:
        yield np.zeros(1)
        raise LookupError("no more")

    with feed(failing, **feeding) as batches:
        next(batches)
        for _ in range(2):
            with pytest.raises(BatchError, match="LookupError: no more"):
                next(batches)


@pytest.mark.parametrize("feeding", ONE_PRODUCER)
def test_fit_takes_a_generator_s_batches_in_order_and_goes_on_where_it_stopped(feeding: dict[str, Any]) -> None:
    def pairs() -> Any:
        k = 0
        while True:
            yield np.full((4, 1), k, "float32"), np.full((4, 1), 2.0 * k, "float32")
            k += 1

    def trained(data: Any, *rounds: int) -> float:
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "linear", False, "ones")])
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        for steps in rounds:
            model.fit(data, steps_per_epoch=steps, epochs=2, shuffle=False, verbose=0)
        return float(model.get_weights()[0][0, 0])

    with feed(pairs, **feeding) as batches:
        got = trained(batches, 3)
    assert got == pytest.approx(trained(pairs(), 3), rel=1e-4)


def test_a_generator_that_ends_in_training_says_so() -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    three = (batch for batch in [(np.zeros((2, 1)), np.zeros(2))] * 3)
    with feed(three) as batches, pytest.raises(Exception, match="the generator ended after 3 batches"):
        model.fit(batches, steps_per_epoch=9, shuffle=False, verbose=0)


def test_several_workers_for_a_generator_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"one worker at a time. Received: workers=2. .* a keras.utils.PyDataset"):
        feed(counting(), workers=2)
    with pytest.raises(TypeError, match=r"cannot be sent to a process. Give the function"):
        feed(counting(), use_multiprocessing=True)


@pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")
def test_a_killed_producer_goes_on_where_it_was(tmp_path: Path) -> None:
    flag = tmp_path / "happened"

    def deadly() -> Any:
        for k in range(8):
            if k == 4 and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), 9)
            yield np.array([k])

    with feed(deadly, use_multiprocessing=True) as batches:
        assert [int(next(batches)[0]) for _ in range(12)] == [*range(8), *range(4)]


SCRIPT = """
import sys, time
import keras
import numpy as np
from penstock import feed

class Mine(keras.utils.PyDataset):
    def __init__(self, by):
        super().__init__()
        self.by = by
    def __len__(self):
        return 4
    def __getitem__(self, k):
        heavy = {"keras", "jax", "tensorflow", "torch"} & set(sys.modules)
        return np.full(3, k * self.by), np.array([len(heavy)])

data = Mine(by=10)
batches = feed(data, workers=2, use_multiprocessing=True)
print([int(next(batches)[0][0]) for _ in range(5)], next(batches)[1])
"""


@pytest.mark.once
@pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")
def test_a_class_of_a_script_without_a_main_guard_reaches_processes_that_do_not_import_keras(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "mine.py").write_text(SCRIPT.split("data = ")[0])
    (tmp_path / "user.py").write_text("from mine import *\ndata = " + SCRIPT.split("data = ")[1])
    for name in ("script.py", "user.py"):
        done = subprocess.run(
            [sys.executable, "-W", "error", name],
            cwd=tmp_path,
            env={**os.environ, "KERAS_BACKEND": "jax"},  # TensorFlow writes to stderr by itself
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("[0, 10, 20, 30, 0] [0]\n", "")


def test_a_state_in_the_middle_of_an_epoch_begins_it_for_the_hooks() -> None:
    class Counting(keras.utils.PyDataset):
        begun = ended = 0

        def __len__(self) -> int:
            return 4

        def __getitem__(self, number: int) -> np.ndarray:
            return np.full(2, 10 * self.begun + number)

        def on_epoch_begin(self) -> None:
            self.begun += 1

        def on_epoch_end(self) -> None:
            self.ended += 1

    with feed(Counting(), workers=1) as one:
        for _ in range(2):
            next(one)
        state = one.state_dict()
    data = Counting()
    with feed(data, workers=1) as other:
        other.load_state_dict(state)
        assert [int(next(other)[0]) for _ in range(3)] == [12, 13, 20]
    assert (data.begun, data.ended) == (2, 1)


def test_a_bound_in_bytes_holds_before_the_first_batch_is_known() -> None:
    under_way, most = [0], [0]
    lock = threading.Lock()

    class Large:
        def __len__(self) -> int:
            return 8

        def __getitem__(self, number: int) -> np.ndarray:
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            return np.zeros((1000, 100))

    with feed(Large(), workers=4, max_queue_size=8, max_queue_bytes="1MB") as stream:
        for _ in range(4):
            next(stream)
            with lock:
                under_way[0] -= 1
        assert most[0] <= 2  # the one asked for, and the one ahead
        assert stream.peak_bytes <= 1_000_000


def test_keys_in_another_order_are_the_same_batch() -> None:
    batches = [{"a": np.zeros(2), "b": np.ones(3)}, {"b": np.ones(3), "a": np.zeros(2)}]
    with feed(batches, workers=1) as stream:
        for _ in range(4):
            assert {name: len(part) for name, part in next(stream).items()} == {"a": 2, "b": 3}
    with feed([batches[0], {"a": np.zeros(2), "c": np.ones(3)}], workers=1) as stream:
        next(stream)
        with pytest.raises(BatchError, match="Batches should be alike"):
            next(stream)


class Computing:
    """Batches that take a while: in Python, or in a wait outside of it."""

    def __init__(self, in_python: bool) -> None:
        self.in_python = in_python

    def __len__(self) -> int:
        return 40

    def __getitem__(self, number: int) -> np.ndarray:
        if self.in_python:
            total = 0
            for k in range(400_000):  # as much work on a busy machine, and not as much time
                total += k
        else:
            threading.Event().wait(0.001)
        return np.full(2, number)


def take_until_held(stream: Any) -> None:
    """Batches, and some more of them once its threads have been found to wait for the lock."""
    left = 300
    while left:
        next(stream)
        left -= 1
        if stream.waits_for_lock:
            left = min(left, 10)


@pytest.mark.once
@pytest.mark.parametrize("in_python", [True, False])
def test_threads_that_the_interpreter_lock_holds_up_say_so_once(in_python: bool, capsys: Any) -> None:
    said = 0
    for _ in range(5):  # other programs may have the cores while it looks
        with feed(Computing(in_python), workers=2) as stream:
            take_until_held(stream)
        said = capsys.readouterr().out.count("take turns at the interpreter lock")
        if said or not in_python:
            break
    assert said == in_python
    with feed(Computing(True), workers=1) as stream:
        for _ in range(25):
            next(stream)
    assert "lock" not in capsys.readouterr().out


def test_a_program_that_keeps_the_interpreter_lock_is_not_told_of_its_batches(capsys: Any) -> None:
    is_over = threading.Event()

    def compute() -> None:  # as Keras does while it traces a model
        while not is_over.is_set():
            sum(range(1000))

    busy = threading.Thread(target=compute)
    busy.start()
    try:
        with feed(Computing(False), workers=2) as stream:
            for _ in range(60):
                next(stream)
            assert not stream.waits_for_lock
    finally:
        is_over.set()
        busy.join()
    assert capsys.readouterr().out == ""


def test_a_thread_of_its_own_keeps_quiet_where_printing_is_turned_off(capsys: Any) -> None:
    keras.config.disable_interactive_logging()

    for _ in range(5):  # as above
        with feed(Computing(True), workers=2) as stream:
            asking = threading.Thread(target=take_until_held, args=(stream,))
            asking.start()
            asking.join()
            if stream.waits_for_lock:
                break
    assert stream.waits_for_lock
    assert capsys.readouterr().out == ""
