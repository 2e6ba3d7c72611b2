"""What `fit` learns, and `standardize` on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from penstock.image import _standardize
from penstock.image._render import standardize
from penstock.image._standardize import Standardization, learn
from strategies import SOURCE_DTYPES, assert_alike, examples, number_seeds, pixels

BOTH = {"centre": True, "scale": True, "whiten": False, "zca_epsilon": 1e-6}


# --- learning -------------------------------------------------------------------------------------------------------


@examples(60)
@given(
    number_seeds,
    st.tuples(st.integers(1, 9), st.integers(1, 8), st.integers(1, 8)),
    st.sampled_from([1, 2, 3, 4, 5]),
    st.sampled_from((*SOURCE_DTYPES, "int16")),
    st.sampled_from([None, 1 / 255, -3.0]),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
)
def test_mean_and_deviation_by_channel_are_numpys(
    seed: int, shape: tuple[int, int, int], channels: int, dtype: str, rescale: float | None, channel_axis: int,
    centre: bool, scale: bool,
) -> None:  # fmt: skip
    shape_ = (shape[0], channels, *shape[1:]) if channel_axis == 1 else (*shape, channels)
    images = pixels(seed, shape_, dtype)
    before = images.copy()
    mean, std, whitening = learn(
        images, **{**BOTH, "centre": centre, "scale": scale}, rescale=rescale, channel_axis=channel_axis
    )
    axes = tuple({0, 1, 2, 3} - {channel_axis})
    values = images.astype(np.float64) * (rescale or 1)
    expected_shape = (channels, 1, 1) if channel_axis == 1 else (1, 1, channels)
    assert whitening is None
    if centre:
        assert mean is not None
        assert mean.shape == expected_shape
        np.testing.assert_allclose(mean.reshape(-1), values.mean(axis=axes), rtol=1e-9, atol=1e-9)
    else:
        assert mean is None
    if scale:
        assert std is not None
        assert std.shape == expected_shape
        np.testing.assert_allclose(std.reshape(-1), values.std(axis=axes), rtol=1e-9, atol=1e-9)
    else:
        assert std is None
    np.testing.assert_array_equal(images, before, "the user's images stay as they are")


def test_learning_in_chunks_is_learning_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pixels(0, (37, 5, 6, 3), "uint8")
    whole = learn(images, **BOTH, rescale=0.5, channel_axis=3)
    monkeypatch.setattr(_standardize, "_CHUNK_BYTES", 8 * 5 * 6 * 3 * 4)  # four images, the last chunk has one
    for one, other in zip(learn(images, **BOTH, rescale=0.5, channel_axis=3)[:2], whole[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_large_values_with_a_small_spread_keep_their_spread() -> None:
    """Where the mean of squares less the square of the mean would lose all digits."""
    images = 1e6 + np.random.default_rng(0).normal(0, 0.01, (20, 8, 8, 1))
    _, std, _ = learn(images, **BOTH, rescale=None, channel_axis=3)
    assert std is not None
    np.testing.assert_allclose(std.reshape(-1), images.std(), rtol=1e-6)


@pytest.mark.parametrize("channel_axis", [1, 3])
@pytest.mark.parametrize("rescale", [None, 1 / 255])
def test_whitened_images_have_the_covariance_of_white_noise(channel_axis: int, rescale: float | None) -> None:
    numbers = np.random.default_rng(1)
    mixing = numbers.normal(size=(18, 18)) + 3 * np.eye(18)
    flat = numbers.normal(size=(400, 18)) @ mixing * 10 + 100
    images = flat.reshape((400, 2, 3, 3) if channel_axis == 1 else (400, 3, 3, 2))
    mean, std, whitening = learn(
        images, centre=True, scale=False, whiten=True, zca_epsilon=1e-6, rescale=rescale, channel_axis=channel_axis
    )
    assert std is None
    assert whitening is not None
    centred = (images * (rescale or 1) - mean).reshape(400, 18)
    white = centred @ whitening
    np.testing.assert_allclose(white.T @ white / 400, np.eye(18), atol=1e-3)
    np.testing.assert_allclose(whitening, whitening.T, atol=1e-3 * np.abs(whitening).max())


def test_epsilon_bounds_what_whitening_amplifies() -> None:
    images = np.random.default_rng(1).normal(size=(50, 2, 2, 1))
    images[:, 1, 1] = images[:, 0, 0]  # a direction without any spread
    for epsilon in (1e-2, 1.0):
        _, _, whitening = learn(
            images, centre=True, scale=False, whiten=True, zca_epsilon=epsilon, rescale=None, channel_axis=3
        )
        assert np.linalg.norm(whitening, 2) == pytest.approx(np.sqrt(50) / epsilon, rel=1e-3)


# --- applying -------------------------------------------------------------------------------------------------------


@examples(100)
@given(
    number_seeds,
    st.integers(1, 3),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([1, 2, 3, 4, 5]),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
    st.sampled_from([None, 1 / 255, 4.0]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["none", "mean", "std", "both", "by pixel"]),
)
def test_each_image_is_standardized_in_place_as_numpy_would(
    seed: int, count: int, size: tuple[int, int], channels: int, dtype: str, channels_first: bool,
    rescale: float | None, sample_centre: bool, sample_scale: bool, learnt: str,
) -> None:  # fmt: skip
    shape = (channels, *size) if channels_first else (*size, channels)
    by_channel = (channels, 1, 1) if channels_first else (1, 1, channels)
    numbers = np.random.default_rng(seed)
    images = numbers.uniform(0, 255, (count, *shape)).astype(dtype)
    moments = shape if learnt == "by pixel" else by_channel
    mean = numbers.uniform(-1, 1, moments) if learnt in ("mean", "both", "by pixel") else None
    std = numbers.uniform(0.5, 2, moments) if learnt in ("std", "both", "by pixel") else None
    expected = images.astype(np.float64)
    for image in expected:
        image *= rescale or 1
        spread = image.std()
        image -= image.mean() if sample_centre else 0
        image /= spread + 1e-6 if sample_scale else 1
        image -= 0 if mean is None else mean
        image /= 1 if std is None else std + 1e-6
    standardize(Standardization(rescale, sample_centre, sample_scale, mean, std), images, channels_first)
    assert images.dtype == dtype
    if np.prod(shape) == 1 and sample_scale:
        return  # one value has no spread: what rounding leaves of it is divided by a millionth
    np.testing.assert_allclose(images, expected, rtol=2e-4, atol=2e-4 * max(1.0, np.abs(expected).max()))


def test_no_images_are_no_work() -> None:
    empty = np.empty((0, 4, 4, 3), np.float32)
    standardize(Standardization(rescale=2.0, sample_scale=True), empty, False)
    assert empty.shape == (0, 4, 4, 3)


def test_whitening_multiplies_the_flat_image() -> None:
    numbers = np.random.default_rng(3)
    images, matrix = numbers.normal(size=(2, 3, 2, 2)), numbers.normal(size=(12, 12))
    expected = (images * 2).reshape(2, 12) @ matrix
    standardize(Standardization(rescale=2.0, whitening=matrix), images, False)
    assert_alike(images.reshape(2, 12), expected)


@pytest.mark.parametrize("channel_axis", [0, 2])
def test_numbers_that_differ_by_channel_only_are_told_from_those_that_differ_by_pixel(channel_axis: int) -> None:
    shape = [1, 1, 1]
    shape[channel_axis] = 3
    vector = np.array([1.0, 2.0, 3.0])

    def split(**numbers: Any) -> Any:
        return Standardization(**numbers).by_channel(3, channel_axis)

    centre, gain = split(mean=vector.reshape(shape), std=vector.reshape(shape))
    np.testing.assert_array_equal(centre, vector)
    np.testing.assert_allclose(gain, 1 / (vector + 1e-6), rtol=1e-15)
    centre, gain = split()
    assert (centre.tolist(), gain.tolist()) == ([0, 0, 0], [1, 1, 1])
    centre, gain = split(mean=5.0)
    assert (centre.tolist(), gain.tolist()) == ([5, 5, 5], [1, 1, 1])
    assert split(mean=np.zeros((4, 4, 3))) is None
    assert split(std=np.zeros((4, 4, 3))) is None
