"""Where an output pixel comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from PIL import Image

from penstock.image import _kernels
from penstock.image._draw import from_dict
from penstock.image._geometry import FILL_MODES as NUMBERED, aspect_box, fill_mode_number, nearest_lookup, spline_warp
from strategies import (
    FILL_MODES,
    affine_matrix,
    assert_alike,
    examples,
    geometries,
    number_seeds,
    on_the_border,
    scipy_warp,
)

sides = st.integers(1, 400)


def affine_row(parameters: dict[str, Any], height: int, width: int, *, keras_centre: bool) -> np.ndarray:
    out = np.full((1, 8), np.nan)
    _kernels.affine_rows(from_dict(parameters), height, width, keras_centre, out)
    return out[0]


# --- matrices -------------------------------------------------------------------------------------------------------


@examples(300)
@given(geometries(), sides, sides, st.booleans())
def test_the_map_is_the_product_of_one_matrix_for_each_parameter(
    parameters: dict[str, Any], height: int, width: int, keras_centre: bool
) -> None:
    row = affine_row(parameters, height, width, keras_centre=keras_centre)
    expected = affine_matrix(parameters, height, width, keras_centre=keras_centre)
    np.testing.assert_allclose(row[:6].reshape(2, 3), expected[:2], rtol=1e-12, atol=1e-9)
    assert row[6:].tolist() == [parameters["flip_horizontal"], parameters["flip_vertical"]]


@examples(50)
@given(sides, sides, st.booleans(), st.integers(-500, 500), st.integers(-500, 500))
def test_whole_shifts_give_whole_coordinates(height: int, width: int, keras_centre: bool, tx: int, ty: int) -> None:
    row = affine_row({"tx": tx, "ty": ty}, height, width, keras_centre=keras_centre)
    assert row.tolist() == [1, 0, ty, 0, 1, tx, 0, 0]


@examples(50)
@given(sides, sides, geometries())
def test_the_image_s_centre_stays_where_it_is_but_for_shifts(
    height: int, width: int, parameters: dict[str, Any]
) -> None:
    row = affine_row({**parameters, "tx": 0, "ty": 0}, height, width, keras_centre=False)
    centre = np.array([(height - 1) / 2, (width - 1) / 2, 1])
    np.testing.assert_allclose(row[:6].reshape(2, 3) @ centre, centre[:2], atol=1e-9)


@examples(50)
@given(sides, geometries())
def test_both_centres_agree_on_square_images(side: int, parameters: dict[str, Any]) -> None:
    rows = [affine_row(parameters, side, side, keras_centre=keras_centre) for keras_centre in (False, True)]
    np.testing.assert_array_equal(*rows)


@examples(50)
@given(st.floats(-360, 360), sides, sides)
def test_a_turn_and_its_opposite_cancel(theta: float, height: int, width: int) -> None:
    there, back = (
        np.vstack([affine_row({"theta": angle}, height, width, keras_centre=False)[:6].reshape(2, 3), [0, 0, 1]])
        for angle in (theta, -theta)
    )
    np.testing.assert_allclose(there @ back, np.eye(3), atol=1e-9)


# --- fill modes -----------------------------------------------------------------------------------------------------


def test_every_fill_mode_of_scipy_has_a_number() -> None:
    assert [fill_mode_number(mode) for mode in NUMBERED] == list(range(len(NUMBERED)))
    assert {mode for mode in FILL_MODES if fill_mode_number(mode) >= 0} == set(FILL_MODES)
    assert fill_mode_number("grid-mirror") == fill_mode_number("reflect"), "SciPy has two names for one mode"


@pytest.mark.parametrize("mode", ["", "edge", "Nearest", None, 0])
def test_an_unknown_fill_mode_is_refused_with_the_known_ones(mode: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"^`fill_mode` should be one of 'nearest', .*'grid-mirror'. Received: {mode!r}$"
    ):
        fill_mode_number(mode)


# --- resizing -------------------------------------------------------------------------------------------------------


@st.composite
def resizes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    size_in = draw(st.one_of(st.integers(1, 40), st.integers(1, 5000)))
    size_out = draw(st.one_of(st.integers(1, 40), st.integers(1, 2000)))
    start = draw(st.integers(0, size_in - 1))
    return size_in, size_out, start, draw(st.integers(start + 1, size_in))


@examples(800)
@given(resizes(), st.booleans())
@example((7, 7, 1, 6), True)
@example((5000, 1999, 3, 4999), True)
def test_nearest_lookup_picks_the_pixels_that_pillow_picks(resize: tuple[int, int, int, int], boxed: bool) -> None:
    size_in, size_out, start, stop = resize
    start, stop = (start, stop) if boxed else (0, size_in)
    ramp = Image.fromarray(np.arange(size_in, dtype=np.int32)[None])  # mode "I": a pixel for each number
    across = ramp.resize((size_out, 1), Image.Resampling.NEAREST, box=(start, 0, stop, 1))
    down = ramp.transpose(Image.Transpose.TRANSPOSE).resize(
        (1, size_out), Image.Resampling.NEAREST, box=(0, start, 1, stop)
    )
    got = nearest_lookup(size_in, size_out, start, stop)
    assert got.dtype == np.int64
    assert got.tolist() == np.asarray(across)[0].tolist() == np.asarray(down)[:, 0].tolist()


@examples(200)
@given(sides, sides, sides, sides)
def test_the_part_that_keeps_the_aspect_ratio_is_the_largest_and_central(
    height: int, width: int, target_height: int, target_width: int
) -> None:
    top, left, bottom, right = aspect_box((height, width), (target_height, target_width))
    assert 0 <= top <= bottom <= height
    assert 0 <= left <= right <= width
    tallest = max(h for h in range(height + 1) if h * target_width <= width * target_height)
    widest = max(w for w in range(width + 1) if w * target_height <= height * target_width)
    assert (bottom - top, right - left) == (tallest, widest)
    assert 0 <= (height - bottom) - top <= 1
    assert 0 <= (width - right) - left <= 1


# --- splines --------------------------------------------------------------------------------------------------------


@examples(60)
@given(
    geometries(),
    number_seeds,
    st.sampled_from(FILL_MODES),
    st.sampled_from([2, 3, 4, 5]),
    st.sampled_from(["float32", "float64"]),
)
def test_spline_warp_is_scipys_with_flips_left_out(
    parameters: dict[str, Any], seed: int, mode: str, order: int, dtype: str
) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (9, 14, 2)).astype(dtype)
    row = affine_row(parameters, 9, 14, keras_centre=False)
    got = spline_warp(image, row, order, mode, 7.5)
    assert got.dtype == image.dtype
    matrix = affine_matrix(parameters, 9, 14, keras_centre=False)
    edges = on_the_border(matrix, 9, 14, order, mode)[:, :, None]
    assert_alike(got, scipy_warp(image, matrix, order, mode, 7.5), span=255, besides=edges)
