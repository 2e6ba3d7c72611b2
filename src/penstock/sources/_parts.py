"""Parts of files, wherever they lie."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from penstock._types import Array, Indices
from penstock.sources._pieces import read_piece, read_pieces
from penstock.sources._stamps import FileNames

Blob = bytes | memoryview

_NO_FILES = np.empty(0, np.int64)


class Parts(Protocol):
    """Files of which parts are read: picklable, and to be used by any number of threads."""

    @property
    def names(self) -> Sequence[str]:
        """What the files are called in messages."""
        ...

    def read(self, files: Indices, starts: Indices, sizes: Indices) -> list[Blob | str]:
        """The bytes of parts, or why there are none, without a full stop.

        Args:
            files: int64, `(parts,)`, the number of the file that each lies in.
            starts, sizes: int64, `(parts,)`, where it begins, and how many bytes it has.
        """
        ...

    def file(self, number: int) -> io.BufferedIOBase:
        """A file object to look for the list of an archive in.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        ...

    def stamp(self, number: int) -> str:
        """What changes with a file, as far as is known."""
        ...

    def interrupt(self) -> None:
        """See `Interruptible.interrupt`."""
        ...

    def close(self) -> None:
        """See `Interruptible.close`."""
        ...


@dataclass(frozen=True)
class LocalParts:
    """Parts of files of this machine, in two calls that give up the interpreter lock once each.

    Files that are not what they were when they were listed are refused.

    Attributes:
        names: their paths.
        files: as system calls know them.
        was: int64, `(files, 2)`, their sizes and times of change when they were listed.
    """

    names: tuple[str, ...]
    files: FileNames = field(repr=False)
    was: Array = field(repr=False)

    @classmethod
    def of(cls, paths: Sequence[str]) -> LocalParts:
        """Of files as they are now."""
        files = FileNames.of(paths)
        was, _ = files.stamps(np.arange(len(paths)), _NO_FILES)
        return cls(tuple(paths), files, was)

    def read(self, files: Indices, starts: Indices, sizes: Indices) -> list[Blob | str]:
        """See `Parts.read`."""
        now, _ = self.files.stamps(files, _NO_FILES)
        are_there = (now == self.was[files]).all(axis=1)
        pieces = iter(read_pieces(self.files, files[are_there], starts[are_there], sizes[are_there]))
        blobs = [next(pieces) if is_there else None for is_there in are_there.tolist()]
        return [
            self._alone(int(files[k]), int(starts[k]), int(sizes[k]), now[k]) if blob is None else blob
            for k, blob in enumerate(blobs)
        ]

    def _alone(self, file: int, start: int, size: int, now: Array) -> Blob | str:
        """What could not be read together with others, as far as it can be by itself."""
        if now[0] >= 0 and (now != self.was[file]).any():
            return f"{self.names[file]!r} has changed since it was listed. Make a new flow"
        try:
            return read_piece(self.names[file], start, size)
        except OSError as error:
            return f"{error.strerror or error}. Put the archive there, or make a new flow"

    def file(self, number: int) -> io.BufferedIOBase:
        """See `Parts.file`."""
        return open(self.names[number], "rb")

    def stamp(self, number: int) -> str:
        """See `Parts.stamp`."""
        return f"{tuple(self.was[number].tolist())}"

    def interrupt(self) -> None:
        """A disk answers."""

    def close(self) -> None:
        """No file stays open."""
