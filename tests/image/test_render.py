"""Whole images: the warp against SciPy, colours against NumPy and Pillow, and what is promised to be exact."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageEnhance

from penstock.image._augment import Augmentation, ShiftRange
from penstock.image._decode import Loading, decode_all
from penstock.image._draw import draw, from_dict
from penstock.image._pixels import Pixels
from penstock.image._render import FunctionFailed, Rendering, render
from penstock.image._standardize import Standardization
from strategies import (
    FILL_MODES,
    NOTHING,
    SIZES,
    SOURCE_DTYPES,
    affine_matrix,
    assert_alike,
    examples,
    flipped,
    geometries,
    number_seeds,
    on_the_border,
    pixels,
    scipy_warp,
)


def rendered(
    images: np.ndarray,
    parameters: list[dict[str, Any]],
    augmentation: Augmentation | None = None,
    *,
    which: Any = None,
    dtype: str = "float32",
    **rendering: Any,
) -> np.ndarray:
    """`images`, channels last, each by its parameters; stored channels first if the rendering says so."""
    channels_first = rendering.get("channels_first", False)
    stored = np.ascontiguousarray(np.moveaxis(images, 3, 1)) if channels_first else images
    which = np.arange(len(images)) if which is None else np.asarray(which)
    out = np.full((len(which), *stored.shape[1:]), 99, dtype)
    transforms = np.concatenate([from_dict(row) for row in parameters])
    render(
        Rendering(augmentation or Augmentation(), **rendering),
        Pixels.of_array(stored, which, channels_first),
        transforms,
        out,
    )
    return np.moveaxis(out, 1, 3) if channels_first else out


def span_of(images: np.ndarray) -> float:
    return max(float(np.ptp(images.astype(np.float64))), 1.0)


# --- the warp against SciPy -----------------------------------------------------------------------------------------


@st.composite
def warps(draw_: st.DrawFn) -> dict[str, Any]:
    count = draw_(st.integers(1, 3))
    shape = (count + 1, *draw_(st.sampled_from(SIZES)), draw_(st.sampled_from([1, 2, 3, 4, 5])))
    return {
        "images": pixels(draw_(number_seeds), shape, draw_(st.sampled_from(SOURCE_DTYPES))),
        "which": draw_(st.lists(st.integers(0, count), min_size=count, max_size=count)),
        "parameters": draw_(st.lists(geometries(), min_size=count, max_size=count)),
        "cval": draw_(st.sampled_from([0.0, 7.0, 255.0, -3.5, 12.75])),
        "dtype": draw_(st.sampled_from(["float32", "float32", "float64"])),
        "channels_first": draw_(st.booleans()),
        "as_keras": draw_(st.booleans()),
    }


def check_warp(case: dict[str, Any], order: int, fill_mode: str) -> None:
    cval, images = case.pop("cval"), case["images"]
    got = rendered(**case, augmentation=Augmentation(order=order, fill_mode=fill_mode, cval=cval))
    assert got.dtype == case["dtype"]
    height, width = images.shape[1:3]
    for result, sample, parameters in zip(got, case["which"], case["parameters"], strict=True):
        image = images[sample].astype(np.float64)
        moves = any(parameters[name] != rest for name, rest in NOTHING.items())
        matrix = affine_matrix(parameters, height, width, keras_centre=case["as_keras"])
        expected = scipy_warp(image, matrix, order, fill_mode, cval) if moves else image
        undecided = on_the_border(matrix, height, width, order, fill_mode)[:, :, None] & moves
        assert_alike(
            result, flipped(expected, parameters), span=span_of(images), besides=flipped(undecided, parameters)
        )


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("order", [0, 1])
@examples(60)
@given(case=warps())
def test_warps_as_scipy_does(order: int, fill_mode: str, case: dict[str, Any]) -> None:
    """Any dtype, size, number of channels and layout, with both centres and flips."""
    check_warp(case, order, fill_mode)


@pytest.mark.parametrize("order", [2, 3, 5])
@examples(25)
@given(case=warps(), fill_mode=st.sampled_from(FILL_MODES))
def test_splines_warp_as_scipy_does(order: int, fill_mode: str, case: dict[str, Any]) -> None:
    check_warp(case, order, fill_mode)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize(
    "parameters",
    [
        {"tx": 1e6 + 0.3, "ty": -1e6 - 0.7},
        {"tx": -123456.7, "ty": 0.4, "theta": 33},
        {"zx": 1e-3, "zy": 1e-3, "theta": 20},
        {"zx": 1017.3, "zy": 993.7, "theta": -77},
        {"shear": 89.9, "zx": 3.3},
        {"zx": -1.3, "zy": 0.0},
        {"theta": 12345.6},
    ],
    ids=repr,
)
def test_far_outside_is_still_what_scipy_says(parameters: dict[str, Any], fill_mode: str) -> None:
    parameters = {**NOTHING, **parameters}
    for dtype, order in (("uint8", 0), ("uint8", 1), ("float32", 0), ("float32", 1)):
        case = {
            "images": pixels(1, (1, 12, 17, 3), dtype),
            "which": [0],
            "parameters": [parameters],
            "cval": 9.0,
            "dtype": "float32",
            "channels_first": False,
            "as_keras": False,
        }
        check_warp(case, order, fill_mode)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_parameters_that_are_no_numbers_give_finite_images(order: int, fill_mode: str) -> None:
    for dtype in SOURCE_DTYPES:
        images = pixels(1, (1, 6, 7, 3), dtype)
        for name in ("theta", "tx", "ty", "shear", "zx", "zy"):
            for value in (np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324):
                out = rendered(images, [{name: value}], Augmentation(order=order, fill_mode=fill_mode))
                assert np.isfinite(out).all()


# --- what is exact --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", SOURCE_DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels_first", [False, True])
def test_nothing_to_do_and_flips_give_back_the_very_values(
    size: tuple[int, int], dtype: str, channels: int, channels_first: bool
) -> None:
    image = pixels(2, (*size, channels), dtype)
    flips = [{"flip_horizontal": h, "flip_vertical": v} for h in (False, True) for v in (False, True)]
    images = np.stack([image] * 4)
    for order in (0, 1, 3):
        for out_dtype in ("float32", "float64"):
            out = rendered(images, flips, Augmentation(order=order), channels_first=channels_first, dtype=out_dtype)
            for result, flip in zip(out, flips, strict=True):
                np.testing.assert_array_equal(result, flipped(image, flip).astype(out_dtype))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("dtype", SOURCE_DTYPES)
@pytest.mark.parametrize("size", [(1, 1), (6, 9), (4, 300)], ids=str)
def test_whole_shifts_are_exact(size: tuple[int, int], dtype: str, order: int) -> None:
    """As indexing does it: pixel (r, c) comes from (r + ty, c + tx)."""
    height, width = size
    image = pixels(4, (height, width, 3), dtype)
    for tx, ty in ((0, 0), (1, 0), (0, -2), (-3, 1), (5, 5), (-width, 0), (0, height), (1000, -1000)):
        rows, columns = np.arange(height) + ty, np.arange(width) + tx
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None]
        clamped = image[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)].astype(np.float32)
        for as_keras in (False, True):
            for fill_mode, expected in (
                ("nearest", clamped),
                ("constant", np.where(inside[:, :, None], clamped, np.float32(6))),
                ("grid-wrap", image[rows % height][:, columns % width].astype(np.float32)),
            ):
                out = rendered(
                    image[None],
                    [{"tx": tx, "ty": ty}],
                    Augmentation(order=order, fill_mode=fill_mode, cval=6),
                    as_keras=as_keras,
                )
                np.testing.assert_array_equal(out[0], expected)


@examples(100)
@given(
    geometries(),
    st.sampled_from(SIZES),
    st.sampled_from([0, 1]),
    st.sampled_from([("uint8", 200), ("uint16", 54321), ("float32", 0.1), ("float64", 1 / 3), ("uint8", 255)]),
    st.sampled_from([mode for mode in FILL_MODES if "constant" not in mode]),
)
def test_a_flat_image_stays_exactly_flat(
    parameters: dict[str, Any], size: tuple[int, int], order: int, flat: tuple[str, float], fill_mode: str
) -> None:
    dtype, value = flat
    image = np.full((1, *size, 3), value, dtype)
    out = rendered(image, [parameters], Augmentation(order=order, fill_mode=fill_mode))
    assert np.unique(out).tolist() == [np.float32(image.flat[0])]


# --- what the names of the parameters say ---------------------------------------------------------------------------


@pytest.mark.parametrize("fill_mode", ["nearest", "constant"])
@pytest.mark.parametrize("size", [(5, 9), (9, 5), (6, 10), (7, 7), (32, 32)], ids=str)
def test_half_a_turn_keeps_all_pixels(size: tuple[int, int], fill_mode: str) -> None:
    image = pixels(9, (1, *size, 3), "uint8") // 2 + 1
    out = rendered(image, [{"theta": 180}], Augmentation(fill_mode=fill_mode))
    np.testing.assert_allclose(out[0], image[0, ::-1, ::-1], atol=1e-3)


def test_half_a_turn_about_keras_centre_keeps_4_of_45_pixels() -> None:
    image = np.ones((1, 5, 9, 1), "uint8")
    out = rendered(image, [{"theta": 180}], Augmentation(fill_mode="constant"), as_keras=True)
    assert np.count_nonzero(out) == 4


@pytest.mark.parametrize("horizontal", [True, False])
@pytest.mark.parametrize(("height", "width"), [(20, 50), (50, 20)])
def test_shift_ranges_move_along_their_axis_by_a_share_of_that_side(height: int, width: int, horizontal: bool) -> None:
    """A share of the width moves columns, a share of the height rows."""
    shift = ShiftRange.parse([0.2], "")
    augmentation = Augmentation(fill_mode="constant", **{"shift_horizontal" if horizontal else "shift_vertical": shift})
    image = pixels(0, (height, width, 3), "uint8") // 2 + 1
    transforms = draw(augmentation, 8, 0, np.arange(12), height, width)
    out = np.empty((12, height, width, 3), np.float32)
    render(Rendering(augmentation), Pixels.of_array(image[None], np.zeros(12, np.int64), False), transforms, out)
    forwards, backwards = np.zeros((2, height, width, 3), np.float32)
    distance = (width if horizontal else height) // 5
    if horizontal:
        forwards[:, distance:], backwards[:, :-distance] = image[:, :-distance], image[:, distance:]
    else:
        forwards[distance:], backwards[:-distance] = image[:-distance], image[distance:]
    found = [next((name for name, e in (("+", forwards), ("-", backwards)) if np.array_equal(o, e)), "?") for o in out]
    assert set(found) == {"+", "-"}


@examples(60)
@given(geometries(), st.integers(1, 30), st.sampled_from(FILL_MODES), st.sampled_from([0, 1, 3]))
def test_both_semantics_warp_square_images_alike(
    parameters: dict[str, Any], side: int, fill_mode: str, order: int
) -> None:
    image = pixels(0, (1, side, side, 3), "uint8")
    augmentation = Augmentation(fill_mode=fill_mode, order=order, cval=3)
    corrected, keras = (rendered(image, [parameters], augmentation, as_keras=as_keras) for as_keras in (False, True))
    np.testing.assert_array_equal(corrected, keras)


# --- colours --------------------------------------------------------------------------------------------------------


@examples(120)
@given(
    number_seeds,
    st.sampled_from(SIZES),
    st.sampled_from([1, 2, 3, 4, 5]),
    st.sampled_from(SOURCE_DTYPES),
    st.floats(-400, 400),
    st.booleans(),
    st.booleans(),
)
def test_a_channel_shift_is_clipped_to_the_images_own_extent(
    seed: int, size: tuple[int, int], channels: int, dtype: str, shift: float, channels_first: bool, as_keras: bool
) -> None:
    images = pixels(seed, (2, *size, channels), dtype)
    out = rendered(
        images,
        [{"channel_shift_intensity": shift}, {"channel_shift_intensity": None, "flip_horizontal": True}],
        channels_first=channels_first,
        as_keras=as_keras,
    )
    image = images[0].astype(np.float64)
    np.testing.assert_allclose(out[0], np.clip(image + shift, image.min(), image.max()), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(out[1], images[1, :, ::-1].astype(np.float32), "its neighbour is not shifted")


def test_a_channel_shift_keeps_the_example_of_keras() -> None:
    image = np.array([10, 200, 50], "uint8").reshape(1, 1, 1, 3)
    assert rendered(image, [{"channel_shift_intensity": 100}]).reshape(-1).tolist() == [110, 200, 150]


@examples(120)
@given(
    number_seeds,
    st.sampled_from(SIZES),
    st.sampled_from([1, 2, 3, 4, 5]),
    st.sampled_from(SOURCE_DTYPES),
    st.floats(-1, 3),
    st.booleans(),
    st.sampled_from([(0.0, 255.0), (0.0, 1.0), (0.0, 65535.0), (-128.0, 127.0)]),
)
def test_brightness_scales_and_clips_to_the_range_of_values(
    seed: int, size: tuple[int, int], channels: int, dtype: str, factor: float, channels_first: bool, limits: Any
) -> None:
    image = pixels(seed, (1, *size, channels), dtype)
    out = rendered(image, [{"brightness": factor}], value_range=limits, channels_first=channels_first)[0]
    expected = image[0].astype(np.float64)
    colours = slice(0, 3 if channels == 4 else None)  # the fourth is alpha
    expected[..., colours] = np.clip(expected[..., colours] * factor, *limits)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def pillow_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Keras's steps: values outside 0 to 255 are stretched to that, and back after Pillow has made bytes of them."""
    low, high = image.min(), image.max()
    stretches = low < 0 or high > 255
    if stretches:
        image = image - low
        image = image / (image.max() or 1) * image.dtype.type(255)
    picture = Image.fromarray(np.squeeze(image.astype(np.uint8), 2) if image.shape[2] == 1 else image.astype(np.uint8))
    bright = np.asarray(ImageEnhance.Brightness(picture).enhance(factor), image.dtype).reshape(image.shape)
    return bright / 255 * (high - low) + low if stretches else bright


