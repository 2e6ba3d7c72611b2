"""Parts of one file, wherever it lies."""

from __future__ import annotations

import io
import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import numpy as np

from penstock._compile import compiled, external
from penstock._types import Array
from penstock.sources._storage import Storage
from penstock.sources._urls import shown

_HAS_POSIX_CALLS = os.name == "posix"
_BUFFER_BYTES = 4 << 20  # of a remote archive at a time, while its list is read

_pread = external("pread", "intp", "int32", "voidptr", "uintp", "int64")

Blob = bytes | memoryview


class Ranged(Protocol):
    """A file of which parts are read: picklable, and to be used by any number of threads."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def read(self, ranges: Sequence[tuple[int, int]]) -> list[Blob | str]:
        """The bytes of parts, each from its first byte to the one behind its last; or why there are none."""
        ...

    def file(self) -> io.BufferedIOBase:
        """A file object to look for the list of an archive in.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        ...

    def stamp(self) -> str:
        """What changes with the file, as far as is known."""
        ...

    def interrupt(self) -> None:
        """See `Interruptible.interrupt`."""
        ...

    def close(self) -> None:
        """See `Interruptible.close`."""
        ...


@final
class LocalRanges:
    """Parts of a local file, in one call that gives up the interpreter lock once.

    Each process opens it for itself, and refuses it where it is not the one that was listed.

    Args:
        path: as `open` takes it.
        was: its size and time of change when it was listed.
    """

    def __init__(self, path: str, was: tuple[int, int] | None = None) -> None:
        self._path = path
        now = os.stat(path) if was is None else None
        self._was = was if now is None else (now.st_size, now.st_mtime_ns)
        self._lock = threading.Lock()
        self._descriptor: tuple[int, int] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalRanges, (self._path, self._was)

    @property
    def name(self) -> str:
        """See `Ranged.name`."""
        return self._path

    def stamp(self) -> str:
        """See `Ranged.stamp`."""
        return f"{self._was}"

    def file(self) -> io.BufferedIOBase:
        """See `Ranged.file`."""
        return open(self._path, "rb")

    def read(self, ranges: Sequence[tuple[int, int]]) -> list[Blob | str]:
        """See `Ranged.read`."""
        try:
            descriptor = self._open()
        except OSError as error:
            return [f"{error.strerror or error}"] * len(ranges)
        sizes = np.array([end - start for start, end in ranges], np.int64)
        at = np.concatenate([[0], np.cumsum(sizes)])
        buffer = np.empty(int(at[-1]), np.uint8)
        starts = np.array([start for start, _ in ranges], np.int64)
        if _HAS_POSIX_CALLS:
            _fill(descriptor, starts, at, buffer)
        else:
            self._fill_by_python(descriptor, starts, at, buffer)
        memory = memoryview(buffer)  # type: ignore[arg-type]
        return [
            "the archive is cut short" if end < 0 else memory[abs(first) : end]
            for first, end in zip(at[:-1].tolist(), at[1:].tolist(), strict=True)
        ]

    def interrupt(self) -> None:
        """A disk answers."""

    def close(self) -> None:
        """The file stays open until nobody has it: another thread may be reading."""

    def _open(self) -> int:
        known = self._descriptor
        if known is not None and known[0] == os.getpid():
            return known[1]
        with self._lock:
            if self._descriptor is None or self._descriptor[0] != os.getpid():
                descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
                weakref.finalize(self, os.close, descriptor)
                now = os.fstat(descriptor)
                if (now.st_size, now.st_mtime_ns) != self._was:
                    raise OSError("the archive has changed since it was listed. Make a new flow")
                self._descriptor = os.getpid(), descriptor
            return self._descriptor[1]

    def _fill_by_python(self, descriptor: int, starts: Array, at: Array, buffer: Array) -> None:
        for k, start in enumerate(starts.tolist()):
            with self._lock:
                os.lseek(descriptor, start, os.SEEK_SET)
                blob = os.read(descriptor, int(at[k + 1] - at[k]))
            buffer[at[k] : at[k] + len(blob)] = np.frombuffer(blob, np.uint8)


@dataclass(frozen=True)
class RemoteRanges:
    """Parts of a remote file, all asked for at once.

    Attributes:
        storage: what it lies in. path: as the storage knows it. url: for messages.
        known: its size in bytes, and what changes with it.
    """

    storage: Storage
    path: str = field(repr=False)
    url: str = field(repr=False)
    known: tuple[int, str]

    @property
    def name(self) -> str:
        """See `Ranged.name`."""
        return shown(self.url)

    def stamp(self) -> str:
        """See `Ranged.stamp`."""
        return f"{self.known}"

    def file(self) -> io.BufferedIOBase:
        """See `Ranged.file`."""
        return io.BufferedReader(_RemoteFile(self, self.known[0]), _BUFFER_BYTES)

    def read(self, ranges: Sequence[tuple[int, int]]) -> list[Blob | str]:
        """See `Ranged.read`."""
        asked = [(start, end) for start, end in ranges if start < end]  # nobody answers for no bytes
        found = iter(self.storage.read_ranges(self.path, asked))
        return [self._checked(next(found), end - start) if start < end else b"" for start, end in ranges]

    def interrupt(self) -> None:
        """See `Ranged.interrupt`."""
        self.storage.interrupt()

    def close(self) -> None:
        """See `Ranged.close`."""
        self.storage.close()

    def _checked(self, blob: bytes | memoryview | Exception, size: int) -> Blob | str:
        if isinstance(blob, Exception):
            return self.storage.reason(blob)
        if len(blob) == size:
            return blob
        return (
            f"of {size} bytes asked for came {len(blob)}: the archive has changed since it was listed, or its server "
            "gives no parts of files. Make a new flow, or copy the archive to this machine"
        )


class _RemoteFile(io.RawIOBase):
    """A remote file as an object to read from."""

    def __init__(self, ranged: RemoteRanges, size: int) -> None:
        super().__init__()
        self._ranged, self._size, self._at = ranged, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._at + len(buffer))
        if end <= self._at:
            return 0
        (blob,) = self._ranged.read([(self._at, end)])
        if isinstance(blob, str):
            raise OSError(f"{self._ranged.name!r} cannot be listed: {blob}")
        buffer[: len(blob)] = blob
        self._at = end
        return len(blob)


@compiled()
def _fill(descriptor: int, starts: Any, at: Any, buffer: Any) -> None:
    """Read parts of a file one behind the other into `buffer`; the end of one that is cut short becomes negative.

    Args:
        starts: int64, `(parts,)`, where each begins in the file. at: int64, `(parts + 1,)`, where in the buffer.
    """
    for k in range(starts.shape[0]):
        first, end = abs(at[k]), at[k + 1]
        done = first
        while done < end:
            wanted = np.uint64(end - done)
            got = _pread(np.int32(descriptor), buffer[done:].ctypes.data, wanted, starts[k] + done - first)
            if got <= 0:
                at[k + 1] = -end
                break
            done += got
