"""`flow.explain`: where one image of a batch comes from, and what happened to it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from penstock import BatchError, Explanation, Flow, FlowClosed, ImageDataGenerator

X = np.random.default_rng(0).integers(0, 256, (10, 9, 12, 3), "uint8")
Y = np.arange(10) * 3
RANGES: dict[str, Any] = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "height_shift_range": 2,
    "shear_range": 10,
    "zoom_range": 0.2,
    "channel_shift_range": 20,
    "brightness_range": (0.5, 1.5),
    "horizontal_flip": True,
    "vertical_flip": True,
}
AT_REST = {
    "theta": 0.0,
    "tx": 0.0,
    "ty": 0.0,
    "shear": 0.0,
    "zx": 1.0,
    "zy": 1.0,
    "flip_horizontal": False,
    "flip_vertical": False,
    "channel_shift_intensity": None,
    "brightness": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for k, ending in enumerate(("jpg", "png", "jpg", "png", "jpg")):
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), "uint8")).save(tmp_path / name / f"{k}.{ending}")
    return tmp_path


def arrays(folder: Path, generator: ImageDataGenerator, **options: Any) -> Flow:
    return generator.flow(X, Y, sample_weight=np.ones(10), **options)


def memory_map(folder: Path, generator: ImageDataGenerator, **options: Any) -> Flow:
    np.save(folder / "x.npy", X.astype("float32"))
    return generator.flow((np.load(folder / "x.npy", mmap_mode="r"), [Y]), np.eye(10), **options)


def files(folder: Path, generator: ImageDataGenerator, **options: Any) -> Flow:
    return generator.flow_from_directory(folder, (8, 9), **options)


def autoencoder(folder: Path, generator: ImageDataGenerator, **options: Any) -> Flow:
    return generator.flow_from_directory(folder, (8, 8), class_mode="input", interpolation="bilinear", **options)


def dataframe(folder: Path, generator: ImageDataGenerator, **options: Any) -> Flow:
    names = sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))
    frame = pd.DataFrame({"filename": names, "age": np.arange(10.0), "height": np.arange(10) + 1})
    return generator.flow_from_dataframe(
        frame, folder, y_col=["age", "height"], class_mode="multi_output", target_size=(8, 9), **options
    )


def rows_of(batch: Any) -> list[tuple[np.ndarray, Any]]:
    """Each row's image and label."""
    images = batch[0] if isinstance(batch, tuple | list) else batch
    if isinstance(images, list):
        images = images[0]
    if not isinstance(batch, tuple):
        return [(image, None) for image in images]
    y = batch[1]
    return [
        (image, [output[row] for output in y] if isinstance(y, list) else y[row]) for row, image in enumerate(images)
    ]


def assert_explained(explanation: Explanation, image: np.ndarray, label: Any) -> None:
    assert explanation.rendered.dtype == image.dtype
    assert explanation.rendered.shape == image.shape
    assert explanation.rendered.tobytes() == image.tobytes()
    np.testing.assert_equal(explanation.label, label)


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("make", [arrays, memory_map, files, autoencoder, dataframe])
def test_every_row_of_every_batch_is_explained_with_its_own_bytes(
    make: Callable[..., Flow], shuffle: bool, semantics: str, folder: Path
) -> None:
    generator = ImageDataGenerator(**RANGES, rescale=1 / 255, samplewise_center=True, semantics=semantics)
    with make(folder, generator, batch_size=4, shuffle=shuffle, seed=5, workers=2) as flow:
        for epoch in range(3):
            for step in range(len(flow)):
                rows = rows_of(next(flow))
                order = flow.index_array[4 * step :]
                for row, (image, label) in enumerate(rows):
                    explanation = flow.explain(epoch, step, row)
                    assert_explained(explanation, image, label)
                    assert explanation.index == order[row]
                    paths = getattr(flow, "filepaths", None)
                    assert explanation.path == (None if paths is None else paths[explanation.index])


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
@pytest.mark.parametrize("how", [{"workers": 0}, {"workers": 2}, {"workers": 2, "use_multiprocessing": True}])
def test_a_look_at_epochs_past_and_to_come_moves_nothing(semantics: str, how: dict[str, Any]) -> None:
    generator = ImageDataGenerator(**RANGES, semantics=semantics)
    with generator.flow(X, Y, 4, seed=2, **how) as flow, generator.flow(X, Y, 4, seed=2, workers=0) as twin:
        expected = [next(twin) for _ in range(12)]
        for position in range(9):
            there, step = divmod((5 * position + 7) % 12, 3)
            counted = flow.stats.batches, flow.stats.samples, flow.batch_index, flow.total_batches_seen
            explanation = flow.explain(there, step, 1)
            assert_explained(explanation, expected[3 * there + step][0][1], expected[3 * there + step][1][1])
            assert (flow.stats.batches, flow.stats.samples, flow.batch_index, flow.total_batches_seen) == counted
            for got, due in zip(next(flow), expected[position], strict=True):
                np.testing.assert_array_equal(got, due)


