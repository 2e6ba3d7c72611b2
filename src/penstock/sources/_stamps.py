"""Whether files are what they were: size and time of change of many, in one call that gives up the lock once.

`os.stat` gives it up for each file, which beside a thread that is busy in Python costs up to 5 ms each time.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from penstock._compile import compiled, external
from penstock._types import Array, Indices

_AT_FDCWD, _SIZE_AND_MTIME = -100, 0x240
# The layout of what it fills is the same on all machines, which that of `stat` is not.
_HAS_STATX = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "statx")
_KEY_BYTES = 16

_statx = external("statx", "int32", "int32", "voidptr", "int32", "uint32", "voidptr")
_seek = external("lseek", "int64", "int32", "int64", "int32")


class Stamped(Protocol):
    """Files as caches know them."""

    @property
    def keys(self) -> Array:
        """Int64, `(files, 2)`: the same for the same file in every process."""
        ...

    def stamps(self, indices: Indices, descriptors: Array) -> tuple[Array, Array]:
        """See `FileNames.stamps`."""
        ...


@dataclass(frozen=True)
class FileNames:
    """Many files, as system calls and caches know them.

    Attributes:
        text: uint8, the paths, each closed by a zero. starts: int64, where each begins.
        keys: int64, `(files, 2)`: digests of the absolute paths.
    """

    text: Array
    starts: Indices
    keys: Array

    @classmethod
    def of(cls, paths: Sequence[str]) -> FileNames:
        """Of paths as `open` takes them; 2 us each."""
        names, digests, folders = [], [], dict[str, bytes]()
        for path in paths:
            folder, name = os.path.split(path)
            if folder not in folders:
                folders[folder] = os.fsencode(os.path.abspath(folder)) + b"/"
            digests.append(hashlib.blake2b(folders[folder] + os.fsencode(name), digest_size=_KEY_BYTES).digest())
            names.append(os.fsencode(path) + b"\0")
        starts = np.cumsum([0, *(len(name) for name in names)])[:-1]
        keys = np.frombuffer(b"".join(digests), np.int64).reshape(-1, 2)
        return cls(np.frombuffer(b"".join(names), np.uint8), starts, keys)

    def stamps(self, indices: Indices, descriptors: Array) -> tuple[Array, Array]:
        """How large some files are, and when they were changed; and how large open files are.

        Args:
            descriptors: int64, of the open ones.

        Returns:
            int64, `(samples, 2)`: bytes and nanoseconds, -1 for what is not there; and int64, bytes of the open ones.
        """
        found, sizes = np.full((len(indices), 2), -1, np.int64), np.empty(len(descriptors), np.int64)
        if _HAS_STATX:
            _look(self.text, self.starts, indices, descriptors, found, sizes)
            return found, sizes
        for row, start in zip(found, self.starts[indices].tolist(), strict=True):
            name = self.text[start : start + 1 + int(np.argmin(self.text[start : start + (1 << 16)]))].tobytes()
            try:
                now = os.stat(os.fsdecode(name[:-1]))
            except OSError:
                continue
            row[:] = now.st_size, now.st_mtime_ns
        sizes[:] = [os.fstat(descriptor).st_size for descriptor in descriptors.tolist()]
        return found, sizes


@dataclass(frozen=True)
class KnownFiles:
    """Many files of which is known what they were when they were listed.

    Attributes:
        keys: int64, `(files, 2)`: digests of their names.
        sizes: int64, `(files,)`, in bytes; -1 for what is not known.
        tags: what changes with each: an ETag, a time, a sum; "" for what is not known.
        lasting: whether what is made of them is kept for longer than they are known for.
    """

    keys: Array
    sizes: Array
    tags: tuple[str, ...]
    lasting: bool = True

    @classmethod
    def of(cls, names: Sequence[str], sizes: Sequence[int | None], tags: Sequence[str]) -> KnownFiles:
        """Of files by their names, which say where they lie, too."""
        digests = [_digest(name) for name in names]
        known = [-1 if size is None else size for size in sizes]
        return cls(np.frombuffer(b"".join(digests), np.int64).reshape(-1, 2), np.array(known, np.int64), tuple(tags))

    def stamps(self, indices: Indices, descriptors: Array) -> tuple[Array, Array]:
        """See `FileNames.stamps`; of what changes unnoticed, -1 where that matters, and else always the same."""
        found = np.zeros((len(indices), 2), np.int64)
        for row, index in zip(found, indices.tolist(), strict=True):
            tag = self.tags[index]
            if tag:
                row[:] = self.sizes[index], int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=8).digest()) >> 2
            elif self.lasting:
                row[:] = -1
        sizes = np.array([os.fstat(descriptor).st_size for descriptor in descriptors.tolist()], np.int64)
        return found, sizes


def _digest(name: str) -> bytes:
    return hashlib.blake2b(os.fsencode(name), digest_size=_KEY_BYTES).digest()


@compiled()
def _look(text: Any, starts: Any, indices: Any, descriptors: Any, found: Any, sizes: Any) -> None:
    """Fill `found` and `sizes`; 0.7 us a file that the system has looked up before."""
    answer = np.empty(256, np.uint8)
    words, halves = answer.view(np.int64), answer.view(np.uint32)
    for k in range(descriptors.shape[0]):
        sizes[k] = _seek(np.int32(descriptors[k]), np.int64(0), np.int32(2))
    for k in range(indices.shape[0]):
        name = text[starts[indices[k]] :].ctypes.data
        if _statx(np.int32(_AT_FDCWD), name, np.int32(0), np.uint32(_SIZE_AND_MTIME), answer.ctypes.data) == 0:
            found[k, 0] = words[5]  # stx_size
            found[k, 1] = words[14] * 1_000_000_000 + np.int64(halves[30])  # stx_mtime
