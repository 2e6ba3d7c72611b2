"""Where the pixels of a batch's images lie in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from penstock._types import Array, Indices
from penstock.image import _kernels


@dataclass(frozen=True)
class Pixels:
    """Images in one flat array, with the nearest-neighbour resize that is still to come.

    Attributes:
        flat: the values of all images, one-dimensional, C-contiguous.
        layouts: int64, `(images, 4)`: where an image begins, and the elements between rows, columns and channels.
        channels: of every image.
        rows, columns: int64, `(images, height)` and `(images, width)`, or one row for all: the input row and column
            behind each of the target's.
    """

    flat: Array
    layouts: Array
    channels: int
    rows: Array
    columns: Array

    @classmethod
    def of_array(cls, images: Array, which: Indices, channels_first: bool) -> Pixels:
        """Some images of a C-contiguous array of rank 4, at their own size."""
        shape = images.shape[1:]
        height, width, channels = (shape[1], shape[2], shape[0]) if channels_first else shape
        layouts = np.empty((len(which), 4), np.int64)
        layouts[:] = strides(height, width, channels, channels_first)
        layouts[:, 0] *= which
        return cls(writeable(images).reshape(-1), layouts, channels, _all_of(height), _all_of(width))

    @classmethod
    def of_records(cls, flat: Array, starts: Indices, size: tuple[int, int], channels: int) -> Pixels:
        """Images of `(height, width, channels)` at their own size, each where it begins in a flat array."""
        layouts = np.empty((len(starts), 4), np.int64)
        layouts[:, 0] = starts
        layouts[:, 1:] = size[1] * channels, channels, 1
        return cls(writeable(flat), layouts, channels, _all_of(size[0]), _all_of(size[1]))

    def __len__(self) -> int:
        return len(self.layouts)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width after the resize."""
        return self.rows.shape[1], self.columns.shape[1]

    def all_resized(self, stride: int) -> Array:
        """All images after the resize, copies, `(images, stride)`: height, width, channels, then zeros."""
        size = self.size[0] * self.size[1] * self.channels
        images = np.empty((len(self), stride), self.flat.dtype)
        images[:, size:] = 0
        resized = images.reshape(-1)
        _kernels.resize_many(self.flat, self.layouts, self.rows, self.columns, self.channels, resized, stride)
        return images

    def resized(self, k: int) -> Array:
        """Image k after the resize, a copy, `(height, width, channels)`."""
        origin, row, column, channel = (int(value) for value in self.layouts[k])
        rows, columns = self.rows[min(k, len(self.rows) - 1)], self.columns[min(k, len(self.columns) - 1)]
        at = origin + rows[:, None, None] * row + columns[None, :, None] * column
        image: Array = self.flat[at + np.arange(self.channels) * channel]
        return image


@lru_cache(64)
def strides(height: int, width: int, channels: int, channels_first: bool) -> Array:
    """Elements from one image, row, column and channel to the next; made once, which saves 1 us a batch."""
    values = height * width * channels
    return np.array((values, width, 1, height * width) if channels_first else (values, width * channels, channels, 1))


@lru_cache(64)
def _all_of(size: int) -> Array:
    """No resize: every row or column, `(1, size)`; made once, which saves 2 us a batch. Nobody writes to it."""
    return np.arange(size)[None]


class _Unlocked:
    """A read-only array's memory, declared writeable."""

    def __init__(self, array: Array) -> None:
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def writeable(array: Array) -> Array:
    """The same memory. Kernels never write to what they read; a read-only type would only make Numba compile anew."""
    return array if array.flags.writeable else np.asarray(_Unlocked(array))
