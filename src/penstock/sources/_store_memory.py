"""A store's files in memory that processes share."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from penstock.sources._store_files import HEADER_BYTES, OPEN_FLAGS, StoreFiles, close

_MEMORY_KEPT_FREE = 10  # a tenth, whatever the user asks for
_UNKNOWN_MEMORY_BYTES = 10**9  # for a cache where nobody says how much is free


@final
class MemoryPlace:
    """Memory that is gone with the last process that knows it, however it ends.

    On Linux it lies in no file system, so what a container allows for `/dev/shm` does not bound it, and other processes
    of the same user open it by this one's number. Elsewhere it is a temporary file that this process alone has.

    Args:
        limit: bytes that images may take; None for as much as they leave free.
        free: tells how many bytes of memory are free, None where that is not known; picklable.
    """

    def __init__(self, limit: int | None, free: Callable[[], int | None]) -> None:
        self.limit = limit
        self.free = free
        self._files: StoreFiles | None = None

    def open(self) -> StoreFiles:
        """See `Place.open`."""
        if self._files is None:
            held: list[int] = []
            try:
                for _ in range(2):
                    _new_memory(held)
                os.pwrite(held[0], bytes(HEADER_BYTES), 0)
                self._files = StoreFiles(held[0], held[1], held[0])
            except BaseException:
                close(held)
                raise
        return self._files

    def room(self, files: StoreFiles) -> int:
        """See `Place.room`."""
        return _memory_room(os.fstat(files.images).st_size, self.limit, self.free())

    def close(self) -> None:
        """See `Place.close`."""
        self._files = None

    def __reduce__(self) -> tuple[Any, ...]:
        files = self.open()
        ends = tuple((number, _identity(number)) for number in (files.index, files.images))
        return BorrowedMemoryPlace, (os.getpid(), *ends, self.limit, self.free)


@dataclass(frozen=True)
class BorrowedMemoryPlace:
    """The memory of another process.

    Attributes:
        pid: of the process.
        index, images: the numbers of its descriptors, and what they are, since numbers are used again.
        limit, free: as they are there.
    """

    pid: int
    index: tuple[int, tuple[int, int]]
    images: tuple[int, tuple[int, int]]
    limit: int | None
    free: Callable[[], int | None]

    def open(self) -> StoreFiles:
        """See `Place.open`."""
        held: list[int] = []
        try:
            for number, identity in (self.index, self.images):
                held.append(os.open(f"/proc/{self.pid}/fd/{number}", os.O_RDWR | OPEN_FLAGS))
                if _identity(held[-1]) != identity:
                    raise OSError(errno.ENOENT, "it is closed")
            return StoreFiles(held[0], held[1], held[0])
        except BaseException:
            close(held)
            raise

    def room(self, files: StoreFiles) -> int:
        """See `Place.room`."""
        return _memory_room(os.fstat(files.images).st_size, self.limit, self.free())

    def close(self) -> None:
        """See `Place.close`. The memory is another process's."""


def _memory_room(taken: int, limit: int | None, free: int | None) -> int:
    """Bytes that a cache in memory may take beside those that it has taken."""
    if limit is None:
        # Whatever else fills the memory meanwhile, two caches at a time included: there stays as much as one takes.
        return _UNKNOWN_MEMORY_BYTES - taken if free is None else (free - taken) // 2
    return limit - taken if free is None else min(limit - taken, free - (free + taken) // _MEMORY_KEPT_FREE)


def _new_memory(held: list[int]) -> None:
    if hasattr(os, "memfd_create"):
        held.append(os.memfd_create("penstock-cache"))
        return
    with tempfile.TemporaryFile(prefix="penstock-") as file:
        held.append(os.dup(file.fileno()))


def _identity(descriptor: int) -> tuple[int, int]:
    known = os.fstat(descriptor)
    return known.st_dev, known.st_ino