@examples(150)
@given(
    number_seeds,
    st.sampled_from([(1, 1), (3, 5), (16, 16), (2, 257)]),
    st.sampled_from([1, 3, 4]),
    st.sampled_from([(0, 255), (0, 1), (-20, 300), (-1, 1), (7, 7), (-7, -7), (0, 65535), (300, 300)]),
    st.floats(-0.5, 3, width=32),
    st.booleans(),
)
def test_keras_brightness_goes_through_pillow(
    seed: int, size: tuple[int, int], channels: int, extent: tuple[float, float], factor: float, channels_first: bool
) -> None:
    """Fractions are lost, images of 0 to 1 turn black, and an alpha channel stays."""
    image = np.random.default_rng(seed).uniform(*extent, (*size, channels)).astype("float32")
    out = rendered(image[None], [{"brightness": factor}], as_keras=True, channels_first=channels_first)[0]
    expected = pillow_brightness(image, factor)
    # A byte more or less where float32 decides between two.
    assert_alike(out, expected, span=max(255, float(np.ptp(image))), few=0.002)
    if channels == 4 and extent == (0, 255):
        np.testing.assert_array_equal(out[..., 3], np.floor(image[..., 3]))


def test_keras_brightness_of_bytes_is_exactly_pillows() -> None:
    image = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    for factor in (0.0, 0.1, 0.5, 0.999, 1.0, 1.1, 1.5, 2.0, 7.3, -0.2):
        out = rendered(image, [{"brightness": factor}], as_keras=True)
        picture = ImageEnhance.Brightness(Image.fromarray(image[0, :, :, 0])).enhance(factor)
        np.testing.assert_array_equal(out[0, :, :, 0], np.asarray(picture))


