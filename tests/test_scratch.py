"""Memory that a worker uses again: its own, bounded, and never what a batch is made of."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from penstock import ImageDataGenerator
from penstock._scratch import Scratch


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_a_thread_gets_the_same_memory_again_and_no_other_thread_does() -> None:
    scratch = Scratch(100)
    mine = scratch(100)
    assert (mine.dtype, mine.shape) == (np.uint8, (100,))
    assert address(scratch(40)) == address(mine)
    others: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: others.append(scratch(100)))
    thread.start()
    thread.join()
    assert not np.shares_memory(others[0], mine)


def test_what_is_larger_is_not_kept() -> None:
    scratch = Scratch(100)
    large = scratch(101)
    assert large.shape == (101,)
    assert not np.shares_memory(large, scratch(101))
    assert not np.shares_memory(large, scratch(100))


def test_it_grows_as_far_as_it_may() -> None:
    scratch = Scratch(100, 200)
    small = scratch(100)
    large = scratch(150)
    assert large.shape == (150,)
    assert not np.shares_memory(large, small)
    assert address(scratch(100)) == address(scratch(150)) == address(large)
    assert not np.shares_memory(scratch(201), scratch(201))
    assert address(scratch(1)) == address(large)


def test_copies_and_pickles_begin_with_none() -> None:
    scratch = Scratch(100, 101)
    for other in (copy.deepcopy(scratch), pickle.loads(pickle.dumps(scratch))):
        assert other(100).shape == (100,)
        assert not np.shares_memory(other(100), scratch(100))
        assert address(other(101)) == address(other(100))
        assert not np.shares_memory(other(102), other(102))


def test_batches_of_files_do_not_show_through_one_another(tmp_path: Path) -> None:
    """One worker, files of all sizes one behind the other, some of which come from Pillow."""
    (tmp_path / "only").mkdir()
    random = np.random.default_rng(2)
    for number, side in enumerate((40, 9, 31, 64, 3, 50, 17, 28)):
        image = Image.fromarray(random.integers(0, 256, (side, side + 5, 3), np.uint8))
        image.save(tmp_path / "only" / f"{number}.{'png' if number % 3 == 2 else 'jpg'}")

    def batches(batch_size: int) -> list[np.ndarray]:
        flow = ImageDataGenerator().flow_from_directory(
            str(tmp_path), target_size=(20, 20), batch_size=batch_size, shuffle=False, class_mode=None, workers=1
        )
        with flow:
            return [next(flow).copy() for _ in range(8 // batch_size)]

    np.testing.assert_array_equal(np.concatenate(batches(2)), np.concatenate(batches(1)))
    np.testing.assert_array_equal(np.concatenate(batches(8)), np.concatenate(batches(1)))


def test_a_function_that_comes_back_to_its_flow_reads_into_other_memory(tmp_path: Path) -> None:
    """In the middle of a batch of several groups of files, of which the last ones are still to be decoded."""
    (tmp_path / "only").mkdir()
    rows, columns = np.mgrid[:700, :900]
    for number in range(8):
        image = np.stack([rows // 3 + number, columns // 4, (rows + columns) // 8], axis=2)
        if number == 7:  # in more bytes than all others together
            image = np.random.default_rng(0).integers(0, 256, (700, 900, 3))
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "only" / f"{number}.jpg")
    asked: list[int] = []

    def look(image: np.ndarray) -> np.ndarray:
        if not asked:
            asked.append(1)
            flow.explain(0, 0, 7)
        return image

    options = {"target_size": (8, 8), "batch_size": 8, "class_mode": None, "shuffle": False, "workers": 0}
    with ImageDataGenerator().flow_from_directory(str(tmp_path), **options) as plain:
        expected = next(plain)
    with ImageDataGenerator(preprocessing_function=look).flow_from_directory(str(tmp_path), **options) as flow:
        np.testing.assert_array_equal(next(flow), expected)
    assert asked
