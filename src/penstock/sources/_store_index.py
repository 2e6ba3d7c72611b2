"""What a process knows of a store's index: for each file, of what it was when its image was made, and where that is."""

from __future__ import annotations

import os
import threading
from typing import NamedTuple, final

import numpy as np

from penstock._types import Array, Indices
from penstock.sources._checksums import checksums
from penstock.sources._store_files import ALIGNMENT_BYTES, HEADER_BYTES, StoreFiles

VALUE_BYTES = 1, 4  # of the types that are kept: uint8 and float32
# A line: eight numbers of 64 bits. A place is an offset plus the bytes of a value.
_KEY, _STAMP, _PLACE, _SUM, _LINE_SUM, _WORDS = slice(0, 2), slice(2, 4), 4, 5, 7, 8
_LINE_BYTES, _SUMMED_BYTES = 8 * _WORDS, 8 * _LINE_SUM
_NOTHING = -2, -2, 0, 0  # a stamp that no file has


class Rows(NamedTuple):
    """What is known of some samples.

    Attributes:
        slots: int64, `(samples,)`: the numbers of their files; -1 for one that cannot be told from another.
        known: int64, `(samples, 4)`: two of the file's stamp, the place of its image, and its sum.
        are_checked: bool, `(samples,)`: whether this process has found the image as it was written.
    """

    slots: Indices
    known: Array
    are_checked: Array

    @property
    def offsets(self) -> Indices:
        """Where each image begins, in bytes."""
        return self.known[:, 2] - self.value_bytes

    @property
    def value_bytes(self) -> Indices:
        """1 for uint8, 4 for float32."""
        return self.known[:, 2] % ALIGNMENT_BYTES

    def only(self, which: Array) -> Rows:
        """Some of them."""
        return Rows(self.slots[which], self.known[which], self.are_checked[which])


@final
class Index:
    """Reads the lines that this and other processes add. A row for each different file.

    Args:
        keys: int64, `(samples, 2)`, see `FileNames`.
    """

    def __init__(self, keys: Array) -> None:
        self._keys = keys
        self._lock = threading.RLock()
        self._firsts, first, self._slots = np.unique(keys[:, 0], return_index=True, return_inverse=True)
        self._seconds = keys[first, 1]
        self._slots[keys[:, 1] != self._seconds[self._slots]] = -1  # half of its key is another's
        self._table = np.full((len(first) + 1, 4), _NOTHING, np.int64)
        self._are_checked = np.zeros(len(first) + 1, bool)
        self._read_bytes = HEADER_BYTES
        self._count: tuple[int, int] = 0, 0  # of images, when so much had been read

    def rows(self, files: StoreFiles, index_bytes: int, samples: Indices) -> Rows:
        """What is known, with what has been added since.

        Args:
            index_bytes: how large the index is.
        """
        with self._lock:
            if index_bytes != self._read_bytes:
                self._read(files)
            slots = self._slots[samples]
            return Rows(slots, self._table[slots], self._are_checked[slots])

    def count(self, files: StoreFiles) -> int:
        """How many files' images there are."""
        with self._lock:
            self._read(files)
            if self._count[1] != self._read_bytes:
                self._count = int(np.count_nonzero(self._table[:-1, 0] >= 0)), self._read_bytes
            return self._count[0]

    def approve(self, rows: Rows, are_good: Array) -> None:
        """Images were found as they were written, or not; what is known better by now stays."""
        self.forget(rows, ~are_good)
        with self._lock:
            same = (self._table[rows.slots] == rows.known).all(axis=1)
            self._are_checked[rows.slots[same & are_good]] = True

    def doubt(self) -> None:
        """Every image may be another by now."""
        with self._lock:
            self._are_checked[:] = False

    def forget(self, rows: Rows, are_bad: Array) -> None:
        """Images are not where they were said to be."""
        with self._lock:
            same = (self._table[rows.slots] == rows.known).all(axis=1)
            self._table[rows.slots[same & are_bad]] = _NOTHING

    def new(self, samples: Indices, stamps: Array) -> Indices:
        """Which of some images, from 0, are to be written: each file once."""
        slots = self._slots[samples]
        with self._lock:
            are_there = (self._table[slots, :2] == stamps).all(axis=1)
        first = np.unique(slots, return_index=True)[1]
        are_wanted = ~are_there & (slots >= 0) & (stamps[:, 0] >= 0)
        return np.sort(first[are_wanted[first]])

    def lines(self, samples: Indices, stamps: Array, offsets: Indices, value_bytes: int, sums: Array) -> Array:
        """The lines for images that were written, int64, `(images, 8)`."""
        lines = np.zeros((len(samples), _WORDS), np.int64)
        lines[:, _KEY], lines[:, _STAMP] = self._keys[samples], stamps
        lines[:, _PLACE], lines[:, _SUM] = offsets + value_bytes, sums
        lines[:, _LINE_SUM] = _line_sums(lines)
        return lines

    def _read(self, files: StoreFiles) -> None:
        size = os.fstat(files.index).st_size
        if size < self._read_bytes:  # somebody has cut it short
            self._table[:], self._read_bytes = _NOTHING, HEADER_BYTES
        raw = os.pread(files.index, max(0, size - self._read_bytes), self._read_bytes)
        lines = np.frombuffer(raw, np.int64, len(raw) // _LINE_BYTES * _WORDS).reshape(-1, _WORDS).copy()
        if not len(lines):
            return
        are_whole = _line_sums(lines) == lines[:, _LINE_SUM]
        are_whole &= np.isin(lines[:, _PLACE] % ALIGNMENT_BYTES, VALUE_BYTES) & (lines[:, _PLACE] > 0)
        read_bytes, lines = lines.nbytes, lines[are_whole]
        slots = np.minimum(np.searchsorted(self._firsts, lines[:, 0]), len(self._firsts) - 1)
        are_ours = (self._firsts[slots] == lines[:, 0]) & (self._seconds[slots] == lines[:, 1])
        slots, lines = slots[are_ours], lines[are_ours]
        self._are_checked[slots] = False  # first: an interrupt may come
        self._table[slots] = lines[:, 2:6]  # of two lines for a file the later one counts
        self._read_bytes += read_bytes


def _line_sums(lines: Array) -> Array:
    starts = np.arange(len(lines)) * _LINE_BYTES
    return checksums(lines.view(np.uint8).reshape(-1), starts, np.full(len(lines), _SUMMED_BYTES))
