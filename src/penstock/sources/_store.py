"""Images that were made once, to be had again without the work; any number of processes may add to them at a time.

    find: stamps of the files ── the same as when the image was made? ── bytes as they were written? ──> where it lies
    keep: take space (lock) ── write the images ── add their lines to the index (lock)

What is written is never changed. An image counts once its line is in the index, so whoever is killed on the way leaves
some space unused, and nothing else. A line, and the first time in a process the image, is checked against its sum.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from penstock._types import Array, Indices
from penstock.sources._checksums import checksums
from penstock.sources._stamps import FileNames
from penstock.sources._store_files import ALIGNMENT_BYTES, HEADER_BYTES, Place, StoreFiles, locked

# A line of the index: eight numbers of 64 bits.
_KEY, _STAMP, _PLACE, _SUM, _LINE_SUM, _WORDS = slice(0, 2), slice(2, 4), 4, 5, 7, 8
_LINE_BYTES = 8 * _WORDS
_TAKEN_BYTES = 1, 4  # of a value: uint8 and float32
_NOTHING = -2, -2, 0, 0  # a stamp that no file has
# What is written to a file right after it was read may leave its time of change as it was: by so many nanoseconds
# systems round it, and those that know whole seconds only, by up to two of these.
_FINE_NS, _COARSE_NS = 100_000_000, 2_000_000_000


@dataclass(frozen=True)
class Found:
    """What a store has of some samples.

    Attributes:
        images: uint8, one-dimensional: where they are.
        offsets: int64, `(samples,)`, where each begins, in bytes.
        value_bytes: int64, `(samples,)`: 1 for uint8, 4 for float32, 0 for what is not there.
        stamps: int64, `(samples, 2)`, of the files; below 0 for those that are not to be kept.
    """

    images: Array
    offsets: Indices
    value_bytes: Indices
    stamps: Array

    @property
    def missing(self) -> Indices:
        """Which of the samples are not there, from 0."""
        return np.flatnonzero(self.value_bytes == 0)

    @classmethod
    def nothing(cls, samples: int) -> Found:
        """What is closed, or cannot be opened."""
        zeros = np.zeros(samples, np.int64)
        return cls(np.empty(0, np.uint8), zeros, zeros, np.full((samples, 2), -1, np.int64))


@dataclass(frozen=True)
class Lot:
    """Images to keep.

    Attributes:
        samples: int64, `(images,)`. stamps: of their files, from before they were read.
        images: uint8 or float32, `(images, values)`, C-contiguous, with as many values as `Store.padded_values` says.
    """

    samples: Indices
    stamps: Array
    images: Array


@final
class Store:
    """Finds and keeps images of one size. Copies and pickles are the same store.

    Args:
        place: where it is.
        names: of the files that the images are made of, a sample each.
        values: of an image.
    """

    def __init__(self, place: Place, names: FileNames, values: int) -> None:
        self._place = place
        self._names = names
        self._values = values
        self._lock = threading.Lock()  # for what is known of the index
        self._writing = threading.Lock()  # one thread at a time asks for the processes' lock
        self._files: StoreFiles | None = None
        self._is_over = False
        self._is_full = False
        self._complaints: list[str] = []
        self._read_bytes = HEADER_BYTES
        self._images: Array = np.empty(0, np.uint8)
        self._known: tuple[int, int] = 0, 0  # how many images, when so much of the index was read

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self._place, self._names, self._values)

    def padded_values(self, value_bytes: int) -> int:
        """Values that an image takes, with those that fill it up."""
        return -(-self._values * value_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES // value_bytes

    def find(self, indices: Indices) -> Found:
        """Where the images of some samples are, those whose files have changed aside.

        Costs a call that gives up the interpreter lock, and 1 us a sample.
        """
        files = self._opened()
        if files is None:
            return Found.nothing(len(indices))
        now_ns = time.time_ns()
        stamps, sizes = self._names.stamps(indices, np.array([files.index, files.images]))
        with self._lock:
            if sizes[0] != self._read_bytes:
                self._read_index(files)
            slots = self._slots[indices]
            known, checked = self._table[slots], self._checked[slots]
        places = known[:, 2]
        value_bytes = places % ALIGNMENT_BYTES
        offsets = places - value_bytes
        ends = offsets + self._stride[value_bytes]
        # A file that somebody has cut short must not be touched behind its end: that would be the end of the process.
        there = (known[:, :2] == stamps).all(axis=1) & (slots >= 0)
        if (ends[there] > sizes[1]).any():
            there[there] = self._within(os.fstat(files.images).st_size, slots[there], known[there], ends[there])
        images = self._mapped(files, int(ends[there].max(initial=0)))
        if not checked[there].all():
            there[there] = self._check(images, slots[there], known[there])
        window = np.where(stamps[:, 1] % 1_000_000_000 == 0, _COARSE_NS, _FINE_NS)
        stamps[np.abs(now_ns - stamps[:, 1]) < window] = -1
        return Found(images, offsets, np.where(there, value_bytes, 0), stamps)

    @property
    def takes_more(self) -> bool:
        """Whether `keep` may keep anything."""
        files = self._files
        return files is not None and not files.why_not and not self._is_full

    def keep(self, lots: Sequence[Lot]) -> None:
        """Keep images, as far as there is room. What goes wrong is told by `complaints`, and ends the keeping."""
        files = self._files
        if files is None or not self.takes_more:
            return
        try:
            added = self._written(files, lots)
            if not len(added):
                return
            flat, starts = added.view(np.uint8).reshape(-1), np.arange(len(added)) * _LINE_BYTES
            added[:, _LINE_SUM] = checksums(flat, starts, np.full(len(added), 8 * _LINE_SUM))
            with self._writing, locked(files.lock):
                _write(files.index, flat, _aligned(os.fstat(files.index).st_size))
        except OSError as error:
            self._is_full = True
            self._complaints.append(
                f"no more images go into the cache: {error.strerror or error}. Others are decoded each time."
            )

    @property
    def held(self) -> tuple[int, int]:
        """How many of the files' images are there, and the bytes of all images that are."""
        files = self._files if self._is_over else self._opened()
        if files is None:
            return 0, 0
        with self._lock:
            if os.fstat(files.index).st_size != self._read_bytes:
                self._read_index(files)
            if self._known[1] != self._read_bytes:
                self._known = int(np.count_nonzero(self._table[:-1, 0] >= 0)), self._read_bytes
            return self._known[0], os.fstat(files.images).st_size

    @property
    def complaints(self) -> tuple[str, ...]:
        """What the user should be told, once each."""
        return tuple(self._complaints)

    def close(self) -> None:
        """Let everything go; may be called twice. Who is at it goes on with what he has."""
        with self._lock:
            self._is_over = True
            self._files = None
            self._images = np.empty(0, np.uint8)
            self._place.close()

    def _opened(self) -> StoreFiles | None:
        files = self._files
        if files is not None or self._is_over:
            return files
        with self._lock:
            if self._files is None and not self._is_over:
                try:
                    files = self._place.open()
                except OSError as error:
                    self._is_over = True
                    self._complaints.append(
                        f"the cache cannot be used: {error.strerror or error}. Files are decoded each time."
                    )
                    return None
                if files.why_not:
                    self._complaints.append(
                        f"nothing is added to the cache: {files.why_not}. What is not in it is decoded each time."
                    )
                self._begin()
                self._files = files
            return self._files

    def _begin(self) -> None:
        """A row for each different file: its stamp, where its image is plus the bytes of a value, and its sum."""
        keys = self._names.keys
        self._unique, first, self._slots = np.unique(keys[:, 0], return_index=True, return_inverse=True)
        self._seconds = keys[first, 1]
        self._slots[keys[:, 1] != self._seconds[self._slots]] = -1  # half of its key is another's: is never there
        self._table = np.full((len(first) + 1, 4), _NOTHING, np.int64)
        self._checked = np.zeros(len(first) + 1, bool)
        self._stride = np.zeros(ALIGNMENT_BYTES, np.int64)
        for value_bytes in _TAKEN_BYTES:
            self._stride[value_bytes] = value_bytes * self.padded_values(value_bytes)

    def _read_index(self, files: StoreFiles) -> None:
        """Learn the lines that have been added; the lock is held."""
        size = os.fstat(files.index).st_size
        if size < self._read_bytes:  # somebody has cut it short
            self._table[:], self._checked[:], self._read_bytes = _NOTHING, False, HEADER_BYTES
        raw = os.pread(files.index, max(0, size - self._read_bytes), self._read_bytes)
        lines = np.frombuffer(raw, np.int64, len(raw) // _LINE_BYTES * _WORDS).reshape(-1, _WORDS).copy()
        if not len(lines):
            return
        self._read_bytes += lines.nbytes
        flat, starts = lines.view(np.uint8).reshape(-1), np.arange(len(lines)) * _LINE_BYTES
        whole = checksums(flat, starts, np.full(len(lines), 8 * _LINE_SUM)) == lines[:, _LINE_SUM]
        lines = lines[whole & np.isin(lines[:, _PLACE] % ALIGNMENT_BYTES, _TAKEN_BYTES) & (lines[:, _PLACE] > 0)]
        slots = np.minimum(np.searchsorted(self._unique, lines[:, 0]), len(self._unique) - 1)
        ours = (self._unique[slots] == lines[:, 0]) & (self._seconds[slots] == lines[:, 1])
        slots, lines = slots[ours], lines[ours]
        self._table[slots] = lines[:, 2:6]  # of two lines for a file the later one counts
        self._checked[slots] = False

    def _mapped(self, files: StoreFiles, end: int) -> Array:
        """The images, at least up to `end`."""
        if end > len(self._images):
            with self._lock:
                if end > len(self._images):
                    images = mmap.mmap(files.images, 0, access=mmap.ACCESS_READ)
                    mapped: Array = np.frombuffer(images, np.uint8)
                    if not self._is_over:
                        self._images = mapped
                    return mapped
        return self._images

    def _check(self, images: Array, slots: Indices, known: Array) -> Array:
        """Which images are as they were written; those that are not are forgotten."""
        value_bytes = known[:, 2] % ALIGNMENT_BYTES
        good: Array = checksums(images, known[:, 2] - value_bytes, self._stride[value_bytes]) == known[:, 3]
        self._forget(slots, known, ~good)
        return good

    def _within(self, size: int, slots: Indices, known: Array, ends: Array) -> Array:
        """Which images lie in a file of so many bytes; those that do not are forgotten."""
        good: Array = ends <= size
        self._forget(slots, known, ~good, is_checked=False)
        return good

    def _forget(self, slots: Indices, known: Array, bad: Array, *, is_checked: bool = True) -> None:
        """Forget the bad ones of what is known, unless it is known better by now; the others are checked, perhaps."""
        with self._lock:
            same = (self._table[slots] == known).all(axis=1)
            self._table[slots[same & bad]] = _NOTHING
            if is_checked:
                self._checked[slots[same & ~bad]] = True

    def _written(self, files: StoreFiles, lots: Sequence[Lot]) -> Array:
        """Write the images that are not there yet, as far as there is room; their lines."""
        chosen = [self._new(lot) for lot in lots]
        places = self._reserved(
            files, [(len(which), lot.images.itemsize) for lot, which in zip(lots, chosen, strict=True)]
        )
        written = [np.empty((0, _WORDS), np.int64)]
        for lot, new, (start, count) in zip(lots, chosen, places, strict=True):
            which, value_bytes = new[:count], lot.images.itemsize
            images = lot.images if count == len(lot.images) else lot.images[which]
            flat, stride = images.view(np.uint8).reshape(-1), int(self._stride[value_bytes])
            _write(files.images, flat, start)
            offsets = np.arange(count) * stride
            lines = np.zeros((count, _WORDS), np.int64)
            lines[:, _KEY] = self._names.keys[lot.samples[which]]
            lines[:, _STAMP] = lot.stamps[which]
            lines[:, _PLACE] = start + offsets + value_bytes
            lines[:, _SUM] = checksums(flat, offsets, np.full(count, stride))
            written.append(lines)
        return np.concatenate(written)

    def _new(self, lot: Lot) -> Indices:
        """Which images of a lot are to be written: each file once."""
        slots = self._slots[lot.samples]
        with self._lock:
            there = (self._table[slots, :2] == lot.stamps).all(axis=1)
        first = np.unique(slots, return_index=True)[1]
        wanted = ~there & (slots >= 0) & (lot.stamps[:, 0] >= 0)
        return np.sort(first[wanted[first]])

    def _reserved(self, files: StoreFiles, wanted: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Take space for blocks of images, each as (how many, bytes of a value): where, and for how many there is."""
        places: list[tuple[int, int]] = []
        if not any(count for count, _ in wanted):
            return [(0, 0)] * len(wanted)
        with self._writing, locked(files.lock):
            end = _aligned(os.fstat(files.images).st_size)
            room = self._place.room(files)
            for count, value_bytes in wanted:
                stride = int(self._stride[value_bytes])
                fits = min(count, max(0, room) // stride)
                self._is_full |= fits < count
                places.append((end, fits))
                end, room = end + fits * stride, room - fits * stride
            os.truncate(files.images, end)
        return places


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _write(descriptor: int, data: Array, position: int) -> None:
    """Write all of it, uint8; running out of space is an error here, and no crash of those that map the file."""
    left = memoryview(data)  # type: ignore[arg-type]
    while left:
        written = os.pwrite(descriptor, left, position)
        left, position = left[written:], position + written
