"""One run with fault upon fault: no batch lost or doubled, no hang, nothing left behind.

`PENSTOCK_FAULTS=300` lets 300 of them loose on each stream, `PENSTOCK_FAULTS_SEED` says which. A run that fails prints
its seed and what has happened until then.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import gc
import hashlib
import json
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import psutil
import pytest
from PIL import Image

from interrupts import called, can_be_interrupted
from leftovers import descriptors, shared_memory
from penstock import BatchError, ImageDataGenerator, ImageError, WorkerError, feed
from penstock.feeding.executors import _companion

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="stops processes and counts descriptors"),
    pytest.mark.usefixtures("quick_collections"),
]

FAULTS = int(os.environ.get("PENSTOCK_FAULTS", "14"))
SEED = int(os.environ.get("PENSTOCK_FAULTS_SEED", "0"))
STEPS, BATCH_SIZE = 7, 4
LIMIT_S = 60.0  # for one batch, whatever befalls it
TIMEOUT_S = 2.0  # of the streams: what a worker may take for a batch that takes milliseconds


class Fails:
    """A user's function that fails once for each file in a folder, or stands still while a gate is shut."""

    def __init__(self, folder: Path, gate: threading.Event | None = None) -> None:
        self.folder = str(folder)
        self.gate = gate

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if self.gate is not None:
            assert self.gate.wait(LIMIT_S)
        fail_once(self.folder, "")
        return image


class Batches(keras.utils.PyDataset):
    """A user's sequence, whose hooks make each epoch another one."""

    def __init__(self, folder: Path, epoch: int = 0) -> None:
        super().__init__()
        self.folder = str(folder)
        self.epoch = epoch
        self.table = np.arange(1 << 18, dtype="i8")  # large enough to be shared

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, number: int) -> Any:
        fail_once(self.folder, f"{self.epoch}-{number}-")
        own = np.random.RandomState(self.epoch).permutation(len(self.table))[number::9999]
        return self.table[own] + self.epoch, {"own": own, "number": np.full(len(own), number)}

    def on_epoch_end(self) -> None:
        self.epoch += 1


def fail_once(folder: str, start: str) -> None:
    for name in os.listdir(folder):
        if name.startswith(start):
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                os.unlink(os.path.join(folder, name))
                raise ArithmeticError("trouble")


class HangError(Exception):
    """A batch has not come."""


