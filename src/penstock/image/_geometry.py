"""Where an output pixel comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._types import Array
from penstock.image import _kernels

FILL_MODES = ("nearest", "constant", "reflect", "wrap", "mirror", "grid-wrap", "grid-constant")
"""SciPy's fill modes, by the number that the kernels know them by."""

_SYNONYMS = {"grid-mirror": "reflect"}


def fill_mode_number(fill_mode: str) -> int:
    """The kernels' number of a fill mode; ValueError if SciPy knows none of that name."""
    try:
        return FILL_MODES.index(_SYNONYMS.get(fill_mode, fill_mode))
    except ValueError:
        known = ", ".join(repr(mode) for mode in (*FILL_MODES, *_SYNONYMS))
        raise ValueError(f"`fill_mode` should be one of {known}. Received: {fill_mode!r}") from None


def nearest_lookup(size_in: int, size_out: int, start: int, stop: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The input row (or column) behind each output one in a nearest-neighbour resize of [start, stop).

    Returns:
        int64, `(size_out,)`.
    """
    lookup = np.empty(size_out, np.int64)
    _kernels.nearest_lookup(size_in, start, stop, lookup)
    return lookup


def aspect_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred part with the target's proportions, as (top, left, bottom, right).

    Args:
        size, target: `(height, width)` in pixels.
    """
    (height, width), (target_height, target_width) = size, target
    crop_height = min(height, (width * target_height) // target_width)
    crop_width = min(width, (height * target_width) // target_height)
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return top, left, top + crop_height, left + crop_width


def spline_warp(image: Array, affine: Array, order: int, fill_mode: str, cval: float) -> Array:
    """One image through SciPy's spline interpolation, for orders 2 to 5; flips are left to the caller.

    Args:
        image: floating point, `(height, width, channels)`.
        affine: one row as `affine_rows` writes it.

    Returns:
        An array like `image`.
    """
    from scipy import ndimage

    warped = np.empty_like(image)
    for channel in range(image.shape[2]):
        ndimage.affine_transform(
            image[:, :, channel],
            np.array([[affine[0], affine[1]], [affine[3], affine[4]]]),
            (affine[2], affine[5]),
            output=warped[:, :, channel],
            order=order,
            mode=fill_mode,
            cval=cval,
        )
    return warped