def test_training_goes_on_as_if_nobody_had_looked() -> None:
    seen: list[list[np.ndarray]] = []
    for looks in (False, True):
        images: list[np.ndarray] = []

        class Look(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if looks:  # noqa: B023
                    images.append(flow.explain(self.params["epochs"], batch, 1).rendered)  # noqa: B023
                    flow.preview(1, 1)

        model = keras.Sequential([keras.layers.Input(X.shape[1:]), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        generator = ImageDataGenerator(**RANGES, rescale=1 / 255)
        with generator.flow(X, Y, 4, seed=2, workers=2) as flow:
            model.fit(flow, epochs=2, verbose=0, callbacks=[Look()])
            assert flow.total_batches_seen == 6
            after = [next(flow)[0] for _ in range(3)]
        seen.append(after)
        assert len(images) == (6 if looks else 0)
    for image, batch in zip(images, 2 * after, strict=True):
        np.testing.assert_array_equal(image, batch[1])
    np.testing.assert_equal(seen[0], seen[1])


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_the_parameters_make_the_image_from_the_original(semantics: str) -> None:
    square = X[:, :, :9]
    generator = ImageDataGenerator(**RANGES, rescale=1 / 255, semantics=semantics)
    with generator.flow(square, Y, 4, seed=3, workers=0) as flow:
        for row in range(4):
            explanation = flow.explain(1, 1, row)
            np.testing.assert_array_equal(explanation.original, square[explanation.index])
            assert explanation.original.dtype == np.uint8
            assert explanation.parameters is not None
            assert all(value is not None for value in explanation.parameters.values())
            image = explanation.original.astype("float32")
            again = generator.standardize(generator.apply_transform(image, explanation.parameters))
            np.testing.assert_allclose(again, explanation.rendered, atol=2e-3)


def test_the_original_of_a_file_is_what_a_generator_without_ranges_makes_of_it(folder: Path) -> None:
    options: dict[str, Any] = {"batch_size": 10, "shuffle": False, "workers": 0}
    for data_format in ("channels_last", "channels_first"):
        for color_mode in ("rgb", "grayscale", "rgba"):
            augmenting = ImageDataGenerator(**RANGES, data_format=data_format)
            plain = ImageDataGenerator(data_format=data_format)
            options["color_mode"] = color_mode
            with files(folder, augmenting, **options) as flow, files(folder, plain, **options) as still:
                expected = next(still)[0]
                for row in range(10):
                    original = flow.explain(0, 0, row).original
                    assert original.dtype == np.uint8
                    np.testing.assert_array_equal(original, expected[row])


def test_what_is_given_out_is_the_callers_own() -> None:
    with ImageDataGenerator().flow(X, Y, 4, shuffle=False) as flow:
        explanation = flow.explain(0, 0, 0)
        before = X[0].copy()
        explanation.original[:] = 1
        explanation.rendered[:] = 1
        np.testing.assert_array_equal(X[0], before)
        np.testing.assert_array_equal(flow.explain(0, 0, 0).rendered, before)


def test_validation_images_are_explained_by_no_transform() -> None:
    generator = ImageDataGenerator(**RANGES, validation_split=0.4)
    with generator.flow(X, batch_size=2, seed=1, subset="validation") as flow:
        explanation = flow.explain(7, 1, 0)
        assert explanation.parameters == AT_REST
        np.testing.assert_array_equal(explanation.rendered, explanation.original)
        assert explanation.label is None


def test_a_preprocessing_function_counts() -> None:
    def inverted(image: np.ndarray) -> np.ndarray:
        return 255 - image

    generator = ImageDataGenerator(rotation_range=20, preprocessing_function=inverted)
    for how in ({"workers": 2}, {"workers": 1, "use_multiprocessing": True}):
        with generator.flow(X, Y, 4, seed=1, **how) as flow:
            for row, (image, label) in enumerate(rows_of(next(flow))):
                assert_explained(flow.explain(0, 0, row), image, label)


def test_what_a_function_draws_in_processes_is_drawn_again_and_nothing_else_is_disturbed() -> None:
    def noisy(image: np.ndarray) -> np.ndarray:
        return image + np.random.normal(size=image.shape) + random.random()

    with ImageDataGenerator(preprocessing_function=noisy).flow(
        X, Y, 4, seed=1, workers=1, use_multiprocessing=True
    ) as flow:
        states = random.getstate(), np.random.get_state()[1].tolist()
        for row, (image, label) in enumerate(rows_of(next(flow))):
            assert_explained(flow.explain(0, 0, row), image, label)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states


def test_methods_of_the_users_own_are_followed() -> None:
    class Darker(ImageDataGenerator):
        def standardize(self, x: np.ndarray) -> np.ndarray:
            return x / 2

    class Drawing(ImageDataGenerator):
        def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict[str, Any]:
            return {"theta": 90}

    with Darker(rotation_range=20).flow(X, Y, 4, seed=1, workers=0) as flow:
        for row, (image, label) in enumerate(rows_of(next(flow))):
            assert_explained(flow.explain(0, 0, row), image, label)
        assert flow.explain(0, 0, 0).parameters is not None
    with Drawing(rotation_range=20).flow(X, Y, 4, seed=1, workers=0) as flow:
        for row, (image, label) in enumerate(rows_of(next(flow))):
            assert_explained(flow.explain(0, 0, row), image, label)
        assert flow.explain(0, 0, 0).parameters is None


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_a_stand_in_is_named_and_drawn_for_as_the_sample_in_whose_place_it_is(folder: Path, semantics: str) -> None:
    (folder / "cats" / "1.png").write_bytes(b"damaged")
    generator = ImageDataGenerator(**RANGES, semantics=semantics)
    with files(folder, generator, batch_size=4, shuffle=False, seed=1, on_error="substitute") as flow:
        rows = rows_of(next(flow))
        explanations = [flow.explain(0, 0, row) for row in range(4)]
        for explanation, (image, label) in zip(explanations, rows, strict=True):
            assert_explained(explanation, image, label)
        assert [one.index for one in explanations] == [0, 2, 2, 3]
        assert [one.replaces and one.replaces.index for one in explanations] == [None, 1, None, None]
        assert explanations[1].path == explanations[2].path == os.path.join(folder, "cats", "2.jpg")
        assert explanations[1].parameters != explanations[2].parameters
        np.testing.assert_array_equal(explanations[1].original, explanations[2].original)


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_rows_are_counted_without_the_samples_that_are_left_out(folder: Path, semantics: str) -> None:
    (folder / "cats" / "1.png").write_bytes(b"damaged")
    generator = ImageDataGenerator(**RANGES, semantics=semantics)
    with files(folder, generator, batch_size=4, shuffle=False, seed=1, on_error="skip") as flow:
        rows = rows_of(next(flow))
        for row, (image, label) in enumerate(rows):
            assert_explained(flow.explain(0, 0, row), image, label)
        assert [flow.explain(0, 0, row).index for row in range(3)] == [0, 2, 3]
        with pytest.raises(ValueError, match=r'0 to 2: there are 3 rows: on_error="skip" has left 1 out\. Received: 3'):
            flow.explain(0, 0, 3)


def test_a_file_that_cannot_be_read_is_an_error_that_says_where(folder: Path) -> None:
    (folder / "cats" / "1.png").write_bytes(b"damaged")
    with files(folder, ImageDataGenerator(), batch_size=4, shuffle=False) as flow:
        with pytest.raises(BatchError, match=r"cats/1\.png") as caught:
            flow.explain(2, 0, 1)
        assert (caught.value.epoch, caught.value.step, caught.value.index) == (2, 0, 1)
        assert flow.explain(2, 0, 2).index == 2


def test_ranks_explain_their_own_rows() -> None:
    for rank in range(2):
        with ImageDataGenerator(**RANGES).flow(X, Y, 4, seed=1, shard=(rank, 2), workers=0) as flow:
            for epoch in range(2):
                for step in range(len(flow)):
                    for row, (image, label) in enumerate(rows_of(next(flow))):
                        assert_explained(flow.explain(epoch, step, row), image, label)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ((-1, 0, 0), r"^`epoch` should be from 0 to 9223372036854775807\. Received: -1$"),
        ((10**30, 0, 0), r"^`epoch` should be from 0 to 9223372036854775807\. Received: 10{30}$"),
        ((0, 3, 0), r"^`step` should be from 0 to 2: there are 3 steps in an epoch\. Received: 3$"),
        ((0, -1, 0), r"^`step` should be from 0 to 2: there are 3 steps in an epoch\. Received: -1$"),
        ((1, 2, 2), r"^`row` should be from 0 to 1: there are 2 rows of batch 2 of epoch 1\. Received: 2$"),
    ],
)
def test_where_nothing_is_the_error_says_what_there_is(where: tuple[int, int, int], message: str) -> None:
    with ImageDataGenerator().flow(X, Y, 4) as flow, pytest.raises(ValueError, match=message):
        flow.explain(*where)


def test_a_number_is_a_whole_number() -> None:
    with ImageDataGenerator().flow(X, Y, 4) as flow, pytest.raises(TypeError):
        flow.explain(0, 0, 0.5)


def test_a_sampler_of_the_users_own_is_asked_for_no_other_epoch() -> None:
    class Drawn(type(ImageDataGenerator().flow(X))):  # type: ignore[misc]
        def _set_index_array(self) -> None:
            self.asked = getattr(self, "asked", 0) + 1
            self.index_array = np.random.default_rng(self.asked).permutation(self.n)

    with Drawn(X, Y, ImageDataGenerator(**RANGES), batch_size=4, seed=1, workers=0) as flow:
        for step in range(2):
            for row, (image, label) in enumerate(rows_of(next(flow))):
                assert_explained(flow.explain(0, step, row), image, label)
        with pytest.raises(ValueError, match="`epoch` should be 0, the one that the stream is in"):
            flow.explain(5, 0, 0)
        assert flow.asked == 1
        flow.preview(2, 3)
        assert flow.asked == 1


def test_settings_count_as_they_are_now() -> None:
    generator = ImageDataGenerator(rescale=1 / 255)
    with generator.flow(X, Y, 4, shuffle=False) as flow:
        next(flow)
        generator.rescale = 2.0
        np.testing.assert_array_equal(flow.explain(0, 0, 0).rendered, X[0] * 2.0)
        assert flow.batch_index == 1


def test_a_closed_flow_explains_nothing() -> None:
    flow = ImageDataGenerator().flow(X, Y, 4)
    flow.close()
    with pytest.raises(FlowClosed):
        flow.explain(0, 0, 0)


def test_its_repr_holds_no_pixels() -> None:
    with ImageDataGenerator().flow(X, Y, 4, shuffle=False) as flow:
        text = repr(flow.explain(0, 0, 1))
    assert text.startswith("Explanation(index=1, path=None, label=")
    assert "array" not in text
