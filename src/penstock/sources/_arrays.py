"""Images in memory, memory-mapped ones among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penstock._types import Array, Indices


@dataclass(frozen=True)
class ArraySource:
    """Images in one array.

    Attributes:
        images: any real dtype, rank 4.
    """

    images: Array

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Indices) -> tuple[Array, Indices]:
        """A C-contiguous array that holds the asked-for images, and where in it they are.

        Costs nothing for a C-contiguous array in the machine's byte order, of which a memory map is one; anything else
        is copied, one batch at a time.
        """
        images = self.images
        if images.flags.c_contiguous and images.dtype.isnative:
            return np.asarray(images), indices
        taken = np.ascontiguousarray(images[indices])
        return taken.astype(taken.dtype.newbyteorder("="), copy=False), np.arange(len(indices))
