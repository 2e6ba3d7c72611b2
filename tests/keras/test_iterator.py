"""`Iterator` as a base class for old code, and Keras's iterators extended by their well-known private method."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st
from keras.src.legacy.preprocessing import image as oracle

import penstock
from penstock import DirectoryIterator, Flow, ImageDataGenerator, Iterator, NumpyArrayIterator
from strategies import examples


def numbers_and_noise(base: type) -> type:
    class Noisy(base):  # type: ignore[misc,valid-type]
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            return np.asarray(index_array) + np.random.random(len(index_array))

    return Noisy


@examples(60)
@given(
    n=st.integers(1, 12),
    batch_size=st.integers(1, 14),
    shuffle=st.booleans(),
    seed=st.integers(0, 1000),
    steps=st.lists(st.sampled_from(["next", "get", "reset", "epoch"]), max_size=12),
)
def test_a_class_of_your_own_yields_what_it_would_with_keras(
    n: int, batch_size: int, shuffle: bool, seed: int, steps: list[str]
) -> None:
    """Whatever is called in which order, with the global generator seeded at the same places."""
    streams = []
    for base in (oracle.Iterator, Iterator):
        np.random.seed(3)
        iterator = numbers_and_noise(base)(n, batch_size, shuffle, seed)
        values: list[Any] = [len(iterator)]
        for number, step in enumerate(steps):
            if step == "next":
                values.append(next(iterator).tolist())
            elif step == "get":
                values.append(iterator[number % len(iterator)].tolist())
            elif step == "reset":
                iterator.reset()
            else:
                iterator.on_epoch_end()
            values.append((iterator.batch_index, iterator.total_batches_seen, np.random.random()))
        streams.append(values)
    assert streams[0] == streams[1]


def test_constructor_arguments_are_keras_s() -> None:
    ours, keras_ = (inspect.signature(cls.__init__) for cls in (Iterator, oracle.Iterator))
    assert list(ours.parameters) == list(keras_.parameters)
    for name in ("NumpyArrayIterator", "DirectoryIterator", "DataFrameIterator"):
        ours, keras_ = (inspect.signature(getattr(module, name).__init__) for module in (penstock, oracle))
        assert list(ours.parameters)[: len(keras_.parameters)] == list(keras_.parameters)
        for parameter in keras_.parameters.values():
            default = ours.parameters[parameter.name].default
            assert default in (parameter.default, None), f"{name}({parameter})"  # None asks Keras's configuration


def test_an_empty_iterator_has_empty_batches_of_indices() -> None:
    for batch_size in (0, 32):
        assert next(Iterator(0, batch_size, False, 0).index_generator).size == 0


def test_a_class_without_the_method_is_told_its_name() -> None:
    with pytest.raises(NotImplementedError, match=r"Iterator should define `_get_batches_of_transformed_samples"):
        next(Iterator(3, 2, False, 0))


def test_what_penstock_makes_counts_as_an_iterator() -> None:
    with ImageDataGenerator().flow(np.zeros((4, 3, 3, 1), "uint8")) as flow:
        assert isinstance(flow, Iterator)
    assert issubclass(DirectoryIterator, Iterator)


def test_a_class_of_your_own_trains() -> None:
    class Pairs(Iterator):
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            return np.ones((len(index_array), 2), "float32"), index_array.astype("float32")

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(Pairs(10, 4, True, 1), epochs=2, verbose=0)


# --- extending penstock's own ---------------------------------------------------------------------------------------


class Negative(NumpyArrayIterator):
    """Labels become their negatives."""

    def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
        images, labels = super()._get_batches_of_transformed_samples(index_array)
        return images, -labels


def make(kind: type[NumpyArrayIterator], workers: int = 2, semantics: str = "corrected") -> NumpyArrayIterator:
    x = np.random.default_rng(0).integers(0, 255, (10, 7, 7, 3), "uint8")
    generator = ImageDataGenerator(rotation_range=90, semantics=semantics)
    return kind(x, np.arange(10), generator, batch_size=4, shuffle=True, seed=3, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_subclass_changes_batches_that_are_made_ahead_all_the_same(workers: int) -> None:
    with make(Negative, workers) as flow, make(NumpyArrayIterator) as plain:
        for _ in range(7):
            (x, y), (due_x, due_y) = next(flow), next(plain)
            np.testing.assert_array_equal(x, due_x)
            np.testing.assert_array_equal(y, -due_y)
        np.testing.assert_array_equal(flow[1][1], -plain[1][1])
        assert flow.stats.batches == 8, "none is made twice"


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_the_method_takes_numbers_of_samples_in_any_number(semantics: str) -> None:
    with make(NumpyArrayIterator, semantics=semantics) as flow:
        images, labels = flow._get_batches_of_transformed_samples(np.array([7, 1, 2, 9, 0, 7, 5]))
        assert images.shape == (7, 7, 7, 3)
        assert labels.tolist() == [7, 1, 2, 9, 0, 7, 5]
        assert flow.total_batches_seen == 0
        if semantics == "corrected":  # where a sample's transform is its own
            np.testing.assert_array_equal(images[0], images[5])
            first, its_labels = next(flow)
            again, _ = flow._get_batches_of_transformed_samples(its_labels)
            np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_the_idiom_of_old_subclasses_gives_the_stream(semantics: str) -> None:
    """Numbers from `index_generator` under the lock, then the batch: Keras's documented way to write an iterator."""

    class Old(NumpyArrayIterator):
        def next(self) -> Any:
            with self.lock:
                index_array = next(self.index_generator)
            return self._get_batches_of_transformed_samples(index_array)

    with make(Old, semantics=semantics) as flow, make(NumpyArrayIterator, semantics=semantics) as plain:
        for _ in range(7):
            (x, y), (due_x, due_y) = flow.next(), next(plain)
            np.testing.assert_array_equal(y, due_y)
            np.testing.assert_array_equal(x, due_x)


