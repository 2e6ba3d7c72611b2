"""Memory that a worker uses again."""

from __future__ import annotations

import threading
from typing import Any, final

import numpy as np

from penstock._types import Array


@final
class Scratch(threading.local):
    """One piece of memory per thread, the same for every call; copies and pickles begin with none.

    Fresh memory of this size is given back to the system and zeroed by it again and again, or not, as the allocator
    happens to see it: up to 60 us for a photograph of 157,000 pixels.

    Args:
        nbytes: to keep; whoever asks for more gets fresh memory.
    """

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes
        self._kept: Array | None = None

    def __call__(self, nbytes: int) -> Array:
        """So many bytes, uint8, with what the last call's user left in them; the next call takes them back."""
        if nbytes > self._nbytes:
            return np.empty(nbytes, np.uint8)
        if self._kept is None:
            self._kept = np.empty(self._nbytes, np.uint8)
        return self._kept[:nbytes]

    def __reduce__(self) -> tuple[Any, ...]:
        return Scratch, (self._nbytes,)
