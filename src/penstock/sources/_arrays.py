"""Images in memory, memory-mapped ones among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from penstock._types import Array, Indices

_READABLE = (np.uint8, np.uint16, np.float32, np.float64)


@dataclass(frozen=True)
class ArraySource:
    """Images in one array.

    Attributes:
        images: any real dtype, rank 4.
    """

    images: Array

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def _is_readable(self) -> bool:
        images = self.images
        return images.flags.c_contiguous and images.dtype.isnative and images.dtype in _READABLE

    def take(self, indices: Indices, dtype: np.dtype[Any] | None = None) -> tuple[Array, Indices]:
        """A C-contiguous array that holds the asked-for images, and where in it they are.

        Costs nothing for a C-contiguous array of a dtype that kernels read, of which a memory map is one; anything else
        is copied, one batch at a time.

        Args:
            dtype: what to convert to; None for the array's own, or a float that holds its
                values where kernels do not read that.
        """
        images = self.images
        if self._is_readable and dtype in (None, images.dtype):
            return np.asarray(images), indices
        own = images.dtype.newbyteorder("=")
        if own not in _READABLE:
            own = np.dtype(np.float32 if own.itemsize <= 2 else np.float64)
        wanted = dtype or own
        return np.ascontiguousarray(images[indices]).astype(wanted, copy=False), np.arange(len(indices))
