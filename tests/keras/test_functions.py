"""The functions that old code imports, against Keras's own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras.src.legacy.preprocessing import image as oracle

import penstock

NAMES = [
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "validate_filename",
]
RANDOM = np.random.default_rng(0)
AXES = [(1, 2, 0), (0, 1, 2), (2, 1, 0), (1, 0, 2)]


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_kerass(name: str) -> None:
    ours, theirs = inspect.signature(getattr(penstock, name)), inspect.signature(getattr(oracle, name))
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("random_rotation", {"rg": 40}),
        ("random_shift", {"wrg": 0.3, "hrg": 0.2}),
        ("random_shear", {"intensity": 20}),
        ("random_zoom", {"zoom_range": (0.6, 1.3)}),
        ("random_rotation", {"rg": 40, "fill_mode": "constant", "cval": 9, "interpolation_order": 0}),
        ("random_zoom", {"zoom_range": (0.6, 1.3), "fill_mode": "reflect", "interpolation_order": 3}),
    ],
)
def test_random_geometry_equals_kerass(name: str, arguments: dict[str, Any], axes: tuple[int, ...], dtype: str) -> None:
    shape = [0, 0, 0]
    for axis, length in zip(axes, (23, 17, 3), strict=True):
        shape[axis] = length
    x = (RANDOM.random(shape) * 255).astype(dtype)
    row_axis, col_axis, channel_axis = axes
    options = {**arguments, "row_axis": row_axis, "col_axis": col_axis, "channel_axis": channel_axis}
    np.random.seed(4)
    expected = getattr(oracle, name)(x, **options)
    np.random.seed(4)
    result = getattr(penstock, name)(x, **options)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.astype(float), expected.astype(float), atol=1.0 if dtype == "uint8" else 0.05)
    assert np.mean(np.abs(result.astype(float) - expected) > 0.05) < 0.002


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("low_high", [(0, 255), (-20, 300), (0, 1)])
def test_colour_equals_kerass(scale: bool, low_high: tuple[float, float]) -> None:
    x = RANDOM.uniform(*low_high, (9, 7, 3)).astype("float32")
    np.testing.assert_allclose(
        penstock.apply_brightness_shift(x, 1.3, scale), oracle.apply_brightness_shift(x, 1.3, scale)
    )
    for channel_axis in (0, 2):
        np.testing.assert_allclose(
            penstock.apply_channel_shift(x, 3.5, channel_axis), oracle.apply_channel_shift(x, 3.5, channel_axis)
        )
    for name, arguments in (("random_brightness", ((0.5, 1.5), scale)), ("random_channel_shift", (20, 2))):
        np.random.seed(1)
        expected = getattr(oracle, name)(x, *arguments)
        np.random.seed(1)
        np.testing.assert_allclose(getattr(penstock, name)(x, *arguments), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row_axis": 0, "col_axis": 0}, "must be distinct"),
        ({"row_axis": 5}, r"Invalid axis' indices: \{5\}"),
        ({"row_axis": 0, "col_axis": 2, "channel_axis": 1}, "Channels are allowed and the first and last dimensions"),
    ],
)
def test_wrong_axes_are_refused_as_keras_does(options: dict[str, int], message: str) -> None:
    for module in (penstock, oracle):
        with pytest.raises(ValueError, match=message):
            module.apply_affine_transform(np.zeros((3, 4, 5)), theta=3, **options)
        with pytest.raises(ValueError, match="must be multi-channel 2D images"):
            module.apply_affine_transform(np.zeros((3, 4)), theta=3)


def test_wrong_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="`zoom_range` should be a tuple or list of two floats"):
        penstock.random_zoom(np.zeros((3, 4, 5)), (1, 2, 3))
    with pytest.raises(ValueError, match="`brightness_range should be tuple or list of two floats"):
        penstock.random_brightness(np.zeros((3, 4, 5)), (1,))


def test_brightness_refuses_what_keras_refuses() -> None:
    for module in (penstock, oracle):
        with pytest.raises(ValueError, match="Unsupported channel number: 2"):
            module.apply_brightness_shift(np.zeros((4, 5, 2)), 1.5)
        with pytest.raises(ValueError, match="Expected image array to have rank 3"):
            module.apply_brightness_shift(np.zeros((4, 5)), 1.5)


def test_nothing_to_do_gives_the_image_itself() -> None:
    x = np.zeros((3, 4, 5))
    assert penstock.apply_affine_transform(x) is x
    assert penstock.random_zoom(x, (1, 1)) is x


def test_loading_and_saving_are_kerass_own(tmp_path: Path) -> None:
    import keras

    for name in ("array_to_img", "img_to_array", "load_img", "save_img"):
        assert getattr(penstock, name) is getattr(keras.utils, name)
    path = tmp_path / "a.png"
    penstock.save_img(str(path), np.zeros((4, 5, 3)))
    assert penstock.validate_filename(str(path), ("png",))
    assert not penstock.validate_filename(str(path), ("jpg",))
    assert not penstock.validate_filename(str(tmp_path / "b.png"), ("png",))
