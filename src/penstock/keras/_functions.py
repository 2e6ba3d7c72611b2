"""The functions of `keras.preprocessing.image`, with Keras's signatures and meaning.

They act on one image of rank 3 and draw from NumPy's global generator. Where rows, columns and channels lie is said
by axes; the defaults are channels first, as in Keras.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import numpy as np
from keras.utils import (
    array_to_img as array_to_img,
    img_to_array as img_to_array,
    load_img as load_img,
    save_img as save_img,
)

from penstock._types import Array
from penstock.image._augment import Augmentation
from penstock.keras._single_image import transformed

_PICTURES = ("jpg", "jpeg", "bmp", "png", "ppm", "tif", "tiff")


def validate_filename(filename: str, white_list_formats: tuple[str, ...]) -> bool:
    """Whether a path has one of the extensions and is a file."""
    return filename.lower().endswith(white_list_formats) and os.path.isfile(filename)


def list_pictures(directory: str | os.PathLike[str], ext: str | Sequence[str] = _PICTURES) -> list[str]:
    """Paths of the files below a folder, at any depth, that have one of the extensions.

    Args:
        directory: where to look.
        ext: an extension or several, without a dot and in lower case.
    """
    ends = tuple(f".{end}" for end in ((ext,) if isinstance(ext, str) else ext))
    return [
        os.path.join(root, name)
        for root, _, names in os.walk(os.fspath(directory))
        for name in names
        if name.lower().endswith(ends)
    ]


def flip_axis(x: Array, axis: int) -> Array:
    """Reverse one axis; a view.

    Args:
        x: of any rank.
    """
    return np.flip(np.asarray(x), axis)


def transform_matrix_offset_center(matrix: Array, x: float, y: float) -> Array:
    """Let a matrix turn about the centre of an image instead of its corner.

    Args:
        matrix: 3x3, acts on (x, y, 1).
        x, y: the image's sides, in the order of the matrix's axes.

    Returns:
        A 3x3 matrix about ((x - 1) / 2, (y - 1) / 2).
    """
    there, back = np.eye(3), np.eye(3)
    there[:2, 2] = (float(x) - 1) / 2, (float(y) - 1) / 2
    back[:2, 2] = -there[:2, 2]
    result: Array = there @ matrix @ back
    return result


def apply_affine_transform(
    x: Array,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> Array:
    """Rotate, shift, shear and zoom an image in one resampling.

    Args:
        x: rank 3.
        theta, shear: degrees.
        tx, ty: pixels along columns and rows, from output to input.
        zx, zy: factors along columns and rows; above 1 zooms out.
        row_axis, col_axis, channel_axis: 0, 1 and 2 in some order, channels first or last.
        fill_mode, cval, order: what lies outside, and the interpolation, as SciPy defines them.

    Returns:
        An image of `x`'s shape and dtype; `x` itself if nothing is to be done.
    """
    axes = (row_axis, col_axis, channel_axis)
    if len(set(axes)) != 3:
        raise ValueError("'row_axis', 'col_axis', and 'channel_axis' must be distinct")
    if set(axes) != {0, 1, 2}:
        raise ValueError(f"Invalid axis' indices: {set(axes) - {0, 1, 2}}")
    if x.ndim != 3:
        raise ValueError("Input arrays must be multi-channel 2D images.")
    if channel_axis not in (0, 2):
        raise ValueError("Channels are allowed and the first and last dimensions.")
    parameters = {"theta": theta, "tx": tx, "ty": ty, "shear": shear, "zx": zx, "zy": zy}
    image = x.transpose(axes)
    augmentation = Augmentation(fill_mode=fill_mode, cval=cval, order=order)
    result = transformed(image, parameters, augmentation, as_keras=True, channels_first=False)
    return x if result is image else np.ascontiguousarray(result.transpose(np.argsort(axes)))


def apply_channel_shift(x: Array, intensity: float, channel_axis: int = 0) -> Array:
    """Add one number to all channels, clipped to the image's own smallest and largest value.

    Args:
        x: rank 3.
        channel_axis: where the channels lie; the result does not depend on it.
    """
    del channel_axis
    return np.clip(x + intensity, np.min(x), np.max(x))


def apply_brightness_shift(x: Array, brightness: float, scale: bool = True) -> Array:
    """Scale the values as Pillow's `ImageEnhance.Brightness` does, through uint8.

    Args:
        x: rank 3, 1, 3 or 4 channels, in Keras's global data format.
        brightness: factor.
        scale: stretch the values to 0...255 first; values outside that are stretched in any case, and then back.
    """
    image = np.asarray(x, keras.config.floatx())
    if image.ndim != 3:
        raise ValueError(f"Expected image array to have rank 3 (single image). Got array with shape: {image.shape}")
    channels_first = keras.config.image_data_format() == "channels_first"
    channels = image.shape[0 if channels_first else 2]
    if channels not in (1, 3, 4):
        raise ValueError(f"Unsupported channel number: {channels}")
    if scale:
        image = image - np.min(image)
        image = image / (np.max(image) or 1) * 255
    return transformed(image, {"brightness": brightness}, Augmentation(), as_keras=True, channels_first=channels_first)


def random_rotation(
    x: Array,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Rotate by an angle drawn from -rg to rg, in degrees."""
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(
        x,
        theta=theta,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shift(
    x: Array,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Shift by shares of the sides, drawn from -wrg to wrg and -hrg to hrg; which moves which axis is Keras's."""
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(
        x,
        tx=tx,
        ty=ty,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shear(
    x: Array,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Shear by an angle drawn from -intensity to intensity, in degrees."""
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(
        x,
        shear=shear,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_zoom(
    x: Array,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Zoom each axis by a factor drawn between the two of `zoom_range`."""
    if len(zoom_range) != 2:
        raise ValueError(f"`zoom_range` should be a tuple or list of two floats. Received: {zoom_range}")
    zx, zy = (1, 1) if tuple(zoom_range) == (1, 1) else np.random.uniform(zoom_range[0], zoom_range[1], 2)
    return apply_affine_transform(
        x,
        zx=zx,
        zy=zy,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_channel_shift(x: Array, intensity_range: float, channel_axis: int = 0) -> Array:
    """`apply_channel_shift` by a number drawn from -intensity_range to intensity_range."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Array, brightness_range: Sequence[float], scale: bool = True) -> Array:
    """`apply_brightness_shift` by a factor drawn between the two of `brightness_range`."""
    if len(brightness_range) != 2:
        raise ValueError(f"`brightness_range should be tuple or list of two floats. Received: {brightness_range}")
    return apply_brightness_shift(x, np.random.uniform(brightness_range[0], brightness_range[1]), scale)