class Run:
    """A stream, the faults that are let loose on it, and what it delivers all the same.

    Args:
        make: the stream, for a sequence's epoch and with a timeout.
        trouble: the folder of those who should fail.
        images: the folder of the image files; None for a sequence.
    """

    def __init__(
        self, make: Callable[..., Any], trouble: Path, images: Path | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.make, self.trouble = make, trouble
        self.files = [] if images is None else sorted(images.rglob("*.png"))
        self.numbers = np.random.default_rng([SEED, FAULTS])
        self.gate = threading.Event()
        self.gate.set()
        self.position = 0
        self.refusals = 0  # of memory to share, still to come
        self.damaged: dict[str, bytes] = {}
        self.ever_damaged: set[str] = set()
        self.seen: Counter[str] = Counter()
        self.timers: list[threading.Timer] = []
        self.armed_at = -1  # the place in the next call that is interrupted; see `called`
        with make(0, timeout=None) as stream:  # the first batches may wait for compiled code
            self.due = [digest(next(stream)) for _ in range(5 * FAULTS + 3 * STEPS)]
        assert len(set(self.due)) == len(self.due)
        self.stream = make(0)
        real = os.posix_fallocate

        def allocate(descriptor: int, offset: int, nbytes: int) -> None:
            if self.refusals:
                self.refusals -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor, offset, nbytes)

        monkeypatch.setattr(os, "posix_fallocate", allocate)
        monkeypatch.setattr(_companion, "_ANSWER_S", 10.0)  # one that is stopped while it starts

    def let_loose(self, kinds: list[str]) -> None:
        """Take batch after batch, with a fault before some of them."""
        for number in range(FAULTS):
            kind = str(self.numbers.choice(kinds))
            print(f"fault {number} before batch {self.position}: {kind}", flush=True)
            getattr(self, kind)()
            for _ in range(self.numbers.integers(0, 4)):
                self.take()
        self.end_faults()
        for _ in range(2 * STEPS):
            self.take()
        assert self.stream.total_batches_seen == self.position
        print(f"{self.position} batches; {dict(self.seen)}")

    def end_faults(self) -> None:
        self.refusals = 0
        self.gate.set()
        for path in tuple(self.damaged):
            self.mend(path)
        for process in workers():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    # --- the consumer ---

    def take(self) -> None:
        """The next batch, asked for until it comes: it has to be the one that is due."""
        batch = self.tried(lambda: next(self.stream))
        assert digest(batch) == self.due[self.position], f"batch {self.position} is another one"
        self.position += 1
        assert self.stream.total_batches_seen == self.position

    def tried(self, call: Callable[[], Any]) -> Any:
        """What a call returns in the end; whatever is raised before has to be of these faults."""
        watch = self.later(LIMIT_S, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR2))
        try:
            while True:
                try:
                    at, self.armed_at = self.armed_at, -1
                    return called(call, at)
                except KeyboardInterrupt:
                    self.seen["interrupted"] += 1
                except (BatchError, WorkerError) as error:
                    self.answer(error)
        finally:
            watch.cancel()

    def answer(self, error: BatchError | WorkerError) -> None:
        """Check that an error is of these faults and says what it should; mend what it names."""
        if isinstance(error, WorkerError):
            self.answer_worker_error(str(error))
            return
        epoch, number = divmod(self.position, STEPS)
        assert (error.epoch, error.step) == (epoch, number if self.asked is None else self.asked), error
        if isinstance(error, ImageError):
            self.seen["damaged file"] += 1
            assert error.path in self.ever_damaged, error
            self.mend(error.path)
        else:
            self.seen["exception"] += 1
            assert "trouble" in str(error), error

    def answer_worker_error(self, text: str) -> None:
        self.gate.set()
        number, epoch = (self.position % STEPS, self.position // STEPS)
        if "of memory to share" in text:
            self.seen["no memory"] += 1
        elif "getting ready: a worker process has not answered" in text or "has not taken what makes" in text:
            self.seen["stopped at its start"] += 1
        else:
            self.seen["timeout" if "answered" in text or "has not come" in text else "deaths"] += 1
            assert re.search(rf"batch {number} of epoch {epoch}\b", text), (text, number, epoch)

    # --- the faults ---

    def kill(self) -> None:
        """One worker or two, now or in the middle of things."""
        chosen = self.chosen(1 if self.numbers.random() < 0.7 else 2)
        if self.numbers.random() < 0.5:
            for process in chosen:
                process.kill()
        else:
            delay_s = self.numbers.uniform(0, 0.02)
            for process in chosen:
                self.later(delay_s, process.kill)

    def stop(self) -> None:
        """A worker stands still; half of them go on by themselves."""
        goes_on, delay_s = self.numbers.random() < 0.5, self.numbers.uniform(0, 0.3)
        for process in self.chosen(1):
            process.suspend()
            if goes_on:
                self.later(delay_s, process.resume)

    def stand_still(self) -> None:
        """The user's function, that is, until an error has said so."""
        self.gate.clear()

    def interrupt(self) -> None:
        """At some time from now."""
        delay_s = self.numbers.choice([0.0, 0.002, 0.02, 0.3]) * self.numbers.random()
        main = threading.main_thread().ident
        self.later(delay_s, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        self.take()

    def interrupt_within(self) -> None:
        """At some place of our own code, where a signal is looked for: a function is called, or one in C returns."""
        self.armed_at = int(self.numbers.integers(0, 250))
        self.take()

    def interrupt_a_change(self) -> None:
        """The same, while the workers change."""
        self.armed_at = int(self.numbers.integers(0, 250))
        self.change_workers()

    def fail(self) -> None:
        """The user's code, once or twice."""
        position = self.position + int(self.numbers.integers(0, STEPS))
        for k in range(self.numbers.integers(1, 3)):
            (self.trouble / f"{position // STEPS}-{position % STEPS}-{k}").touch()

    def damage(self) -> None:
        """A file is garbage, cut short, or gone; it is put back when an error has named it."""
        path, how = self.numbers.choice(self.files), int(self.numbers.integers(0, 3))
        if str(path) in self.damaged:
            return
        content = path.read_bytes()
        self.damaged[str(path)] = content
        self.ever_damaged.add(str(path))
        if how == 2:
            path.unlink()
        else:
            replace(path, (b"no image", content[: len(content) // 2])[how])

    def mend(self, path: str) -> None:
        if path in self.damaged:
            replace(Path(path), self.damaged.pop(path))

    def refuse_memory(self) -> None:
        """So many times, one after the other: a file takes its place, or an error says so."""
        self.refusals = int(self.numbers.integers(1, 5))
        self.change_queue()

    def change_workers(self) -> None:
        workers = int(self.numbers.integers(1, 4))
        self.tried(lambda: setattr(self.stream, "workers", workers))
        assert self.stream.workers == workers

    def change_queue(self) -> None:
        size = int(self.numbers.integers(1, 13))
        self.tried(lambda: setattr(self.stream, "max_queue_size", size))

    def change_kind(self) -> None:
        """Threads for a few batches."""
        self.tried(lambda: setattr(self.stream, "use_multiprocessing", False))
        self.take()
        self.tried(lambda: setattr(self.stream, "use_multiprocessing", True))

    def address(self) -> None:
        """A batch of this epoch by its number, which moves nothing."""
        self.gate.set()  # it may be made in this thread, which nobody watches
        number = int(self.numbers.integers(0, STEPS))
        start = self.position - self.position % STEPS
        self.asked = number
        batch = self.tried(lambda: self.stream[number])
        self.asked = None
        assert digest(batch) == self.due[start + number], f"batch {start + number}, asked for by number"

    def go_on_elsewhere(self) -> None:
        """From its state, in another stream."""
        for path in tuple(self.damaged):  # a file that is gone would be no part of it
            self.mend(path)
        state = json.loads(json.dumps(self.stream.state_dict()))
        self.stream.close()
        self.stream = self.make(self.position // STEPS)
        self.stream.load_state_dict(state)

    # --- how they come about ---

    asked: int | None = None  # the batch that is asked for by number

    def chosen(self, count: int) -> list[psutil.Process]:
        places = self.numbers.random(count)
        there = workers()
        return list({there[int(place * len(there))] for place in places}) if there else []

    def later(self, delay_s: float, call: Callable[[], Any]) -> threading.Timer:
        def do() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                call()

        timer = threading.Timer(delay_s, do)
        timer.daemon = True
        self.timers = [timer, *(one for one in self.timers if one.is_alive())]
        timer.start()
        return timer

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Interrupt what a consumer has called, but no finalizer in it, of which Python would swallow that."""
        if signum == signal.SIGUSR2:
            faulthandler.dump_traceback()
            raise HangError(f"batch {self.position} has not come for {LIMIT_S:g} s")
        if can_be_interrupted(frame):
            raise KeyboardInterrupt

    def close(self) -> None:
        self.end_faults()
        self.stream.close()
        for timer in self.timers:
            timer.cancel()
            timer.join()


def replace(path: Path, content: bytes) -> None:
    """Put another file in a file's place, at once: nobody reads a half of it."""
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.replace(path)


def digest(batch: Any) -> str:
    leaves = keras.tree.flatten(batch)
    text = hashlib.blake2b(digest_size=16)
    for leaf in leaves:
        array = np.asarray(leaf)
        text.update(f"{array.dtype.str} {array.shape}".encode() + array.tobytes())
    return text.hexdigest()


def workers() -> list[psutil.Process]:
    """Those that are there, in the order in which they came."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE and "executors._worker" in " ".join(child.cmdline()):
                found.append(child)
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No process, no thread, no descriptor, no memory that was shared."""
    gc.collect()
    before = set(threading.enumerate()), Counter(re.sub(r"\d+", "", name) for name in descriptors())
    yield
    gc.collect()
    gc.collect()
    assert workers() == []
    assert {thread.name for thread in set(threading.enumerate()) - before[0]} == set()
    assert shared_memory() == []
    assert Counter(re.sub(r"\d+", "", name) for name in descriptors()) - before[1] == Counter()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (STEPS * BATCH_SIZE - 1, 20, 16, 3), "uint8")
    for k, image in enumerate(pixels):
        folder = tmp_path / "images" / f"class{k % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{k:02}.png")
    return tmp_path / "images"


@pytest.fixture
def trouble(tmp_path: Path) -> Path:
    (tmp_path / "trouble").mkdir()
    return tmp_path / "trouble"


@contextlib.contextmanager
def run(*arguments: Any) -> Iterator[Run]:
    print(f"PENSTOCK_FAULTS={FAULTS} PENSTOCK_FAULTS_SEED={SEED}")
    one = Run(*arguments)
    before = {number: signal.signal(number, one.on_signal) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    try:
        yield one
    finally:
        one.close()
        for number, handler in before.items():
            signal.signal(number, handler)


EVERYWHERE = [
    "interrupt", "interrupt_within", "interrupt_a_change", "fail", "change_workers", "change_queue", "address",
    "go_on_elsewhere",
]  # fmt: skip
OF_PROCESSES = ["kill", "kill", "stop", "refuse_memory", "change_kind"]
limited = pytest.mark.timeout(120 + 5 * FAULTS)


def flow_of(
    images: Path, function: Fails, use_multiprocessing: bool, epoch: int, timeout: float | None = TIMEOUT_S
) -> Any:
    generator = ImageDataGenerator(
        rotation_range=40, zoom_range=0.2, horizontal_flip=True, preprocessing_function=function
    )
    how = {"workers": 2, "use_multiprocessing": use_multiprocessing, "max_queue_size": 4, "timeout": timeout}
    return generator.flow_from_directory(images, (18, 14), batch_size=BATCH_SIZE, seed=3, **how)


@limited
def test_a_flow_from_files_by_worker_processes(images: Path, trouble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = Fails(trouble)
    with run(partial(flow_of, images, function, True), trouble, images, monkeypatch) as one:
        one.let_loose([*EVERYWHERE, *OF_PROCESSES, "damage"])


@limited
def test_a_sequence_by_worker_processes(trouble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(epoch: int, timeout: float | None = TIMEOUT_S) -> Any:
        how = {"workers": 2, "use_multiprocessing": True, "max_queue_size": 4, "timeout": timeout}
        return feed(Batches(trouble, epoch), **how)

    with run(make, trouble, None, monkeypatch) as one:
        one.let_loose([*EVERYWHERE, *OF_PROCESSES])


@limited
def test_a_flow_from_files_by_threads(images: Path, trouble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    gate.set()
    function = Fails(trouble, gate)
    with run(partial(flow_of, images, function, False), trouble, images, monkeypatch) as one:
        one.gate = gate
        one.let_loose([*EVERYWHERE, "damage", "stand_still"])
