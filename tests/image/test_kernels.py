"""The compiled kernels, called as `_render.py` calls them: random words, and what no input may make them do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from scipy import ndimage

from penstock.image import _kernels
from penstock.image._draw import Column
from penstock.image._geometry import FILL_MODES
from penstock.image._pixels import Pixels
from strategies import epochs, examples, indices, pixels, seeds

EXTREMES = (0.0, 1.0, -1.0, 0.5, 1e-3, 1e3, 1e6, -1e6, 1e18, -1e18, 1e300, -1e300, 5e-324, np.inf, -np.inf, np.nan)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


# --- random words ---------------------------------------------------------------------------------------------------


@examples(300)
@given(seeds, seeds, epochs, indices, st.integers(1, 5))
@example(2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1, 4)
@example(0, 0, 0, 0, 1)
def test_philox_words_are_numpys(seed: int, domain: int, epoch: int, index: int, blocks: int) -> None:
    words = np.zeros(4 * blocks, np.uint64)
    _kernels.philox_words(np.uint64(seed), np.uint64(domain), np.uint64(epoch), np.uint64(index), words)
    numpy = np.random.Philox(key=np.array([seed, domain], np.uint64), counter=np.array([0, index, epoch, 0], np.uint64))
    np.testing.assert_array_equal(words, numpy.random_raw(4 * blocks))


def test_words_differ_between_neighbouring_seeds_domains_epochs_and_samples() -> None:
    words = np.zeros(12, np.uint64)
    seen: set[int] = set()
    for counters in np.ndindex(6, 4, 6, 6):
        _kernels.philox_words(*map(np.uint64, counters), words)
        seen.update(words.tolist())
    assert len(seen) == 6 * 4 * 6 * 6 * 12


# --- any matrix -----------------------------------------------------------------------------------------------------


def warped(image: np.ndarray, affines: Any, order: int, fill_mode: str, cval: float) -> np.ndarray:
    """One image, `(height, width, channels)`, by each of the matrices, through the kernel for its dtype."""
    affines = np.array([(*affine, 0, 0) for affine in affines], np.float64)
    channels = image.shape[2]
    images = Pixels.of_array(image[None], np.zeros(len(affines), np.int64), channels_first=False)
    no_colours = np.full((len(affines), len(Column)), np.nan)
    out = np.full((len(affines), *image.shape), np.nan, np.float32)
    kernel = _kernels.render_packed if image.dtype == np.uint8 and channels <= 4 else _kernels.render_planes
    kernel(
        images.flat, images.layouts, images.rows, images.columns, affines, no_colours, order,
        FILL_MODES.index(fill_mode), cval, 0.0, False, 0.0, 255.0, np.float32(1), False, False,
        np.zeros(channels, np.float32), np.ones(channels, np.float32), out.reshape(-1),
        np.array([image.size, image.shape[1] * channels, channels, 1]),
    )  # fmt: skip
    return out


@examples(120)
@given(
    st.lists(
        st.lists(st.one_of(st.sampled_from(EXTREMES), st.floats()), min_size=6, max_size=6), min_size=1, max_size=4
    ),
    st.sampled_from([(1, 1), (1, 9), (7, 1), (2, 2), (5, 8), (2, 257)]),
    st.sampled_from([1, 3, 4, 5]),
    st.sampled_from(["uint8", "float32"]),
)
def test_no_matrix_leads_out_of_the_image(
    affines: list[list[float]], size: tuple[int, int], channels: int, dtype: str
) -> None:
    """Values stay between the image's own and the constant, for every fill mode and order; nothing crashes."""
    image = pixels(3, (*size, channels), dtype)
    for fill_mode in FILL_MODES:
        for order in (0, 1):
            out = warped(image, affines, order, fill_mode, 33.0)
            assert np.isfinite(out).all()
            assert out.min() >= min(image.min(), 33) - 1e-3
            assert out.max() <= max(image.max(), 33) + 1e-3


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_matrix_of_no_numbers_gives_values_of_the_image_or_the_constant(
    fill_mode: str, order: int, dtype: str
) -> None:
    image = pixels(5, (6, 7, 3), dtype)
    for place in range(6):
        for value in (np.nan, np.inf, -np.inf):
            affine = [*IDENTITY[:place], value, *IDENTITY[place + 1 :]]
            out = warped(image, [affine, IDENTITY], order, fill_mode, 7.0)
            assert np.isin(out[0], [*image.reshape(-1).astype(np.float32), np.float32(7)]).all()
            np.testing.assert_array_equal(out[1], image.astype(np.float32), "a bad matrix spoils no other image")


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_shifts_near_and_far_are_what_scipy_says(fill_mode: str, order: int, dtype: str) -> None:
    """Up to one length beyond the image a fold is a choice between three sums; further out it is a division."""
    image = pixels(4, (5, 7, 3), dtype)
    rows, columns = np.mgrid[:5, :7]
    shifts = [(row, column) for row in np.arange(-16.3, 17, 1.6) for column in np.arange(-22.2, 23, 2.1)]
    out = warped(image, [(1, 0, row, 0, 1, column) for row, column in shifts], order, fill_mode, 9.0)
    for (row, column), got in zip(shifts, out, strict=True):
        for channel in range(3):
            expected = ndimage.map_coordinates(
                image[..., channel].astype(float), [rows + row, columns + column], None, order, fill_mode, 9.0
            )
            np.testing.assert_allclose(got[..., channel], expected, atol=1e-3)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("width", [1, 2, 31, 255, 256, 257, 511, 513])
def test_strips_join_without_a_seam(width: int, fill_mode: str) -> None:
    """Kernels work through 256 pixels at a time: several rows, or a row longer than that."""
    height = 5
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    plane = (3 * rows + columns)[:, :, None]
    out = warped(plane, [(1, 0, 0.25, 0, 1, 0.5)], 1, fill_mode, 0.0)[0]
    expected = plane + np.float32(3 * 0.25 + 0.5)
    np.testing.assert_allclose(out[:-1, :-1], expected[:-1, :-1], rtol=1e-5)
    assert not np.isnan(out).any()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size_out", [3, 6, 40])
def test_what_lies_behind_an_image_is_not_seen(channels: int, size_out: int) -> None:
    """Pixels are read four bytes at a time where there are as many; an array's last pixel may have fewer."""
    height, width = 5, 6
    image = pixels(8, (height, width, channels), "uint8")
    behind = np.concatenate([image.reshape(-1), np.full(4, 255, np.uint8)])
    rows, columns = (np.linspace(0, side - 1, size_out).astype(np.int64)[None] for side in (height, width))
    results = []
    for flat in (behind[: image.size], behind):
        out = np.full((size_out, size_out, channels), np.nan, np.float32)
        _kernels.render_packed(
            flat, np.array([[0, width * channels, channels, 1]]), rows, columns,
            np.array([(1, 0, 0.25, 0, 1, 0.25, 0, 0)], np.float64), np.full((1, len(Column)), np.nan), 1,
            FILL_MODES.index("nearest"), 0.0, 0.0, False, 0.0, 255.0, np.float32(1), False, False,
            np.zeros(channels, np.float32), np.ones(channels, np.float32), out.reshape(-1),
            np.array([out.size, size_out * channels, channels, 1]),
        )  # fmt: skip
        results.append(out)
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0][-1, -1], image[-1, -1].astype(np.float32))
