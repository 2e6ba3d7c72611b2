"""Images and parameter rows in, finished images out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from penstock._types import Array
from penstock.image import _kernels
from penstock.image._augment import Augmentation
from penstock.image._draw import Column, Transforms, from_dict
from penstock.image._geometry import FILL_MODES, spline_warp
from penstock.image._pixels import Pixels
from penstock.image._standardize import Standardization

_PACKABLE = 4  # channels of eight bits in one uint32
# A half turn lands 1e-15 px beside the image, which SciPy, and so Keras, takes for outside.
_MARGIN_PX = 1e-6
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def float_holding(dtype: np.dtype[Any]) -> type:
    """The float that holds a dtype's values: float64 for float64 and for integers of more than 16 bits."""
    return np.float64 if dtype == np.float64 or (dtype.kind in "iu" and dtype.itemsize > 2) else np.float32


class FunctionFailed(Exception):
    """The user's function failed on row `args[0]`; `__cause__` says how."""


@dataclass(frozen=True)
class Rendering:
    """Everything about an image's treatment that is the same for every sample.

    Attributes:
        augmentation: for its fill mode, its constant and its interpolation order.
        standardization: applied last.
        function: the user's `preprocessing_function`, applied to the augmented image before any rescaling.
        channels_first: layout of images and output.
        as_keras: Keras's centre of rotation on non-square images, and its brightness.
        value_range: what brightness is clipped to.
        rounds_to: the integer dtype whose values a warp yields, where Keras computes in one; else None.
        by_image: takes an image as it was loaded and its row of parameters, and does everything itself; None for the
            kernels.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    standardization: Standardization = field(default_factory=Standardization)
    function: Callable[[Array], Any] | None = None
    channels_first: bool = False
    as_keras: bool = False
    value_range: tuple[float, float] = (0.0, 255.0)
    rounds_to: np.dtype[Any] | None = None
    by_image: Callable[[Array, Transforms], Any] | None = None


def render(
    rendering: Rendering,
    pixels: Pixels,
    transforms: Transforms,
    out: Array,
    *,
    compute_dtype: np.dtype[Any] | type | None = None,
) -> None:
    """Resize, warp, colour and standardize images.

    Everything that takes long is one compiled call that gives up the interpreter lock once, unless the user's function,
    whitening, splines or a `mean` that differs by pixel need more.

    Args:
        pixels: the images.
        transforms: `(images, 10)`, see `Column`.
        out: `(images, height, width, channels)` or channels first, C-contiguous.
        compute_dtype: float32 or float64; None for what holds the values of `out`.

    Raises:
        FunctionFailed: the user's function did.
    """
    if rendering.by_image is not None:
        _render_by_image(rendering, rendering.by_image, pixels, transforms, out, compute_dtype)
        return
    (height, width), channels = pixels.size, pixels.channels
    sides = (channels, height, width) if rendering.channels_first else (height, width, channels)
    if out.shape != (len(pixels), *sides):
        raise ValueError(f"the output should have shape {(len(pixels), *sides)}. Received: {out.shape}")
    computed = np.dtype(float_holding(out.dtype) if compute_dtype is None else compute_dtype)
    buffer = out if out.dtype == computed else np.empty(out.shape, computed)
    affines = np.empty((len(pixels), 8))
    _kernels.affine_rows(transforms, height, width, rendering.as_keras, affines)
    if rendering.augmentation.order > 1:
        pixels = _splined(rendering, pixels, affines, buffer)
    if rendering.rounds_to is not None:
        pixels = _rounded(rendering, pixels, affines, buffer)
    standardization = rendering.standardization
    numbers = standardization.by_channel(channels, 0 if rendering.channels_first else 2)
    if rendering.function is None and standardization.whitening is None and numbers is not None:
        _run_kernel(rendering, pixels, affines, transforms, standardization, numbers, buffer)
    else:
        # The user's function may keep what it is given: it gets memory that nobody writes to again.
        raw = np.empty_like(buffer)
        _run_kernel(rendering, pixels, affines, transforms, *_neutral(channels), raw)
        for k in range(len(raw)):
            try:
                buffer[k] = _called(rendering.function, raw[k])
            except Exception as error:
                raise FunctionFailed(k) from error
        standardize(standardization, buffer, rendering.channels_first)
    if buffer is not out:
        if out.dtype.kind in "iu" and not rendering.as_keras:  # a cast of what lies outside differs between machines
            np.clip(buffer, np.iinfo(out.dtype).min, np.iinfo(out.dtype).max, out=buffer)
        with np.errstate(invalid="ignore"):
            out[...] = buffer


def _render_by_image(
    rendering: Rendering,
    by_image: Callable[[Array, Transforms], Any],
    pixels: Pixels,
    transforms: Transforms,
    out: Array,
    compute_dtype: np.dtype[Any] | type | None,
) -> None:
    loaded = np.empty(out.shape, float_holding(out.dtype) if compute_dtype is None else compute_dtype)
    at_rest = np.repeat(from_dict({}), len(pixels), axis=0)
    render(Rendering(channels_first=rendering.channels_first), pixels, at_rest, loaded, compute_dtype=loaded.dtype)
    for k, image in enumerate(loaded):
        try:
            out[k] = _checked(by_image(image, transforms[k : k + 1]), image, "`standardize` or `apply_transform`")
        except Exception as error:
            raise FunctionFailed(k) from error


def standardize(standardization: Standardization, images: Array, channels_first: bool) -> None:
    """Standardize float32 or float64 images, rank 4, C-contiguous, in place."""
    if not len(images):
        return
    height, width, channels = _sides(images.shape[1:], channels_first)
    numbers = standardization.by_channel(channels, 0 if channels_first else 2)
    centre, gain = (np.zeros(channels), np.ones(channels)) if numbers is None else numbers
    kind = images.dtype.type
    _kernels.standardize_many(
        images.reshape(-1),
        len(images),
        height * width if channels_first else 1,
        channels,
        kind(standardization.rescale or 1.0),
        standardization.sample_centre,
        standardization.sample_scale,
        centre.astype(kind),
        gain.astype(kind),
    )
    for image in images:
        if numbers is None:
            if standardization.mean is not None:
                image -= standardization.mean
            if standardization.std is not None:
                image /= standardization.std + 1e-6
        if standardization.whitening is not None:
            image[...] = (image.reshape(1, -1) @ standardization.whitening).reshape(image.shape)


def _run_kernel(
    rendering: Rendering,
    pixels: Pixels,
    affines: Array,
    transforms: Transforms,
    standardization: Standardization,
    numbers: tuple[Array, Array],
    out: Array,
) -> None:
    augmentation, kind = rendering.augmentation, out.dtype.type
    # A constant that is no byte cannot stand in a packed border, and only "grid-constant" interpolates with it.
    byte_border = augmentation.fill_mode != "grid-constant" or augmentation.cval in range(256)
    packs = pixels.flat.dtype == np.uint8 and pixels.channels <= _PACKABLE and byte_border
    (height, width), channels = pixels.size, pixels.channels
    kernel = _kernels.render_packed if packs else _kernels.render_planes
    kernel(
        pixels.flat,
        pixels.layouts,
        pixels.rows,
        pixels.columns,
        affines,
        transforms,
        min(augmentation.order, 1),
        augmentation.fill_mode_number,
        float(augmentation.cval),
        0.0 if rendering.as_keras else _MARGIN_PX,
        rendering.as_keras,
        *rendering.value_range,
        kind(standardization.rescale or 1.0),
        standardization.sample_centre,
        standardization.sample_scale,
        numbers[0].astype(kind),
        numbers[1].astype(kind),
        out.reshape(-1),
        _strides(height, width, channels, rendering.channels_first),
    )


@lru_cache(64)
def _strides(height: int, width: int, channels: int, channels_first: bool) -> Array:
    """Elements from one sample, row, column and channel to the next; made once, since each batch asks again."""
    size = height * width * channels
    return np.array((size, width, 1, height * width) if channels_first else (size, width * channels, channels, 1))


def _neutral(channels: int) -> tuple[Standardization, tuple[Array, Array]]:
    return Standardization(), (np.zeros(channels), np.ones(channels))


def _splined(rendering: Rendering, pixels: Pixels, affines: Array, like: Array) -> Pixels:
    """Resize and warp by splines; what is left of `affines` is the flips."""
    augmentation = rendering.augmentation
    warped = np.empty((len(pixels), *pixels.size, pixels.channels), like.dtype)
    for k in range(len(pixels)):
        warped[k] = pixels.resized(k)
        if not np.array_equal(affines[k, :6], _IDENTITY[:6]):
            fill_mode = FILL_MODES[augmentation.fill_mode_number]
            warped[k] = spline_warp(warped[k], affines[k], augmentation.order, fill_mode, augmentation.cval)
    affines[:, :6] = _IDENTITY[:6]
    return Pixels.of_array(warped, np.arange(len(warped)), channels_first=False)


def _rounded(rendering: Rendering, pixels: Pixels, affines: Array, like: Array) -> Pixels:
    """Warp, then round halves away from zero into an integer dtype, as SciPy does when it computes in one."""
    assert rendering.rounds_to is not None
    warped = np.empty_like(like)
    nothing = np.full((len(pixels), len(Column)), np.nan)
    _run_kernel(rendering, pixels, affines, nothing, *_neutral(pixels.channels), warped)
    limits = np.iinfo(rendering.rounds_to)
    np.clip(np.trunc(warped + np.copysign(0.5, warped)), limits.min, limits.max, out=warped)
    affines[:] = _IDENTITY
    return Pixels.of_array(warped, np.arange(len(warped)), rendering.channels_first)


def _called(function: Callable[[Array], Any] | None, image: Array) -> Array:
    if function is None:
        return image
    return _checked(function(image), image, "`preprocessing_function`")


def _checked(result: Any, image: Array, what: str) -> Array:
    """What a user's function has made of an image."""
    if np.shape(result) != image.shape:
        raise ValueError(
            f"{what} should return an image of the shape it was given, {image.shape}. "
            f"Received: {f'shape {np.shape(result)}' if result is not None else 'None'}"
        )
    return np.asarray(result)


def _sides(shape: tuple[int, ...], channels_first: bool) -> tuple[int, int, int]:
    """(height, width, channels) of an image's shape."""
    return (shape[1], shape[2], shape[0]) if channels_first else (shape[0], shape[1], shape[2])
