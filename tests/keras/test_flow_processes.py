"""Image flows whose batches worker processes make."""

from __future__ import annotations

import gc
import os
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from parity import assert_equal_streams, stream
from penstock import BatchError, Flow, ImageDataGenerator, ImageError
from strategies import pixels

pytestmark = pytest.mark.skipif(os.name != "posix", reason="worker processes need POSIX")

X = pixels(0, (22, 12, 9, 3), "uint8")


def half(image: np.ndarray) -> np.ndarray:
    return image / 2


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
@pytest.mark.parametrize("workers", [1, 2])
def test_arrays_give_the_bytes_that_threads_and_the_callers_thread_give(semantics: str, workers: int) -> None:
    generator = ImageDataGenerator(
        rotation_range=40, zoom_range=0.2, preprocessing_function=half, semantics=semantics, rescale=1 / 255
    )
    weights = np.linspace(0, 1, 22)
    options = {"batch_size": 5, "sample_weight": weights, "seed": 3}
    with generator.flow((X, [np.arange(22)]), np.arange(22), workers=0, **options) as flow:
        expected = stream(flow, 12)
    with generator.flow(
        (X, [np.arange(22)]), np.arange(22), workers=workers, use_multiprocessing=True, **options
    ) as flow:
        assert flow.use_multiprocessing
        got = stream(flow, 7)
        flow.use_multiprocessing = False
        got += stream(flow, 3)
        flow.use_multiprocessing = True
        got += stream(flow, 2)
        assert_equal_streams(got, expected)
        np.testing.assert_array_equal(flow[1][0][0], flow[1][0][0])


def test_labels_that_are_python_objects_come_along() -> None:
    labels = np.array([f"label {k}" if k % 2 else k for k in range(22)], object)
    with ImageDataGenerator().flow(X, labels, 5, seed=3, workers=2, use_multiprocessing=True) as flow:
        images, got = next(flow)
        for image, label in zip(images, got, strict=True):
            np.testing.assert_array_equal(image, X[labels.tolist().index(label)])


