"""Memory for batches: this process's own, or memory that other processes can map."""

from __future__ import annotations

import errno
import math
import mmap
import os
import tempfile
import weakref
from typing import Any, final

import numpy as np

from penstock._errors import WorkerError
from penstock._types import Array

ALIGNMENT_BYTES = 64  # a cache line, and what JAX asks for to take an array without a copy


def padded(nbytes: int) -> int:
    """A size in bytes, rounded up so that what follows is aligned."""
    return -(-nbytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def private_memory(nbytes: int) -> Array:
    """Aligned memory of this process, uint8, `(nbytes,)`."""
    raw = np.empty(nbytes + ALIGNMENT_BYTES, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT_BYTES
    return raw[start : start + nbytes]


def has_same_bytes(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape and dtype are alike, NaNs included; the first is C-contiguous."""
    if not other.flags.c_contiguous:
        return bool(np.array_equal(one, other))
    return bool(np.array_equal(one.reshape(-1).view(np.uint8), other.reshape(-1).view(np.uint8)))


@final
class Segment:
    """Memory that other processes map by its descriptor.

    No path names it, so that nothing is left of it once the last process that knows it has ended, however it ended. On
    Linux it lies in no file system either: what a container allows for `/dev/shm`, often 64 MB, does not bound it.

    Args:
        nbytes: at least 1. They are reserved at once, so that running out is an error here and no crash later. What
            does not fit into memory is put into a temporary file, if that has the room.

    Raises:
        WorkerError: there is not so much memory.
    """

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        held: list[int] = []
        try:
            memory_map = _mapped(nbytes, held)
            self.memory: Array = np.frombuffer(memory_map, np.uint8)
            # With the memory at the latest: an interrupt may come before anyone else knows of it.
            self.closing = weakref.finalize(self.memory, _close, held)
        except BaseException:
            _close(held)
            raise
        self.closing.atexit = False
        self.descriptor = held[0]
        self.address = self.memory.ctypes.data

    def view(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """The first bytes as an array."""
        view: Array = self.memory[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
        return view

    def holds(self, array: Array) -> bool:
        """Whether it begins with the bytes of an array, which has to be there as it would be C-contiguous."""
        return has_same_bytes(self.view(array.dtype, array.shape), array)

    def close(self) -> None:
        """Let the descriptor go; may be called twice. Arrays stay valid: the memory goes with the last of them."""
        self.descriptor = -1
        self.closing()


def _mapped(nbytes: int, held: list[int]) -> mmap.mmap:
    """Reserved memory, whose descriptor is put into `held`; in a temporary file if it cannot be had otherwise."""
    failure: OSError | None = None
    for open_file in (_memory_file, _temporary_file):
        try:
            open_file(held)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(held[0], 0, nbytes)
            else:
                os.truncate(held[0], nbytes)
            return mmap.mmap(held[0], nbytes)
        except OSError as error:
            failure = failure or error
            _close(held)
    assert failure is not None
    raise WorkerError(
        f"{nbytes / 1e6:,.1f} MB of memory to share with worker processes could not be had: {failure.strerror}. Lower "
        "the batch size or `max_queue_size`, set `max_queue_bytes`, or use threads: `use_multiprocessing=False`."
    ) from failure


def _memory_file(held: list[int]) -> None:
    if not hasattr(os, "memfd_create"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    held.extend(
        map(os.memfd_create, ("penstock",))
    )  # all in one call: an interrupt after it finds the descriptor there


def _temporary_file(held: list[int]) -> None:
    with tempfile.TemporaryFile(prefix="penstock-") as file:
        held.extend(map(os.dup, (file.fileno(),)))


def _close(held: list[int]) -> None:
    """Close descriptors, each once."""
    while held:
        os.close(held.pop())
