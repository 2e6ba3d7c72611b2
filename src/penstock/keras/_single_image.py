"""One image, transformed as a parameter dict says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock._types import Array
from penstock.image._augment import Augmentation
from penstock.image._draw import Column, from_dict
from penstock.image._pixels import Pixels
from penstock.image._render import Rendering, float_holding, render
from penstock.sources._arrays import ArraySource


def transformed(
    image: Array, parameters: Mapping[str, Any], augmentation: Augmentation, *, as_keras: bool, channels_first: bool
) -> Array:
    """A transformed copy of an image; the image itself if nothing is to be done.

    Args:
        image: real, rank 3.
        parameters: Keras's dict; missing keys change nothing.
        augmentation: for its fill mode, its constant and its order.
        as_keras: Keras's centre and brightness.
        channels_first: layout of the image.

    Returns:
        Of the image's shape; floating point if values are shifted or scaled, else of its dtype.
    """
    row = from_dict(parameters)
    if np.array_equal(row, from_dict({}), equal_nan=True):
        return image
    limits = np.iinfo(image.dtype) if image.dtype.kind in "iu" else None
    value_range = (float(limits.min), float(limits.max)) if limits else (0.0, 1.0 if image.max() <= 1 else 255.0)
    rendering = Rendering(
        augmentation,
        channels_first=channels_first,
        as_keras=as_keras,
        value_range=value_range,
        rounds_to=image.dtype if limits else None,
    )
    out: Array = np.empty((1, *image.shape), float_holding(image.dtype))
    images, which = ArraySource(image[None]).take(np.zeros(1, np.int64))
    render(rendering, Pixels.of_array(images, which, channels_first), row, out)
    result: Array = out[0]
    keeps_values = np.isnan(row[0, Column.channel_shift_intensity :]).all()
    return result.astype(image.dtype) if keeps_values and image.dtype.kind in "iub" else result
