"""The two files of a store, and the folder that they lie in.

- `<name>.index`: a line that says what this is, then 64 bytes for each image; see `Store`
- `<name>.images`: the images, one behind the other
- `penstock.lock`: held while space is taken and while lines are added, for microseconds; all names share it
"""

from __future__ import annotations

import errno
import os
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, final

if sys.platform != "win32":
    import fcntl

HEADER_BYTES = 64
ALIGNMENT_BYTES = 64  # of an image, so that its values are aligned, whatever their type
INDEX, IMAGES = ".index", ".images"
_LOCK = "penstock.lock"
_VERSION = b"penstock cache 1 "
_PATIENCE_S = 2.0  # for a lock that is held for microseconds; whoever holds it longer stands still
_DISK_KEPT_FREE = 20  # a twentieth
OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ETIMEDOUT)


@final
class StoreFiles:
    """Open files, closed with the last reference: a thread that is at it when others close a store goes on with them.

    Attributes:
        index, images, lock: descriptors.
        why_not: why images cannot be added; "" if they can.
    """

    def __init__(self, index: int, images: int, lock: int, *, why_not: str = "") -> None:
        self.index = index
        self.images = images
        self.lock = lock
        self.why_not = why_not
        weakref.finalize(self, close, {index, images, lock} - {-1}).atexit = False


class Place(Protocol):
    """Where a store is; picklable, and the same store from everywhere."""

    def open(self) -> StoreFiles:
        """Its files, new ones if there are none.

        Raises:
            OSError: there cannot be any.
        """
        ...

    def room(self, files: StoreFiles) -> int:
        """How many more bytes of images it may take; asked while the lock is held."""
        ...

    def close(self) -> None:
        """Let memory go; may be called twice."""
        ...


@dataclass(frozen=True)
class FolderPlace:
    """A folder, which stays when programs end, and which several may use at once.

    Attributes:
        folder: made if it is not there.
        name: of the store in it: images of one kind have one.
        limit: bytes that all stores in the folder may take together; None for what leaves a twentieth of the disk free.
    """

    folder: str
    name: str
    limit: int | None = None

    def open(self) -> StoreFiles:
        """See `Place.open`. What cannot be written is opened to be read."""
        try:
            os.makedirs(self.folder, exist_ok=True)
            return self._opened()
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            try:
                return self._opened_to_read(error.strerror or str(error))
            except OSError:
                raise error from None

    def room(self, files: StoreFiles) -> int:
        """See `Place.room`."""
        del files
        disk = os.statvfs(self.folder)
        free: int = (disk.f_bavail - disk.f_blocks // _DISK_KEPT_FREE) * disk.f_frsize
        if self.limit is None:
            return free
        with os.scandir(self.folder) as entries:
            taken = sum(entry.stat().st_size for entry in entries if entry.name.endswith((INDEX, IMAGES)))
        return min(free, self.limit - taken)

    def close(self) -> None:
        """See `Place.close`. The folder stays."""

    @property
    def _header(self) -> bytes:
        return (_VERSION + self.name.encode() + b"\n").ljust(HEADER_BYTES, b"\0")[:HEADER_BYTES]

    def _path(self, ending: str) -> str:
        return os.path.join(self.folder, self.name + ending)

    def _opened(self) -> StoreFiles:
        held: list[int] = []
        try:
            held.append(os.open(os.path.join(self.folder, _LOCK), os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666))
            with locked(held[0]):
                held.append(os.open(self._path(INDEX), os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666))
                if os.pread(held[1], HEADER_BYTES, 0) != self._header:
                    # New, damaged or somebody else's; who has it open goes on with what he has.
                    self._begin_anew()
                    os.close(held.pop())
                    held.append(os.open(self._path(INDEX), os.O_RDWR | OPEN_FLAGS))
                held.append(os.open(self._path(IMAGES), os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666))
            return StoreFiles(held[1], held[2], held[0])
        except BaseException:
            close(held)
            raise

    def _opened_to_read(self, why: str) -> StoreFiles:
        held: list[int] = []
        try:
            held.append(os.open(self._path(INDEX), os.O_RDONLY | OPEN_FLAGS))
            held.append(os.open(self._path(IMAGES), os.O_RDONLY | OPEN_FLAGS))
            if os.pread(held[0], HEADER_BYTES, 0) != self._header:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return StoreFiles(held[0], held[1], -1, why_not=why)
        except BaseException:
            close(held)
            raise

    def _begin_anew(self) -> None:
        """Put new files in the place of those that are there, which nobody sees half made."""
        fresh = self._path(".new")
        with open(fresh, "wb") as file:  # without the lock's holder nobody else writes it
            file.write(self._header)
        if os.path.lexists(self._path(IMAGES)):
            os.unlink(self._path(IMAGES))
        os.replace(fresh, self._path(INDEX))


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Hold a lock among processes; one thread of a process at a time may ask. The system gives it back for the dead.

    Raises:
        TimeoutError: another process keeps it.
    """
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked") from None
                time.sleep(0.001)
        yield
    finally:  # an interrupt may come as soon as it is held; giving back what one has not does nothing
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def close(descriptors: list[int] | set[int]) -> None:
    """Close descriptors, each once."""
    while descriptors:
        os.close(descriptors.pop())
