"""Parts of files behind URLs."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock._types import Indices
from penstock.sources._parts import Blob
from penstock.sources._remote_errors import is_denied, is_missing
from penstock.sources._storage import Storage

_BUFFER_BYTES = 4 << 20  # of an archive at a time, while its list is read
# What stores call what changes with a file, the best first.
_TAGS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "modified",
         "modify", "created")  # fmt: skip


@dataclass(frozen=True)
class RemoteParts:
    """Parts of remote files, all asked for at once.

    Attributes:
        storage: what they lie in. names: URLs, for messages.
        paths: as the storage knows them.
        sizes: in bytes. tags: what changes with each; "" where that is not known.
    """

    storage: Storage
    names: tuple[str, ...]
    paths: tuple[str, ...] = field(repr=False)  # with what is secret in an address
    sizes: tuple[int, ...] = field(repr=False)
    tags: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, storage: Storage, paths: Sequence[str], names: Sequence[str]) -> RemoteParts:
        """Of files as they are now, which are all looked at at once.

        Raises:
            FileNotFoundError: one is not there; its `filename` is that in `names`.
            OSError: one cannot be looked at, or its server does not tell its size.
        """
        sizes, tags = [], []
        for name, info in zip(names, storage.look(paths), strict=True):
            if isinstance(info, Exception):
                raise (
                    FileNotFoundError(None, "it is not there", name)
                    if is_missing(info)
                    else unlisted(storage, name, info)
                )
            if info.get("size") is None:
                raise OSError(f"The server of {name!r} does not tell its size. Copy the archive to this machine.")
            sizes.append(int(info["size"]))
            tags.append(tag_of(info))
        return cls(storage, tuple(names), tuple(paths), tuple(sizes), tuple(tags))

    def read(self, files: Indices, starts: Indices, sizes: Indices) -> list[Blob | str]:
        """See `Parts.read`."""
        parts = list(zip(files.tolist(), starts.tolist(), sizes.tolist(), strict=True))
        asked = [(self.paths[file], start, start + size) for file, start, size in parts if size]
        found = iter(self.storage.read_parts(asked))  # nobody answers for no bytes
        return [self._checked(next(found), size) if size else b"" for _, _, size in parts]

    def _checked(self, blob: Blob | Exception, size: int) -> Blob | str:
        if isinstance(blob, Exception):
            return self.storage.reason(blob)
        if len(blob) == size:
            return blob
        return (
            f"of {size} bytes asked for came {len(blob)}: the archive has changed since it was listed, or its server "
            "gives no parts of files. Make a new flow, or copy the archive to this machine"
        )

    def file(self, number: int) -> io.BufferedIOBase:
        """See `Parts.file`."""
        return io.BufferedReader(_RemoteFile(self, number), _BUFFER_BYTES)

    def stamp(self, number: int) -> str:
        """See `Parts.stamp`."""
        return f"{(self.sizes[number], self.tags[number])}"

    def interrupt(self) -> None:
        """See `Parts.interrupt`."""
        self.storage.interrupt()

    def close(self) -> None:
        """See `Parts.close`."""
        self.storage.close()


class _RemoteFile(io.RawIOBase):
    """A remote file as an object to read from."""

    def __init__(self, parts: RemoteParts, number: int) -> None:
        super().__init__()
        self._parts, self._number, self._size, self._at = parts, number, parts.sizes[number], 0

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
        place = np.array([self._number]), np.array([self._at]), np.array([end - self._at])
        (blob,) = self._parts.read(*place)
        if isinstance(blob, str):
            raise OSError(f"{self._parts.names[self._number]!r} cannot be listed: {blob}.")
        buffer[: len(blob)] = blob
        self._at = end
        return len(blob)


def tag_of(info: Mapping[str, Any]) -> str:
    """What changes with a file, from what fsspec tells of it."""
    return next((str(info[name]) for name in _TAGS if info.get(name)), "")


def unlisted(storage: Storage, name: str, error: Exception) -> OSError:
    """What to say of something that cannot be listed; without a cause, which may hold passwords."""
    kind = PermissionError if is_denied(error) else TimeoutError if isinstance(error, TimeoutError) else OSError
    return kind(f"{name!r} cannot be listed, and its images should not be missing unnoticed: {storage.reason(error)}.")
