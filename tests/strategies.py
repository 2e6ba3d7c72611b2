"""Hypothesis strategies, and the plain twins and comparisons that tests of images share.

Numbers such as angles come from a seeded NumPy generator rather than from Hypothesis: its favourites (0, 90, 0.5) put
pixels exactly on the border between two neighbours, where the last bit of a matrix decides. Where exactness is
promised, a test of its own asks for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings, strategies as st
from scipy import ndimage

FILL_MODES = ("nearest", "constant", "reflect", "wrap", "mirror", "grid-wrap", "grid-constant", "grid-mirror")
SIZES = ((1, 1), (2, 2), (1, 11), (13, 1), (1, 300), (300, 1), (5, 9), (9, 5), (16, 16), (40, 23), (3, 256), (2, 257))
SOURCE_DTYPES = ("uint8", "uint16", "float32", "float64")
NOTHING = {"theta": 0.0, "tx": 0.0, "ty": 0.0, "shear": 0.0, "zx": 1.0, "zy": 1.0}


def examples(count: int) -> settings:
    """The same `count` examples in every run, however slow the machine."""
    return settings(
        derandomize=True,
        deadline=None,
        max_examples=count,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keras's class calls SciPy and Pillow by names that they have deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


# --- strategies ---------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**64 - 1)
number_seeds = st.integers(0, 2**32 - 1)
epochs = st.integers(0, 2**40)
indices = st.integers(0, 2**62)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    """Parameters by Keras's names, each of them at rest now and then."""
    numbers = np.random.default_rng(draw(number_seeds))
    moving = draw(st.sets(st.sampled_from(["theta", "shift", "pixels", "shear", "zoom"]), max_size=4))
    parameters: dict[str, Any] = dict(NOTHING)
    if "theta" in moving:
        parameters["theta"] = numbers.uniform(-200, 200)
    if "shift" in moving:
        parameters["tx"], parameters["ty"] = numbers.uniform(-15, 15, 2)
    if "pixels" in moving:
        parameters["tx"], parameters["ty"] = map(float, numbers.integers(-9, 10, 2))
    if "shear" in moving:
        parameters["shear"] = numbers.uniform(-60, 60)
    if "zoom" in moving:
        parameters["zx"], parameters["zy"] = numbers.uniform(0.3, 2.5, 2)
    parameters["flip_horizontal"] = draw(st.booleans())
    parameters["flip_vertical"] = draw(st.booleans())
    return {name: value if isinstance(value, bool) else float(value) for name, value in parameters.items()}


def pixels(seed: int, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Noise over the whole range of an integer dtype, and from -20 to 300 for floats."""
    numbers = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return numbers.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return numbers.uniform(-20, 300, shape).astype(dtype)


# --- twins --------------------------------------------------------------------------------------------------------


def affine_matrix(parameters: Mapping[str, Any], height: int, width: int, *, keras_centre: bool) -> np.ndarray:
    """Output (row, column, 1) to input (row, column, 1), 3x3, as the product of one matrix for each parameter."""
    theta, shear = np.deg2rad(parameters.get("theta", 0)), np.deg2rad(parameters.get("shear", 0))
    rotate = [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    shift = [[1, 0, parameters.get("tx", 0)], [0, 1, parameters.get("ty", 0)], [0, 0, 1]]
    slant = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    zoom = np.diag([parameters.get("zx", 1), parameters.get("zy", 1), 1])
    x, y = (width - 1) / 2, (height - 1) / 2
    if keras_centre:
        x, y = y, x
    matrix: Any = [[1, 0, x], [0, 1, y], [0, 0, 1]]
    for factor in (rotate, shift, slant, zoom, [[1, 0, -x], [0, 1, -y], [0, 0, 1]]):
        matrix = np.dot(matrix, factor)
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    return swap @ matrix @ swap


def scipy_warp(image: np.ndarray, matrix: np.ndarray, order: int, fill_mode: str, cval: float = 0.0) -> np.ndarray:
    """`image`, `(height, width, channels)`, through SciPy; computed in the image's dtype."""
    return np.stack(
        [
            ndimage.affine_transform(plane, matrix[:2, :2], matrix[:2, 2], order=order, mode=fill_mode, cval=cval)
            for plane in np.moveaxis(image, 2, 0)
        ],
        axis=2,
    )


def flipped(image: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """`image` mirrored as the parameters say."""
    image = image[:, ::-1] if parameters.get("flip_horizontal") else image
    return image[::-1] if parameters.get("flip_vertical") else image


def on_the_border(matrix: np.ndarray, height: int, width: int, order: int, fill_mode: str) -> np.ndarray:
    """Output pixels, `(height, width)`, whose source lies so close to a jump that the last bit decides its side."""
    rows, columns = np.mgrid[:height, :width]
    undecided = np.zeros((height, width), bool)
    for axis, side in ((0, height), (1, width)):
        at = matrix[axis, 0] * rows + matrix[axis, 1] * columns + matrix[axis, 2]
        if order == 0:
            undecided |= np.abs(at - np.floor(at) - 0.5) < 1e-7
        if fill_mode in ("constant", "wrap"):  # jumps at the image's edge and, for "wrap", at each period
            period = max(side - 1, 1)
            undecided |= np.abs(at - np.round(at / period) * period) < 1e-7
    return undecided


def assert_alike(
    got: np.ndarray, expected: np.ndarray, *, span: float | None = None, few: float = 0.0, besides: Any = None
) -> None:
    """Equal within a thousandth of the range of values, but for a share `few` of the values.

    Args:
        span: the range; None for that of `expected`.
        besides: True where anything goes, broadcasts.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    ours, due = got.astype(np.float64), expected.astype(np.float64)
    if span is None:  # of a flat array, float32 keeps no more than the first digits
        span = max(float(np.ptp(due)), 1e-3 * float(np.abs(due).max()), 1e-9)
    wrong = ~(np.abs(ours - due) <= 1e-3 * span)
    if besides is not None:
        wrong &= ~np.broadcast_to(besides, wrong.shape)
    worst = np.unravel_index(np.argmax(wrong), wrong.shape)
    assert wrong.sum() <= few * wrong.size, (
        f"{wrong.sum()} of {wrong.size} values differ, the first at {tuple(map(int, worst))}: "
        f"{got[worst]} instead of {expected[worst]}, range {span}"
    )
