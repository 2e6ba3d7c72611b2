"""Subclasses of `ImageDataGenerator`: methods that are replaced are called, as Keras's flows call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator as KerasGenerator

from parity import assert_same_stream, stream
from penstock import BatchError, ImageDataGenerator
from strategies import pixels, quiet

X = pixels(0, (10, 9, 12, 3), "uint8")


def inverted(base: type) -> type:
    class Inverted(base):  # type: ignore[misc,valid-type]
        def standardize(self, x: Any) -> Any:
            return 255 - super().standardize(x)

    return Inverted


def cut_out(base: type) -> type:
    class CutOut(base):  # type: ignore[misc,valid-type]
        def apply_transform(self, x: Any, transform_parameters: Any) -> Any:
            x = super().apply_transform(x, transform_parameters).copy()
            x[2:4, 2:4] = 0
            return x

    return CutOut


def always_flipped(base: type) -> type:
    class Flipped(base):  # type: ignore[misc,valid-type]
        def get_random_transform(self, img_shape: Any, seed: Any = None) -> Any:
            return {**super().get_random_transform(img_shape, seed), "flip_horizontal": True, "theta": 30}

    return Flipped


@pytest.mark.parametrize("own", [inverted, cut_out])
@pytest.mark.parametrize("workers", [0, 2])
def test_methods_of_a_subclass_make_the_images_as_with_keras(own: Any, workers: int, folders: dict[str, Path]) -> None:
    options: dict[str, Any] = {"rotation_range": 40, "brightness_range": (0.5, 1.5), "rescale": 0.5}
    keras_, ours = own(KerasGenerator)(**options), own(ImageDataGenerator)(**options, semantics="keras")
    expected = stream(keras_.flow(X, batch_size=4, seed=3), 5)
    with ours.flow(X, batch_size=4, seed=3, workers=workers) as flow:
        assert_same_stream(stream(flow, 5), expected)
    arguments: dict[str, Any] = {"target_size": (20, 31), "batch_size": 4, "seed": 3}
    expected = stream(keras_.flow_from_directory(str(folders["two"]), **arguments), 4)
    with ours.flow_from_directory(folders["two"], workers=workers, **arguments) as flow:
        assert_same_stream(stream(flow, 4), expected)


def test_drawn_parameters_of_a_subclass_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    keras_, ours = always_flipped(KerasGenerator)(), always_flipped(ImageDataGenerator)(semantics="keras")
    with ours.flow(X, batch_size=10, shuffle=False, workers=1) as flow, quiet():
        assert_same_stream([next(flow)], [next(keras_.flow(X, batch_size=10, shuffle=False))])
    assert "get_random_transform of this ImageDataGenerator is your own" in capsys.readouterr().out


def test_a_method_may_be_replaced_on_the_object_itself() -> None:
    generator = ImageDataGenerator()
    generator.standardize = lambda x: x + 100.0  # type: ignore[method-assign]
    with generator.flow(X, shuffle=False, workers=0) as flow:
        np.testing.assert_array_equal(next(flow), X + 100.0)


def test_validation_is_not_augmented_by_them_either() -> None:
    generator = always_flipped(ImageDataGenerator)(validation_split=0.5)
    with generator.flow(X, shuffle=False, subset="validation", workers=0) as flow:
        np.testing.assert_array_equal(next(flow), X[:5])


def test_their_errors_name_the_sample() -> None:
    class Failing(ImageDataGenerator):
        def standardize(self, x: Any) -> Any:
            raise LookupError("no")

    words = "your `ImageDataGenerator` failed on sample 0: LookupError: no"
    with Failing().flow(X, shuffle=False, workers=0) as flow, pytest.raises(BatchError, match=words):
        next(flow)


# --- datasets around flows ------------------------------------------------------------------------------------------


def epochs_of(dataset: Any, flow: Any, seen: list[bytes]) -> list[list[bytes]]:
    model = keras.Sequential([keras.layers.Input((9, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    epochs = []
    for _ in range(3):
        before = len(seen)
        model.fit(dataset, verbose=0)
        epochs.append(seen[before:])
    return epochs


@pytest.mark.backends
@pytest.mark.parametrize("hooked", [False, True])
def test_a_dataset_that_wraps_a_flow_sees_a_new_epoch_in_every_fit(hooked: bool) -> None:
    seen: list[bytes] = []

    class Wrapper(keras.utils.PyDataset):
        def __init__(self, flow: Any) -> None:
            super().__init__()
            self.flow = flow

        def __len__(self) -> int:
            return len(self.flow)

        def __getitem__(self, idx: int) -> Any:
            x, y = self.flow[idx]
            seen.append(x.tobytes())
            return x / 255, y

        def on_epoch_end(self) -> None:
            if hooked:
                self.flow.on_epoch_end()

    generator = ImageDataGenerator(rotation_range=90)
    with generator.flow(X, np.arange(10.0), 5, seed=1, workers=2) as flow:
        epochs = epochs_of(Wrapper(flow), flow, seen)
        trained = [set(epoch[-2:]) for epoch in epochs]
        assert len(set.union(*trained)) == 6, "two batches in each of three epochs"
        with generator.flow(X, np.arange(10.0), 5, seed=1, workers=0) as twin:
            stream_ = {next(twin)[0].tobytes() for _ in range(6)}
        assert set.union(*trained) == stream_, "from the first epoch on, looks at shapes aside"


@pytest.mark.backends
def test_a_flow_that_overrides_getitem_is_fed_as_the_flow_is() -> None:
    import penstock

    seen: list[bytes] = []

    class Halved(penstock.NumpyArrayIterator):
        def __getitem__(self, idx: int) -> Any:
            x, y = super().__getitem__(idx)
            seen.append(x.tobytes())
            return x / 255, y

    with Halved(X, np.arange(10.0), ImageDataGenerator(rotation_range=90), batch_size=5, seed=1, shuffle=True) as flow:
        epochs = epochs_of(flow, flow, seen)
        assert len({batch for epoch in epochs for batch in epoch[-2:]}) == 6
        assert flow.total_batches_seen == 6
