"""Images and parameter rows in, finished images out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock._types import Array
from penstock.image import _kernels
from penstock.image._augment import Augmentation
from penstock.image._draw import Column, Transforms, from_dict
from penstock.image._geometry import FILL_MODES, spline_warp
from penstock.image._pixels import Pixels, strides
from penstock.image._standardize import Standardization

_PACKABLE = 4  # channels of eight bits in one uint32
# A half turn lands 1e-15 px beside the image, which SciPy, and so Keras, takes for outside.
_MARGIN_PX = 1e-6
_MOST_SETTINGS = 8  # of which a flow needs one
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
    # A memo, no part of the value.
    _settings: dict[tuple[Any, ...], tuple[tuple[Any, ...] | None]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def settings(self, size: tuple[int, int], channels: int, kind: type) -> tuple[Any, ...] | None:
        """What a kernel is told beside images and parameters: the same for each batch, and made once, in 8 us.

        None where finishing an image takes more than a kernel.
        """
        numbers = self.standardization.mean, self.standardization.std
        key = size, channels, kind, *(_contents(each, channels) for each in numbers)
        known = self._settings.get(key)
        if known is None:
            if len(self._settings) >= _MOST_SETTINGS:
                self._settings.clear()
            known = self._settings[key] = (self._finishing(size, channels, kind),)
        return known[0]

    def _finishing(self, size: tuple[int, int], channels: int, kind: type) -> tuple[Any, ...] | None:
        standardization = self.standardization
        numbers = standardization.by_channel(channels, 0 if self.channels_first else 2)
        if self.function is not None or standardization.whitening is not None or numbers is None:
            return None
        return self._settings_with(standardization, numbers, size, channels, kind)

    def unfinished(self, size: tuple[int, int], channels: int, kind: type) -> tuple[Any, ...]:
        """The same without standardization."""
        neutral = np.zeros(channels), np.ones(channels)
        return self._settings_with(Standardization(), neutral, size, channels, kind)

    def _settings_with(
        self,
        standardization: Standardization,
        numbers: tuple[Array, Array],
        size: tuple[int, int],
        channels: int,
        kind: type,
    ) -> tuple[Any, ...]:
        augmentation = self.augmentation
        return (
            min(augmentation.order, 1),
            augmentation.fill_mode_number,
            float(augmentation.cval),
            0.0 if self.as_keras else _MARGIN_PX,
            self.as_keras,
            *self.value_range,
            kind(standardization.rescale or 1.0),
            standardization.sample_centre,
            standardization.sample_scale,
            numbers[0].astype(kind),
            numbers[1].astype(kind),
            strides(*size, channels, self.channels_first),
        )

    def packs(self, pixels: Pixels) -> bool:
        """Whether pixels fit into words, all their channels in one."""
        if pixels.flat.dtype != np.uint8 or pixels.channels > _PACKABLE:
            return False
        # A constant that is no byte cannot stand in a packed border, and only "grid-constant" interpolates with it.
        return self.augmentation.fill_mode != "grid-constant" or self.augmentation.cval in range(256)


def _contents(numbers: Any, channels: int) -> bytes | None:
    """What users may write into a generator's mean, if it can be one by channel."""
    if numbers is None:
        return None
    array = np.asarray(numbers)
    return array.tobytes() if array.size <= channels else None


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
    settings = rendering.settings(pixels.size, channels, computed.type)
    if settings is not None:
        _run_kernel(rendering, pixels, affines, transforms, settings, buffer)
    else:
        # The user's function may keep what it is given: it gets memory that nobody writes to again.
        raw = np.empty_like(buffer)
        _run_kernel(
            rendering, pixels, affines, transforms, rendering.unfinished(pixels.size, channels, computed.type), raw
        )
        for k in range(len(raw)):
            try:
                buffer[k] = _called(rendering.function, raw[k])
            except Exception as error:
                raise FunctionFailed(k) from error
        standardize(rendering.standardization, buffer, rendering.channels_first)
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
    rendering: Rendering, pixels: Pixels, affines: Array, transforms: Transforms, settings: tuple[Any, ...], out: Array
) -> None:
    kernel = _kernels.render_packed if rendering.packs(pixels) else _kernels.render_planes
    images = pixels.flat, pixels.layouts, pixels.rows, pixels.columns
    kernel(*images, affines, transforms, *settings[:-1], out.reshape(-1), settings[-1])


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
    settings = rendering.unfinished(pixels.size, pixels.channels, warped.dtype.type)
    _run_kernel(rendering, pixels, affines, nothing, settings, warped)
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