def test_whitened_images_and_large_arrays_are_shared(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(100, 20, (400, 12, 14, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    generator = ImageDataGenerator(zca_whitening=True, featurewise_center=True)
    generator.fit(x)
    for images in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), np.asfortranarray(x)):
        with generator.flow(images, batch_size=64, seed=3, workers=0) as flow:
            expected = stream(flow, 8)
        with generator.flow(images, batch_size=64, seed=3, workers=2, use_multiprocessing=True) as flow:
            assert_equal_streams(stream(flow, 8), expected)


def test_files_and_dataframes_too(folders: dict[str, Path]) -> None:
    generator = ImageDataGenerator(rotation_range=40, preprocessing_function=half)
    options: dict[str, Any] = {"target_size": (24, 20), "batch_size": 4, "seed": 3}
    with generator.flow_from_directory(folders["two"], workers=0, **options) as flow:
        expected = stream(flow, 5)
        frame = pd.DataFrame({"filename": flow.filenames, "class": [name.split("/")[0] for name in flow.filenames]})
    directory = folders["two"]
    for make in (
        lambda **feeding: generator.flow_from_directory(directory, **options, **feeding),
        lambda **feeding: generator.flow_from_dataframe(frame, directory, **options, **feeding),
    ):
        with make(workers=2, use_multiprocessing=True) as flow:
            assert_equal_streams(stream(flow, 5), expected)


# --- what user code draws -------------------------------------------------------------------------------------------


def noisy(image: np.ndarray) -> np.ndarray:
    """All three that a user may draw from; the pixel says what came."""
    image[0, 0] = random.random(), np.random.random(), np.random.randint(1 << 20)
    return image


def draws(workers: int, batch_size: int = 5, epochs: int = 2, function: Any = noisy) -> dict[tuple[int, int], bytes]:
    """What was drawn for each epoch and sample."""
    generator = ImageDataGenerator(preprocessing_function=function)
    drawn = {}
    with generator.flow(X, np.arange(22), batch_size, seed=3, workers=workers, use_multiprocessing=True) as flow:
        for epoch in range(epochs):
            for _ in range(len(flow)):
                images, labels = next(flow)
                drawn |= {
                    (epoch, int(label)): image[0, 0].tobytes() for image, label in zip(images, labels, strict=True)
                }
    return drawn


def test_global_generators_are_seeded_by_sample_so_that_no_two_draw_the_same() -> None:
    one = draws(1)
    assert len(one) == 44
    assert len(set(one.values())) == 44
    assert draws(2) == one
    assert draws(2, batch_size=7) == one


def test_albumentations_pipelines_are_seeded_by_sample() -> None:
    import albumentations  # here, since it loads torch

    pipeline = albumentations.Compose([albumentations.GaussNoise(std_range=(0.1, 0.3), p=1.0)])

    def augment(image: np.ndarray) -> np.ndarray:
        return pipeline(image=image.astype("uint8"))["image"]

    one = draws(1, function=augment)
    assert len(set(one.values())) > 40, "of 44 pixels, a few may be black in both"
    assert draws(2, function=augment) == one


# --- trouble --------------------------------------------------------------------------------------------------------


def fails_on_red(image: np.ndarray) -> np.ndarray:
    if image[0, 0, 0] == X[7, 0, 0, 0]:
        raise LookupError("red")
    return image


def test_a_failing_function_is_named_with_its_sample_and_traceback() -> None:
    generator = ImageDataGenerator(preprocessing_function=fails_on_red)
    with generator.flow(X, batch_size=4, shuffle=False, workers=2, use_multiprocessing=True) as flow:
        next(flow)
        with pytest.raises(BatchError, match="`preprocessing_function` failed on sample 7: LookupError: red") as caught:
            next(flow)
        assert (caught.value.epoch, caught.value.step, caught.value.index) == (0, 1, 7)
        assert "in fails_on_red" in caught.value.traceback_text


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "bad.jpg").write_bytes(b"\xff\xd8\xffnothing")
    with ImageDataGenerator().flow_from_directory(tmp_path, workers=1, use_multiprocessing=True) as flow:
        with pytest.raises(ImageError, match=r"bad\.jpg") as caught:
            next(flow)
        assert caught.value.path == str(tmp_path / "a" / "bad.jpg")
        assert caught.value.index == 0


def test_what_cannot_travel_leaves_the_flow_as_it_was() -> None:
    numbers = (k for k in range(1000))

    def counted(image: np.ndarray) -> np.ndarray:
        return image + next(numbers) * 0

    with ImageDataGenerator(preprocessing_function=counted).flow(X, batch_size=4, workers=1, seed=1) as flow:
        first = next(flow)
        with pytest.raises(TypeError, match="cannot be made by other processes"):
            flow.use_multiprocessing = True
        assert not flow.use_multiprocessing
        assert first.shape == next(flow).shape


def test_a_flow_that_is_forgotten_ends_its_processes() -> None:
    import psutil

    flow: Flow | None = ImageDataGenerator().flow(X, batch_size=4, workers=2, use_multiprocessing=True)
    next(flow)  # type: ignore[call-overload]
    pids = {child.pid for child in psutil.Process().children() if "executors._worker" in " ".join(child.cmdline())}
    assert len(pids) >= 1
    del flow
    gc.collect()
    _gone, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=20)
    assert not alive


def test_training_is_fed_by_processes() -> None:
    model = keras.Sequential([keras.layers.Input((12, 9, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    generator = ImageDataGenerator(preprocessing_function=half, rescale=1e-3)
    with generator.flow(X, np.arange(22), 4, workers=2, use_multiprocessing=True) as flow:
        history = model.fit(flow, epochs=3, validation_data=flow, verbose=0)
        assert len(history.history["val_loss"]) == 3
        assert model.predict(flow, verbose=0).shape == (22, 1)
