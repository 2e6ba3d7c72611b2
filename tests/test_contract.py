"""What every stream promises, whatever makes its batches and wherever they are made."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest
from PIL import Image

from clusters import is_rays, local_cluster
from leftovers import shared_memory
from penstock import BatchError, ImageDataGenerator, feed

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors and looks into /proc"),
    pytest.mark.usefixtures("quick_collections"),
]

SAMPLES, BATCH_SIZE, STEPS = 22, 4, 6
X = np.random.default_rng(0).integers(0, 256, (SAMPLES, 9, 7, 3), "uint8")
RECEIVED: dict[str, Any] = {"rotation_range": 40, "zoom_range": 0.3, "channel_shift_range": 20, "rescale": 1 / 255}


class Batches(keras.utils.PyDataset):
    """A user's own, which draws from NumPy's generator for itself and changes with each epoch."""

    def __init__(self, bad: int = -1) -> None:
        super().__init__()
        self.order = np.arange(SAMPLES)
        self.images = np.concatenate([X] * 100)  # large enough to be shared
        self.bad = bad

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, number: int) -> Any:
        if number == self.bad:
            raise ArithmeticError(f"not batch {number}")
        own = self.order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
        return self.images[own] * np.float32(0.5), {"own": own, "all": np.float32(number)}

    def on_epoch_end(self) -> None:
        np.random.RandomState(len(self.order)).shuffle(self.order)


def generate(bad: int = -1) -> Iterator[Any]:
    for number in range(STEPS):
        if number == bad:
            raise ArithmeticError(f"not batch {number}")
        yield X[number : number + BATCH_SIZE], np.arange(number, number + BATCH_SIZE)


def generate_bad() -> Iterator[Any]:
    return generate(2)


def generate_part(part: int, parts: int) -> Iterator[Any]:
    for number in range(part, 3 * STEPS, parts):
        yield X[number : number + 2], np.array([number])


def bad_part(part: int, parts: int) -> Iterator[Any]:
    for batch in generate_part(part, parts):
        if part == 2:
            raise ArithmeticError("not batch 2")
        yield batch


def fussy(image: np.ndarray) -> np.ndarray:
    if (image[0, 0] == X[9, 0, 0]).all():  # the second sample of batch 2
        raise ArithmeticError("not batch 2")
    return image


def arrays(bad: bool = False, **how: Any) -> Any:
    if bad:
        return ImageDataGenerator(preprocessing_function=fussy).flow(X, None, BATCH_SIZE, shuffle=False, seed=3, **how)
    return ImageDataGenerator(**RECEIVED).flow(X, np.arange(SAMPLES), BATCH_SIZE, seed=3, **how)


def as_keras(bad: bool = False, **how: Any) -> Any:
    generator = ImageDataGenerator(**RECEIVED, preprocessing_function=fussy if bad else None, semantics="keras")
    if bad:
        generator = ImageDataGenerator(preprocessing_function=fussy, semantics="keras")
    return generator.flow(X, np.arange(SAMPLES), BATCH_SIZE, shuffle=not bad, seed=3, **how)


def sequence(bad: bool = False, **how: Any) -> Any:
    return feed(Batches(2 if bad else -1), **how)


def generator(bad: bool = False, **how: Any) -> Any:
    return feed(generate_bad if bad else generate, **{**how, "workers": min(1, how["workers"])})


def parts(bad: bool = False, **how: Any) -> Any:
    return feed(bad_part if bad else generate_part, **how)


FOLDERS: dict[bool, Path] = {}


def files(bad: bool = False, **how: Any) -> Any:
    return ImageDataGenerator(**RECEIVED).flow_from_directory(
        FOLDERS[bad], (8, 10), batch_size=BATCH_SIZE, shuffle=not bad, seed=3, **how
    )


@pytest.fixture(scope="module", autouse=True)
def _folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    for bad in (False, True):
        FOLDERS[bad] = tmp_path_factory.mktemp("bad" if bad else "good")
        for k, image in enumerate(X):
            folder = FOLDERS[bad] / f"class{k // 11}"
            folder.mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / f"{k:02}.png")
    (FOLDERS[True] / "class0" / "09.png").write_bytes(b"no image")


MAKERS = {function.__name__: function for function in (arrays, as_keras, files, sequence, generator, parts)}
ADDRESSED = ("arrays", "as_keras", "files", "sequence")
EXECUTORS: dict[str, dict[str, Any]] = {
    "caller": {"workers": 0},
    "1 thread": {"workers": 1},
    "2 threads": {"workers": 2},
    "7 threads": {"workers": 7},
    "1 process": {"workers": 1, "use_multiprocessing": True},
    "2 processes": {"workers": 2, "use_multiprocessing": True},
    "7 processes": {"workers": 7, "use_multiprocessing": True},
    "pool of threads": {"pool": "threads"},
    "pool of processes": {"pool": "processes"},
    "ray": {"pool": "ray"},
}


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, Any]]:
    processes = multiprocessing.get_context("spawn").Pool(2)
    with ThreadPoolExecutor(2) as threads:
        yield {"threads": threads, "processes": processes}
    processes.terminate()
    processes.join()


# Seven processes on two cores take seconds to start, and their bytes say it all.
no_crowd = pytest.mark.parametrize("how", [name for name in EXECUTORS if name != "7 processes"], indirect=True)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    pytest.importorskip("ray")
    with local_cluster(2):
        yield


@pytest.fixture(params=EXECUTORS)
def how(request: pytest.FixtureRequest, pools: dict[str, Any]) -> dict[str, Any]:
    """The keywords that say where batches are made."""
    keywords = EXECUTORS[request.param]
    if keywords.get("pool") == "ray":
        request.getfixturevalue("ray")
        return keywords
    return {**keywords, "pool": pools[keywords["pool"]]} if "pool" in keywords else keywords


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest, how: dict[str, Any]) -> Callable[..., Any]:
    if "pool" in how and request.param in ("generator", "parts"):
        pytest.skip("a generator needs a worker of its own")
    if (
        how.get("workers") == 7
        and "use_multiprocessing" in how
        and request.param not in ("arrays", "sequence", "parts")
    ):
        pytest.skip("seven processes take seconds to start, and each kind of maker has shown its bytes")
    return MAKERS[request.param]


@pytest.fixture(autouse=True)
def _nothing_left(pools: dict[str, Any]) -> Iterator[None]:
    """No thread, no process, no memory that was shared."""
    before = set(threading.enumerate()), processes()
    yield
    gc.collect()
    gc.collect()
    assert {thread for thread in set(threading.enumerate()) - before[0] if "penstock" in thread.name} == set()
    assert processes() - before[1] == set()
    assert shared_memory() == []


def processes() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if not is_rays(child)}


def frozen(batch: Any) -> Any:
    """A batch as values that can be compared and kept."""
    if isinstance(batch, dict):
        return {name: frozen(part) for name, part in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(map(frozen, batch))
    array = np.asarray(batch)
    return array.dtype.str, array.shape, array.tobytes()


def taken(stream: Any, batches: int) -> list[Any]:
    return [frozen(next(stream)) for _ in range(batches)]


EXPECTED: dict[str, list[Any]] = {}


def expected(make: Callable[..., Any], batches: int = 2 * STEPS + 3) -> list[Any]:
    """The stream as the caller's own thread makes it."""
    name = make.__name__
    if name not in EXPECTED:
        with make(workers=0) as stream:
            EXPECTED[name] = taken(stream, batches)
    return EXPECTED[name]


