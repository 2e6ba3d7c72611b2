"""Value ranges: what `standardize` does, and what `fit` learns for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from penstock._types import Array

_CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Standardization:
    """Numbers applied to every image's values, in this order.

    Attributes:
        rescale: factor, or None.
        sample_centre: subtract the image's own mean.
        sample_scale: divide by the image's own standard deviation + 1e-6.
        mean: subtracted; broadcasts against an image. None for none.
        std: its sum with 1e-6 divides; broadcasts against an image. None for none.
        whitening: the ZCA matrix, `(values, values)` for images of that many values. None for none.
    """

    rescale: float | None = None
    sample_centre: bool = False
    sample_scale: bool = False
    mean: Array | None = None
    std: Array | None = None
    whitening: Array | None = None

    def by_channel(self, channels: int, channel_axis: int) -> tuple[Array, Array] | None:
        """`mean` and `1 / (std + 1e-6)` as float64 `(channels,)`, or None if they differ within a channel.

        Args:
            channel_axis: of an image, 0 or 2.
        """
        centre = _by_channel(self.mean, channels, channel_axis)
        scale = _by_channel(self.std, channels, channel_axis)
        if centre is None or scale is None:
            return None
        return centre, np.ones(channels) if self.std is None else 1 / (scale + 1e-6)


def _by_channel(values: Array | None, channels: int, channel_axis: int) -> Array | None:
    """Float64 `(channels,)`, C-contiguous, zeros for none; None if they differ within a channel."""
    if values is None:
        return np.zeros(channels)
    array = np.asarray(values, np.float64)
    shape = [1, 1, 1]
    if array.size == 1 and array.ndim <= len(shape):  # in a tenth of the 10 us that broadcasting takes
        return np.full(channels, array.item())
    shape[channel_axis] = channels
    try:
        return np.ascontiguousarray(np.broadcast_to(array, shape).reshape(channels))
    except ValueError:
        return None


def learn(
    images: Array,
    *,
    centre: bool,
    scale: bool,
    whiten: bool,
    zca_epsilon: float,
    rescale: float | None,
    channel_axis: int,
) -> tuple[Array | None, Array | None, Array | None]:
    """Mean, standard deviation and ZCA matrix of a set of images, by channel and as Keras defines them.

    Sums run in float64 over chunks of 64 MB, so no second copy of the whole set is made; only whitening needs one.

    Args:
        images: any real dtype, rank 4.
        channel_axis: of `images`, 1 or 3.

    Returns:
        (mean, std, whitening), each None where not asked for; mean and std have shape `(1, 1, channels)` or
        `(channels, 1, 1)`.
    """
    if scale and whiten:
        raise ValueError("ZCA whitening and featurewise standard deviation exclude each other")
    axes = tuple(axis for axis in (0, 1, 2, 3) if axis != channel_axis)
    shape = [1, 1, 1]
    shape[channel_axis - 1] = images.shape[channel_axis]
    count = images.size // images.shape[channel_axis]
    factor = rescale if rescale else 1.0
    mean = std = whitening = None
    if centre or scale:
        average = sum(chunk.sum(axis=axes) for chunk in _chunks(images, factor)).reshape(shape) / count
        mean = average if centre else None
    if scale:
        squares = sum(((chunk - average) ** 2).sum(axis=axes) for chunk in _chunks(images, factor))
        std = np.sqrt(squares.reshape(shape) / count)
    if whiten:
        centred = 0.0 if mean is None else mean
        flat = np.concatenate([(chunk - centred).astype(np.float32) for chunk in _chunks(images, factor)])
        flat = flat.reshape(len(images), -1)
        basis, spread, _ = np.linalg.svd(flat.T, full_matrices=False)
        whitening = (basis * (math.sqrt(len(images)) / (spread + zca_epsilon))) @ basis.T
    return mean, std, whitening


def _chunks(images: Array, factor: float) -> Iterator[Array]:
    """The images times `factor`, float64, a few at a time."""
    size = max(1, _CHUNK_BYTES // max(1, 8 * math.prod(images.shape[1:])))
    for start in range(0, len(images), size):
        yield np.asarray(images[start : start + size], np.float64) * factor
