"""Randomness: (seed, epoch, sample index) to one row of parameters per sample."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock._types import Array, Indices
from penstock.image import _kernels
from penstock.image._augment import Augmentation, ShiftRange

Transforms = npt.NDArray[np.float64]
"""Parameters, float64 `(samples, 10)`, one row per sample, columns as `Column` says."""


class Column(IntEnum):
    """Columns of `Transforms`, with Keras's names.

    Shifts act along x (columns) and y (rows), in pixels from output to input; angles are degrees; zoom above 1 zooms
    out; flips are 0 or 1. NaN in the last two means none.
    """

    theta = 0
    tx = 1
    ty = 2
    shear = 3
    zx = 4
    zy = 5
    flip_horizontal = 6
    flip_vertical = 7
    channel_shift_intensity = 8
    brightness = 9


class Domain(IntEnum):
    """What random words are for: the second half of the generator's key."""

    transforms = 0
    permutations = 1
    user_seeds = 2
    file_names = 3


def draw(augmentation: Augmentation, seed: int, epoch: int, indices: Indices, height: int, width: int) -> Transforms:
    """Draw the parameters of each sample; a function of (seed, epoch, index) and of nothing else.

    Args:
        seed: 0 to 2**64 - 1.
        indices: sample numbers, int64, `(samples,)`.
        height, width: of the image that is transformed, in pixels.

    Returns:
        `(samples, 10)`, see `Column`.

    Each sample has twelve words of Philox4x64-10 with key (seed, 0) and counter (block, index, epoch, 0): rotation;
    horizontal shift and its sign; vertical shift and its sign; shear; zoom along x and y; the two flips; channel
    shift; brightness. A word is used or not, never moved, so one setting does not change the draws of another.
    """
    ranges, choices_x, choices_y = _ranges(augmentation, height, width)
    transforms = np.empty((len(indices), len(Column)))
    _kernels.draw_rows(
        np.uint64(seed),
        np.uint64(Domain.transforms),
        np.uint64(epoch),
        indices,
        ranges,
        choices_x,
        choices_y,
        transforms,
    )
    return transforms


@lru_cache(maxsize=32)
def _ranges(augmentation: Augmentation, height: int, width: int) -> tuple[Array, Array, Array]:
    """What the kernel draws from, in pixels: made once, since each batch asks again, and it takes 6 us.

    Returns:
        Ends of the ranges, float64 `(10, 2)`, and the shifts to pick from instead, along x and y; not to be written to.
    """
    horizontal, vertical = _shift(augmentation.shift_horizontal, width), _shift(augmentation.shift_vertical, height)
    low_zoom, high_zoom = augmentation.zoom
    brightness = augmentation.brightness or (np.nan, np.nan)
    channel_shift = augmentation.channel_shift if augmentation.channel_shift != 0 else np.nan
    ranges = np.array(
        [
            (-augmentation.rotation_deg, augmentation.rotation_deg),
            (-horizontal.limit, horizontal.limit),
            (-vertical.limit, vertical.limit),
            (-augmentation.shear_deg, augmentation.shear_deg),
            (low_zoom, high_zoom),
            (low_zoom, high_zoom),
            (0, augmentation.flip_horizontal),
            (0, augmentation.flip_vertical),
            (-channel_shift, channel_shift),
            brightness,
        ],
        np.float64,
    )
    return ranges, np.array(horizontal.choices, np.float64), np.array(vertical.choices, np.float64)


def draw_as_keras(
    augmentation: Augmentation, random: Any, height: int, width: int, *, swap_shifts: bool = True
) -> list[float]:
    """One row of parameters from a NumPy legacy generator, in Keras's own order of draws.

    Args:
        random: a `numpy.random.RandomState`, or `numpy.random` itself.
        swap_shifts: let the height shift act along x and the width shift along y, as Keras does.
    """
    theta = random.uniform(-augmentation.rotation_deg, augmentation.rotation_deg) if augmentation.rotation_deg else 0.0
    vertical = _draw_shift_as_keras(augmentation.shift_vertical, random, height)
    horizontal = _draw_shift_as_keras(augmentation.shift_horizontal, random, width)
    shear = random.uniform(-augmentation.shear_deg, augmentation.shear_deg) if augmentation.shear_deg else 0.0
    zx, zy = (1.0, 1.0) if augmentation.zoom == (1, 1) else random.uniform(*augmentation.zoom, 2)
    flip_horizontal = (random.random() < 0.5) * bool(augmentation.flip_horizontal)
    flip_vertical = (random.random() < 0.5) * bool(augmentation.flip_vertical)
    shift = augmentation.channel_shift
    channel_shift = random.uniform(-shift, shift) if shift != 0 else np.nan
    brightness = random.uniform(*augmentation.brightness) if augmentation.brightness is not None else np.nan
    tx, ty = (vertical, horizontal) if swap_shifts else (horizontal, vertical)
    return [theta, tx, ty, shear, zx, zy, flip_horizontal, flip_vertical, channel_shift, brightness]


def philox(seed: int, domain: Domain, epoch: int, index: int) -> np.random.Philox:
    """NumPy's generator for (seed, domain, epoch, index)."""
    key = np.array([seed, domain], np.uint64)  # a list of numbers above 2**63 would become floats
    return np.random.Philox(key=key, counter=[0, index, epoch, 0])


def permutation(length: int, seed: int, epoch: int, stream: int = 0) -> Indices:
    """The order of an epoch: numbers sorted by their random word, so it never changes with NumPy's version.

    Args:
        stream: 0 for the order of samples, 1 for the order of batches.
    """
    words = philox(seed, Domain.permutations, epoch, stream).random_raw(length)
    # The number in the lowest bits makes words distinct, so that sorting them, in half the time, is ranking them.
    number_bits = np.uint64(max(0, length - 1).bit_length())
    words = (words >> number_bits << number_bits) | np.arange(length, dtype=np.uint64)
    words.sort()
    return (words & ((np.uint64(1) << number_bits) - np.uint64(1))).astype(np.int64)


def as_dict(row: npt.NDArray[np.float64]) -> dict[str, Any]:
    """One row as Keras's parameter dict; None where nothing was drawn."""
    parameters: dict[str, Any] = {column.name: float(row[column]) for column in Column}
    for name in ("flip_horizontal", "flip_vertical"):
        parameters[name] = bool(parameters[name])
    for name in ("channel_shift_intensity", "brightness"):
        parameters[name] = None if np.isnan(parameters[name]) else parameters[name]
    return parameters


def from_dict(parameters: Mapping[str, Any]) -> Transforms:
    """Keras's parameter dict, any key of which may be missing, as `(1, 10)`."""
    missing = {"zx": 1.0, "zy": 1.0, "channel_shift_intensity": np.nan, "brightness": np.nan}
    row = np.empty((1, len(Column)))
    for column in Column:
        value = parameters.get(column.name)
        row[0, column] = missing.get(column.name, 0.0) if value is None else value
    return row


def _shift(shift: ShiftRange | None, side_px: int) -> ShiftRange:
    return ShiftRange() if shift is None else shift.in_pixels(side_px)


def _draw_shift_as_keras(shift: ShiftRange | None, random: Any, side_px: int) -> float:
    if shift is None:
        return 0.0
    if shift.choices:
        value = random.choice(shift.choices) * random.choice([-1, 1])
    else:
        value = random.uniform(-shift.limit, shift.limit)
    return float(value * side_px if shift.is_fraction else value)
