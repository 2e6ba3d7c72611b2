"""Values that an eye can see, words for parameters, and pictures of many images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from penstock.image._draw import as_dict, from_dict
from penstock.image._picture import GAP_PX, LINE_PX, Tile, arrange
from penstock.image._visible import visible
from penstock.image._words import in_words
from strategies import examples


def image(*values: float, dtype: str = "float32") -> np.ndarray:
    """One row of grey pixels."""
    return np.array(values, dtype).reshape(1, -1, 1)


def shown(*images: np.ndarray) -> list[list[int]]:
    return [one[0, :, 0].tolist() for one in visible(images, channels_first=False)]


# --- values ---


def test_bytes_are_shown_as_they_are_however_dark() -> None:
    assert shown(image(0, 1, 1, dtype="uint8")) == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 0.5, 1), (0, 128, 255)),
        ((0, 127.6, 255), (0, 128, 255)),
        ((-0.02, 0.2, 1.03), (0, 51, 255)),  # as splines leave them
        ((-6, 51, 260), (0, 51, 255)),
        ((-2, 0, 2), (0, 128, 255)),  # standardized
        ((-0.5, 0, 0.5), (0, 128, 255)),
        ((-130, 0, 130), (0, 128, 255)),
        ((0, 1, 2), (0, 128, 255)),
        ((0, 32767.5, 65535), (0, 128, 255)),
        ((-3, -3, -3), (0, 0, 0)),
        ((np.nan, 0.2, 1), (0, 51, 255)),
    ],
)
def test_other_values_are_seen_by_their_range(values: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert shown(image(*values)) == [list(expected)]


def test_all_images_are_shown_by_one_rule() -> None:
    assert shown(image(-1, 0), image(0, 1)) == [[0, 128], [128, 255]]


def test_transparency_lies_on_white_unless_values_are_stretched() -> None:
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], "uint8")
    assert visible([pixels], channels_first=False)[0].tolist() == [[[200, 100, 0], [255] * 3, [244, 224, 204]]]
    centred = pixels.astype("float32") - 100
    assert visible([centred], channels_first=False)[0].tolist() == [[[200, 100, 0]] * 3]


@examples(100)
@given(
    hnp.arrays(
        st.sampled_from(["uint8", "uint16", "int32", "bool", "float32", "float64"]),
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
    ),
    st.booleans(),
)
def test_any_image_can_be_shown(pixels: np.ndarray, channels_first: bool) -> None:
    (seen,) = visible([pixels], channels_first=channels_first)
    assert (seen.dtype, seen.ndim, seen.shape[2]) == (np.uint8, 3, 3)
    assert seen.shape[:2] == (pixels.shape[1:] if channels_first else pixels.shape[:2])


# --- words ---


def test_only_what_does_something_is_named() -> None:
    assert in_words({}) == []
    assert in_words(as_dict(from_dict({})[0])) == []
    assert in_words({"theta": 0.01, "zx": 1.001, "brightness": 1.0, "channel_shift_intensity": 0.0}) == []


def test_every_parameter_has_words() -> None:
    every = {
        "theta": -5.25,
        "tx": 3.0,
        "ty": 0.5,
        "shear": 7.0,
        "zx": 0.9,
        "zy": 1.0,
        "flip_horizontal": True,
        "flip_vertical": True,
        "channel_shift_intensity": 12.345,
        "brightness": 0.5,
    }
    assert in_words(every) == [
        *("rotate -5.2°", "tx 3.0 px", "ty 0.5 px", "shear 7.0°", "zoom 0.90 x 1.00"),
        *("flip h", "flip v", "channels +12.3", "brightness 0.50"),
    ]


# --- pictures ---


@pytest.mark.parametrize(
    ("sides", "tile"),
    [
        ((32, 32), (128, 128)),
        ((200, 150), (200, 150)),
        ((100, 30), (200, 60)),
        ((300, 600), (128, 256)),
        ((1, 1), (128, 128)),
        ((2000, 1), (256, 1)),
    ],
)
def test_tiles_are_of_a_size_that_can_be_seen(sides: tuple[int, int], tile: tuple[int, int]) -> None:
    picture = np.asarray(arrange([[Tile(np.zeros((*sides, 3), np.uint8))] * 3] * 2))
    assert picture.shape == (2 * tile[0] + GAP_PX, 3 * tile[1] + 2 * GAP_PX, 3)
    assert (picture[: tile[0], : tile[1]] == 0).all()
    assert (picture[:, tile[1] : tile[1] + GAP_PX] == 255).all()


def test_words_stay_under_their_tile() -> None:
    black = np.zeros((180, 180, 3), np.uint8)
    words = (
        "rotate 12.3°",
        "a very long name of a file without end.jpg",
        "brightness 0.50",
        "flip h",
        "caf\udce9 猫",
    )
    picture = np.asarray(arrange([[Tile(black, words), Tile(black)]]))
    lines = 3  # the name has its own, and what follows it shares one
    assert picture.shape[0] == 180 + lines * LINE_PX
    below = picture[180:]
    assert (below[:, 180:] == 255).all()
    for line in range(lines):
        assert (below[line * LINE_PX : (line + 1) * LINE_PX, :180] < 128).any()
