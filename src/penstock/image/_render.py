"""Images and parameter rows in, finished images out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock._types import Array, Indices
from penstock.image import _kernels
from penstock.image._augment import Augmentation
from penstock.image._draw import Column, Transforms
from penstock.image._geometry import FILL_MODES, spline_warp
from penstock.image._standardize import Standardization

_PACKABLE = 4  # channels of eight bits in one uint32
_KERNEL_SOURCES = (np.uint8, np.uint16, np.float32, np.float64)


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
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    standardization: Standardization = field(default_factory=Standardization)
    function: Callable[[Array], Any] | None = None
    channels_first: bool = False
    as_keras: bool = False
    value_range: tuple[float, float] = (0.0, 255.0)
    rounds_to: np.dtype[Any] | None = None

    def without_standardization(self) -> Rendering:
        """The same up to where `preprocessing_function` would be called."""
        return Rendering(
            self.augmentation,
            channels_first=self.channels_first,
            as_keras=self.as_keras,
            value_range=self.value_range,
            rounds_to=self.rounds_to,
        )


def render(
    rendering: Rendering,
    images: Array,
    which: Indices,
    transforms: Transforms,
    out: Array,
    *,
    rows: Array | None = None,
    columns: Array | None = None,
    compute_dtype: Any = np.float32,
) -> None:
    """Resize, warp, colour and standardize images.

    Everything that takes long is one compiled call that gives up the interpreter lock once, unless the user's function,
    whitening, splines or a `mean` that differs by pixel need more.

    Args:
        images: real, C-contiguous, `(many, height, width, channels)` or channels first.
        which: the images to render, int64, `(samples,)`.
        transforms: `(samples, 10)`, see `Column`.
        out: `(samples, target height, target width, channels)` or channels first, C-contiguous.
        rows, columns: int64, the input row and column behind each target one; None for no resize.
        compute_dtype: float32 or float64, used where `out` is neither.
    """
    channels_first = rendering.channels_first
    height, width, channels = _sides(images.shape[1:], channels_first)
    rows = np.arange(height) if rows is None else rows
    columns = np.arange(width) if columns is None else columns
    shape = (
        len(which),
        *((channels, len(rows), len(columns)) if channels_first else (len(rows), len(columns), channels)),
    )
    if out.shape != shape:
        raise ValueError(f"the output should have shape {shape}. Received: {out.shape}")
    if images.dtype not in _KERNEL_SOURCES:
        images, which = (
            images[which].astype(out.dtype if out.dtype.kind == "f" else compute_dtype),
            np.arange(len(which)),
        )
    buffer = out if out.dtype in (np.float32, np.float64) else np.empty(shape, compute_dtype)
    standardization = rendering.standardization
    affines = np.empty((len(which), 8))
    _kernels.affine_rows(transforms, len(rows), len(columns), rendering.as_keras, affines)
    numbers = standardization.by_channel(channels, 0 if channels_first else 2)
    if rendering.augmentation.order > 1:
        images, which, rows, columns = _splined(rendering, images, which, rows, columns, affines, buffer)
    if rendering.rounds_to is not None:
        images, which, rows, columns = _rounded(rendering, images, which, rows, columns, affines, buffer)
    if rendering.function is None and standardization.whitening is None and numbers is not None:
        _run_kernel(rendering, images, which, rows, columns, affines, transforms, standardization, numbers, buffer)
    else:
        # The user's function may keep what it is given: it gets memory that nobody writes to again.
        raw = np.empty_like(buffer)
        neutral = np.zeros(channels), np.ones(channels)
        _run_kernel(rendering, images, which, rows, columns, affines, transforms, Standardization(), neutral, raw)
        for k in range(len(raw)):
            try:
                buffer[k] = _called(rendering.function, raw[k])
            except Exception as error:
                raise FunctionFailed(k) from error
        standardize(standardization, buffer, channels_first)
    if buffer is not out:
        with np.errstate(invalid="ignore"):  # values outside an integer dtype wrap or saturate, as NumPy's cast does
            out[...] = buffer


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
    images: Array,
    which: Array,
    rows: Array,
    columns: Array,
    affines: Array,
    transforms: Array,
    standardization: Standardization,
    numbers: tuple[Array, Array],
    out: Array,
) -> None:
    channels_first, augmentation = rendering.channels_first, rendering.augmentation
    _, _, channels = _sides(images.shape[1:], channels_first)
    kind = out.dtype.type
    # A constant that is no byte cannot stand in a packed border, and only "grid-constant" interpolates with it.
    byte_border = augmentation.fill_mode != "grid-constant" or augmentation.cval in range(256)
    packs = images.dtype == np.uint8 and channels <= _PACKABLE and byte_border
    kernel = _kernels.render_packed if packs else _kernels.render_planes
    # Kernels never write to their input; a read-only type would only make Numba compile everything once more.
    kernel(
        _writeable(images).reshape(-1),
        _strides(images.shape, channels_first),
        which,
        rows,
        columns,
        affines,
        transforms,
        min(augmentation.order, 1),
        augmentation.fill_mode_number,
        float(augmentation.cval),
        rendering.as_keras,
        *rendering.value_range,
        kind(standardization.rescale or 1.0),
        standardization.sample_centre,
        standardization.sample_scale,
        numbers[0].astype(kind),
        numbers[1].astype(kind),
        out.reshape(-1),
        _strides(out.shape, channels_first),
    )


def _splined(
    rendering: Rendering, images: Array, which: Array, rows: Array, columns: Array, affines: Array, like: Array
) -> tuple[Array, Array, Array, Array]:
    """Resize and warp by splines; what is left of `affines` is the flips."""
    warped = np.empty_like(like)
    fill_mode = FILL_MODES[rendering.augmentation.fill_mode_number]
    for k, sample in enumerate(which):
        image, target = images[sample], warped[k]
        if rendering.channels_first:
            image, target = image.transpose(1, 2, 0), target.transpose(1, 2, 0)
        image = image[np.ix_(rows, columns)].astype(like.dtype)
        if not np.array_equal(affines[k, :6], (1, 0, 0, 0, 1, 0)):
            image = spline_warp(image, affines[k], rendering.augmentation.order, fill_mode, rendering.augmentation.cval)
        target[...] = image
    affines[:, :6] = 1, 0, 0, 0, 1, 0
    return warped, np.arange(len(which)), np.arange(len(rows)), np.arange(len(columns))


def _rounded(
    rendering: Rendering, images: Array, which: Array, rows: Array, columns: Array, affines: Array, like: Array
) -> tuple[Array, Array, Array, Array]:
    """Warp, then round half up into an integer dtype, as SciPy does when it computes in one."""
    assert rendering.rounds_to is not None
    channels = _sides(images.shape[1:], rendering.channels_first)[2]
    warped = np.empty_like(like)
    neutral = np.zeros(channels), np.ones(channels)
    no_colours = np.full((len(which), len(Column)), np.nan)
    _run_kernel(rendering, images, which, rows, columns, affines, no_colours, Standardization(), neutral, warped)
    limits = np.iinfo(rendering.rounds_to)
    np.clip(np.floor(warped + 0.5), limits.min, limits.max, out=warped)
    affines[:] = 1, 0, 0, 0, 1, 0, 0, 0
    return warped, np.arange(len(which)), np.arange(len(rows)), np.arange(len(columns))


def _called(function: Callable[[Array], Any] | None, image: Array) -> Array:
    if function is None:
        return image
    result = function(image)
    if np.shape(result) != image.shape:
        raise ValueError(
            "`preprocessing_function` should return an image of the shape it was given, "
            f"{image.shape}. Received: {f'shape {np.shape(result)}' if result is not None else 'None'}"
        )
    return np.asarray(result)


def _sides(shape: tuple[int, ...], channels_first: bool) -> tuple[int, int, int]:
    """(height, width, channels) of an image's shape."""
    return (shape[1], shape[2], shape[0]) if channels_first else (shape[0], shape[1], shape[2])


def _strides(shape: tuple[int, ...], channels_first: bool) -> Array:
    """Elements per sample, row, column and channel of C-contiguous images."""
    height, width, channels = _sides(shape[1:], channels_first)
    size = height * width * channels
    if channels_first:
        return np.array([size, width, 1, height * width])
    return np.array([size, width * channels, channels, 1])


class _Unlocked:
    """A read-only array's memory, declared writeable."""

    def __init__(self, array: Array) -> None:
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _writeable(array: Array) -> Array:
    return array if array.flags.writeable else np.asarray(_Unlocked(array))