def test_a_sampler_that_sets_the_order_of_each_epoch_is_followed() -> None:
    class Balanced(NumpyArrayIterator):
        epochs = 0

        def _set_index_array(self) -> None:
            self.epochs += 1
            self.index_array = np.repeat([self.epochs, 0], 5)

    with make(Balanced) as flow:
        labels = [label for _ in range(6) for label in next(flow)[1].tolist()]
    assert labels == [1] * 5 + [0] * 5 + [2] * 5 + [0] * 5


def test_an_order_that_is_set_is_kept() -> None:
    with make(NumpyArrayIterator) as flow:
        next(flow)
        flow.index_array = np.arange(10)[::-1]
        for _ in range(2):
            assert [label for _ in range(3) for label in next(flow)[1].tolist()] == list(range(9, -1, -1))
        flow.index_array = np.arange(4)
        with pytest.raises(ValueError, match="`index_array` should hold 10 sample numbers"):
            [next(flow) for _ in range(9)]


@pytest.mark.parametrize("stranger", [10, -11, 2**40])
def test_numbers_of_samples_that_do_not_exist_are_named(stranger: int) -> None:
    """A kernel would read whatever lies beyond the images."""

    class Sampler(NumpyArrayIterator):
        def _set_index_array(self) -> None:
            self.index_array = np.where(np.arange(10) == 3, stranger, 0)

    due = rf"from 0 to 9, or from -10 to -1, counted from the end\. Received: {stranger}$"
    with make(Sampler) as flow, pytest.raises(IndexError, match=due):
        next(flow)
    with make(NumpyArrayIterator) as flow:
        flow.index_array = np.where(np.arange(10) == 3, stranger, 0)
        with pytest.raises(IndexError, match=due):
            next(flow)
    with make(NumpyArrayIterator) as flow, pytest.raises(IndexError, match=due):
        flow._get_batches_of_transformed_samples([2, stranger])


def test_numbers_of_another_rank_are_named() -> None:
    with make(NumpyArrayIterator) as flow:
        with pytest.raises(ValueError, match=r"in one row, \(samples,\)\. Received: shape \(1, 2\)"):
            flow._get_batches_of_transformed_samples([[1, 2]])
        for order in (np.arange(10)[:, None], 5):
            flow.index_array = order
            with pytest.raises(ValueError, match="`index_array` should hold 10 sample numbers"):
                next(flow)


def test_numbers_below_zero_count_from_the_end() -> None:
    with make(NumpyArrayIterator) as flow:
        flow.index_array = np.arange(-1, -11, -1)
        assert [label for _ in range(3) for label in next(flow)[1].tolist()] == list(range(9, -1, -1))
        assert flow._get_batches_of_transformed_samples([-1, 2, -10])[1].tolist() == [9, 2, 0]


def test_iterators_need_no_generator(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((5, 6, 3), 7, "uint8")).save(tmp_path / "a" / "1.png")
    with DirectoryIterator(tmp_path, None, target_size=(5, 6)) as flow:
        assert (next(flow)[0] == 7).all()


def test_a_subclass_reaches_fit() -> None:
    seen: list[float] = []

    class Watched(Negative):
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            images, labels = super()._get_batches_of_transformed_samples(index_array)
            seen.extend(labels.tolist())
            return images, labels

    model = keras.Sequential([keras.layers.Input((7, 7, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with make(Watched) as flow:
        assert isinstance(flow, Flow)
        model.fit(flow, verbose=0)
    assert set(seen) == set(range(0, -10, -1))


# --- small functions ------------------------------------------------------------------------------------------------


def test_pictures_are_listed_at_any_depth_by_extension(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("1.png", "a/2.JPG", "a/b/3.tiff", "a/b/4.txt", "a/png", "5.png.bak"):
        (tmp_path / name).write_bytes(b"")
    found = penstock.list_pictures(str(tmp_path))
    assert {Path(path).name for path in found} == {"1.png", "2.JPG", "3.tiff"}
    assert penstock.list_pictures(str(tmp_path), ext="png") == [str(tmp_path / "1.png")]


def test_axes_are_flipped_and_matrices_centred_as_keras_does_it() -> None:
    x = np.random.default_rng(1).random((3, 4, 5))
    for axis in range(3):
        np.testing.assert_array_equal(penstock.flip_axis(x, axis), oracle.flip_axis(x, axis))
    matrix = np.random.default_rng(2).random((3, 3))
    matrix[2] = 0, 0, 1
    np.testing.assert_allclose(
        penstock.transform_matrix_offset_center(matrix, 7, 12), oracle.transform_matrix_offset_center(matrix, 7, 12)
    )