def test_colours_come_after_the_warp_and_shift_before_brightness() -> None:
    """The extent that clips a channel shift is the warped image's own, with its constant outside."""
    image = pixels(6, (1, 9, 11, 3), "uint8") // 2 + 100
    parameters = {**NOTHING, "tx": 4.0, "channel_shift_intensity": 60.0, "brightness": 1.2, "flip_horizontal": True}
    warped = scipy_warp(image[0].astype(float), affine_matrix(parameters, 9, 11, keras_centre=False), 1, "constant", 20)
    shifted = np.clip(warped + 60, 20, warped.max())
    expected = flipped(np.clip(shifted * 1.2, 0, 255), parameters)
    out = rendered(image, [parameters], Augmentation(fill_mode="constant", cval=20))
    np.testing.assert_allclose(out[0], expected, rtol=1e-5)


# --- values ---------------------------------------------------------------------------------------------------------


@examples(60)
@given(
    number_seeds,
    st.sampled_from([(1, 2), (4, 4), (5, 7), (33, 20), (2, 257)]),
    st.sampled_from([1, 3, 4, 5]),
    st.sampled_from(SOURCE_DTYPES),
    st.sampled_from([None, 1 / 255, -2.0]),
    st.sampled_from([(False, False), (True, False), (True, True), (False, True)]),
    st.booleans(),
    st.booleans(),
)
def test_samplewise_standardization_is_numpys(
    seed: int, size: tuple[int, int], channels: int, dtype: str, rescale: float | None, sample: tuple[bool, bool],
    channels_first: bool, moved: bool,
) -> None:  # fmt: skip
    images = pixels(seed, (2, *size, channels), dtype)
    parameters = [{"tx": 1} if moved else {}, {}]
    out = rendered(
        images,
        parameters,
        channels_first=channels_first,
        standardization=Standardization(rescale, sample_centre=sample[0], sample_scale=sample[1]),
    )
    expected = images.astype(np.float64)
    if moved:
        expected[0] = expected[0][:, np.minimum(np.arange(size[1]) + 1, size[1] - 1)]
    for result, image in zip(out, expected, strict=True):
        image *= rescale or 1
        spread = image.std()
        if sample[0]:
            image -= image.mean()
        if sample[1]:
            image /= spread + 1e-6
        np.testing.assert_allclose(result, image, rtol=1e-3, atol=1e-4 * max(np.abs(image).max(), 1e-3))