def test_order_and_bytes_are_those_of_the_callers_own_thread(make: Callable[..., Any], how: dict[str, Any]) -> None:
    with make(**how) as stream:
        assert taken(stream, 2 * STEPS + 3) == expected(make)
    assert len({str(batch) for batch in expected(make)[:STEPS]}) == STEPS


@no_crowd
def test_going_on_at_every_step_gives_the_rest(how: dict[str, Any]) -> None:
    for name in ADDRESSED:
        make = MAKERS[name]
        with make(workers=0) as stream:
            states = []
            for _ in range(STEPS + 2):
                states.append(stream.state_dict())
                next(stream)
        # An own sequence is as its hooks have left it, which no state knows: its first epoch only.
        positions = range(STEPS) if name == "sequence" else range(STEPS + 2)
        if "use_multiprocessing" in how:  # whose start takes a second
            positions = range(STEPS - 1, STEPS)
        for position in positions:
            with make(**how) as stream:
                stream.load_state_dict(states[position])
                count = STEPS - position if name == "sequence" else 3
                assert taken(stream, count) == expected(make)[position : position + count]


@no_crowd
def test_an_error_comes_in_its_place_and_again(make: Callable[..., Any], how: dict[str, Any]) -> None:
    with make(workers=0, bad=True) as stream:
        first = taken(stream, 2)
    with make(bad=True, **how) as stream:
        assert taken(stream, 2) == first
        for _ in range(2):
            with pytest.raises(BatchError, match=r"not batch 2|09\.png") as caught:
                next(stream)
        assert caught.value.traceback_text
        if make.__name__ in ADDRESSED:
            assert (caught.value.epoch, caught.value.step) == (0, 2)
            stream[3]  # the others are there


@no_crowd
def test_no_memory_is_lost_over_many_epochs(how: dict[str, Any]) -> None:
    with arrays(**how) as stream:
        for _ in range(20 * STEPS):
            next(stream)
        gc.collect()
        before = used_bytes()
        for _ in range(60 * STEPS):
            next(stream)
        gc.collect()
        assert used_bytes() < before * 1.03
        assert stream.stats.overflows == 0


def used_bytes() -> int:
    """Memory of this process and its children, but for pages of files, which others map and let go."""
    total = 0
    for pid in (os.getpid(), *processes()):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total
