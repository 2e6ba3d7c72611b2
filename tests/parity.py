"""Keras's class and ours side by side: settings at random, streams of batches, and when they count as the same."""

from __future__ import annotations

import multiprocessing.pool  # Keras uses it without importing it
from typing import Any

import numpy as np
from hypothesis import strategies as st
from keras.src.legacy.preprocessing.image import ImageDataGenerator as KerasGenerator

from penstock import ImageDataGenerator
from strategies import FILL_MODES, assert_alike, quiet

assert multiprocessing.pool

FEW = 0.002  # values that may differ: those whose source lies on the border between two pixels


def halved(image: np.ndarray) -> np.ndarray:
    return image / 2 - 1


def doubled_in_place(image: np.ndarray) -> np.ndarray:
    image *= 2
    return image


def turned(image: np.ndarray) -> np.ndarray:
    return image[::-1, ::-1].astype("float64")


SHIFTS = [0.0, 0.0, 0.15, 1.0, 2.5, 1, 4, [0.1, 0.2], (-2, 3), -0.2]
FAR_SHIFTS = [-3, [-50, 50], 0.9, 40]


@st.composite
def settings_of_keras(draw: st.DrawFn, *, brightness: bool = True) -> dict[str, Any]:
    """Constructor arguments, all of them at random, but for what the last bit of a sum decides in Keras.

    - An image that ends up flat is nothing but rounding once its own mean is taken away.
    - Shear without rotation leaves the ends of a row exactly on the image's edge: outside, or not; an image's own mean
      spreads that over all of its pixels.
    - In float64, SciPy makes 255.00000000000003 of 255, and Keras's brightness then stretches the whole image.
    """
    sample_scale, feature_scale = draw(st.booleans()), draw(st.booleans())
    sample_centre = sample_scale or draw(st.booleans())
    far = draw(st.booleans()) and not sample_centre
    shifts = st.sampled_from(SHIFTS + FAR_SHIFTS if far else SHIFTS)
    fill_mode = draw(st.sampled_from([mode for mode in FILL_MODES if not sample_centre or "constant" not in mode]))
    always_turned = sample_centre and fill_mode == "wrap"
    brightness_range = draw(st.sampled_from([None, None, (0.5, 1.5), [0.1, 2.5]])) if brightness else None
    return {
        "featurewise_center": feature_scale or draw(st.booleans()),
        "samplewise_center": sample_centre,
        "featurewise_std_normalization": feature_scale,
        "samplewise_std_normalization": sample_scale,
        "rotation_range": draw(st.sampled_from([25, 180.0, -40] if always_turned else [0, 25, 180.0, -40])),
        "width_shift_range": draw(shifts),
        "height_shift_range": draw(shifts),
        "brightness_range": brightness_range,
        "shear_range": draw(st.sampled_from([0.0, 20, 50.0])),
        "zoom_range": draw(st.sampled_from([0.0, 0.2, (0.5, 1.5), [0.7, 0.9], (1, 1)])),
        "channel_shift_range": draw(st.sampled_from([0.0, 0.1] if sample_centre else [0.0, 30, 0.1, -10.0])),
        "fill_mode": fill_mode,
        "cval": draw(st.sampled_from([0.0, 100, -5.5])),
        "horizontal_flip": draw(st.booleans()),
        "vertical_flip": draw(st.booleans()),
        "rescale": draw(st.sampled_from([None, 1 / 255, 2.0, 0])),
        "preprocessing_function": draw(st.sampled_from([None, None, halved, doubled_in_place, turned])),
        "interpolation_order": draw(st.sampled_from([0, 1, 1, 1, 2, 3])),
        "dtype": draw(st.sampled_from([None, "float32", "float64"] if brightness_range is None else [None, "float32"])),
    }


def both(**options: Any) -> tuple[KerasGenerator, ImageDataGenerator]:
    return KerasGenerator(**options), ImageDataGenerator(**options, semantics="keras")


def stream(flow: Any, batches: int) -> list[Any]:
    """Batches as nested lists of copies, tuples and lists told apart."""

    def copied(part: Any) -> Any:
        return type(part)(map(copied, part)) if isinstance(part, list | tuple) else np.array(part)

    with quiet():
        return [copied(next(flow)) for _ in range(batches)]


def leaves(part: Any) -> list[np.ndarray]:
    return [leaf for one in part for leaf in leaves(one)] if isinstance(part, list | tuple) else [part]


def shape_of(part: Any) -> Any:
    if isinstance(part, list | tuple):
        return type(part), [shape_of(one) for one in part]
    return part.shape, part.dtype


def assert_same_stream(got: list[Any], expected: list[Any], images: int = 1) -> None:
    """The first `images` arrays of a batch alike, all others equal."""
    assert [shape_of(batch) for batch in got] == [shape_of(batch) for batch in expected]
    for part in range(images):
        ours, keras = (np.concatenate([leaves(batch)[part] for batch in batches]) for batches in (got, expected))
        assert_alike(ours, keras, few=FEW)
    for ours, keras in zip(got, expected, strict=True):
        for one, other in zip(leaves(ours)[images:], leaves(keras)[images:], strict=True):
            np.testing.assert_array_equal(one, other)


def assert_equal_streams(one: list[Any], other: list[Any]) -> None:
    assert [shape_of(batch) for batch in one] == [shape_of(batch) for batch in other]
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