@pytest.mark.parametrize("colours", [{}, {"channel_shift_intensity": 10.0}])
@pytest.mark.parametrize("dtype", SOURCE_DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels_first", [False, True])
def test_means_and_deviations_by_channel_meet_their_channel(
    channels_first: bool, channels: int, dtype: str, colours: dict[str, Any]
) -> None:
    images = pixels(1, (2, 5, 6, channels), dtype)
    mean, std = np.arange(1, channels + 1) * 3.0, np.arange(1, channels + 1) / 7
    shape = (channels, 1, 1) if channels_first else (1, 1, channels)
    out = rendered(
        images,
        [colours, colours],
        channels_first=channels_first,
        standardization=Standardization(0.5, mean=mean.reshape(shape), std=std.reshape(shape)),
    )
    values = images.astype(np.float64)
    if colours:
        values = np.stack([np.clip(image + 10, image.min(), image.max()) for image in values])
    np.testing.assert_allclose(out, (values * 0.5 - mean) / (std + 1e-6), rtol=1e-4, atol=1e-3)


def test_a_mean_by_pixel_and_whitening_are_applied_as_given() -> None:
    numbers = np.random.default_rng(0)
    images = numbers.uniform(0, 255, (3, 4, 5, 2))
    mean, std, whitening = (
        numbers.uniform(0, 9, (4, 5, 2)),
        numbers.uniform(1, 2, (4, 5, 2)),
        numbers.normal(size=(40, 40)),
    )
    out = rendered(
        images, [{}] * 3, dtype="float64", standardization=Standardization(mean=mean, std=std, whitening=whitening)
    )
    expected = ((images - mean) / (std + 1e-6)).reshape(3, 40) @ whitening
    np.testing.assert_allclose(out.reshape(3, 40), expected, rtol=1e-9)


# --- the user's function --------------------------------------------------------------------------------------------


def test_the_function_sees_the_augmented_image_before_any_rescaling() -> None:
    seen: list[np.ndarray] = []

    def function(image: np.ndarray) -> np.ndarray:
        seen.append(image)
        return image[::-1] + 1

    images = pixels(0, (2, 3, 4, 3), "uint8")
    out = rendered(images, [{"flip_horizontal": True}, {}], function=function, standardization=Standardization(2.0))
    expected = np.stack([images[0, :, ::-1], images[1]]).astype("float32")
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(out, 2 * (expected[:, ::-1] + 1))


@pytest.mark.parametrize(
    "returned", [lambda image: None, lambda image: image[:1], lambda image: 3.0, lambda image: 1 / 0]
)
def test_a_function_that_fails_or_returns_another_shape_says_for_which_row(returned: Callable[[Any], Any]) -> None:
    def function(image: np.ndarray) -> Any:
        return returned(image) if image[0, 0, 0] == 1 else image

    images = np.zeros((3, 2, 2, 1), "float32") + np.arange(3, dtype="float32")[:, None, None, None]
    with pytest.raises(FunctionFailed) as caught:
        rendered(images, [{}] * 3, function=function)
    assert caught.value.args == (1,)
    assert isinstance(caught.value.__cause__, ValueError | ZeroDivisionError)


# --- integer output -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 3])
@examples(40)
@given(case=geometries(), fill_mode=st.sampled_from(FILL_MODES), seed=number_seeds, channels_first=st.booleans())
def test_integer_images_are_rounded_as_scipy_rounds_them(
    order: int, case: dict[str, Any], fill_mode: str, seed: int, channels_first: bool
) -> None:
    image = pixels(seed, (9, 14, 3), "uint8")
    matrix = affine_matrix(case, 9, 14, keras_centre=False)
    moves = any(case[name] != rest for name, rest in NOTHING.items())
    expected = flipped(scipy_warp(image, matrix, order, fill_mode, 12) if moves else image, case)
    undecided = flipped(on_the_border(matrix, 9, 14, order, fill_mode)[:, :, None] & moves, case)
    out = rendered(
        image[None],
        [case],
        Augmentation(order=order, fill_mode=fill_mode, cval=12),
        dtype="uint8",
        rounds_to=np.dtype("uint8"),
        channels_first=channels_first,
    )[0]
    off = np.abs(out.astype(int) - expected) * ~undecided
    assert off.max() <= 1
    assert (off > 0).mean() <= 0.005, "halves aside, which float32 may round to the other side"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32"])
def test_halves_round_as_scipy_rounds_them(dtype: str) -> None:
    """Half a pixel's shift between odd and even neighbours; SciPy rounds halves away from zero."""
    row = np.arange(-20, 20) if np.dtype(dtype).kind == "i" else np.arange(40)
    image = np.repeat(row.astype(dtype)[None, :, None], 3, axis=0)
    matrix = affine_matrix({"tx": 0.5}, 3, 40, keras_centre=False)
    source = image.astype("float32") if np.dtype(dtype).kind == "i" else image
    out = rendered(source[None], [{"tx": 0.5}], dtype=dtype, rounds_to=np.dtype(dtype))[0]
    np.testing.assert_array_equal(out, scipy_warp(image, matrix, 1, "nearest"))


def test_an_output_of_another_shape_is_refused() -> None:
    images = np.zeros((2, 3, 4, 3), "uint8")
    with pytest.raises(ValueError, match=r"the output should have shape \(2, 3, 4, 3\). Received: \(2, 4, 3, 3\)"):
        render(
            Rendering(),
            Pixels.of_array(images, np.arange(2), False),
            np.zeros((2, 10)),
            np.empty((2, 4, 3, 3), np.float32),
        )


@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
def test_a_copy_of_resized_images_is_what_the_look_ups_say(color_mode: str) -> None:
    rng, blobs = np.random.default_rng(0), []
    for size in ((9, 14), (30, 7), (16, 16), (11, 13), (11, 40)):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (*size, 3), "uint8")).save(file, "png")
        blobs.append(file.getvalue())
    pixels = decode_all(blobs, [""] * 5, Loading((11, 13), color_mode, "nearest", keep_aspect_ratio=True))
    copies = pixels.all_resized(640)
    values = 11 * 13 * pixels.channels
    for k, copy in enumerate(copies):
        np.testing.assert_array_equal(copy[:values], pixels.resized(k).reshape(-1))
    assert not copies[:, values:].any()
    again = Pixels.of_records(copies.reshape(-1), np.array([1280, 0]), (11, 13), pixels.channels)
    np.testing.assert_array_equal(again.resized(0), pixels.resized(2))
    np.testing.assert_array_equal(again.resized(1), pixels.resized(0))
