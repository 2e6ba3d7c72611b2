"""Images that were made once, to be had again without the work; any number of processes may add to them at a time.

    find: stamps of the files ── the same as when the image was made? ── bytes as they were written? ──> where it lies
    keep: take space (lock) ── write the images ── add their lines to the index (lock)

What is written is never changed. An image counts once its line is in the index, so whoever is killed on the way leaves
some space unused, and nothing else. A line is checked against its sum, and so is an image that is new to a process.
"""

from __future__ import annotations

import errno
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
from penstock.sources._stamps import Stamped
from penstock.sources._store_files import ALIGNMENT_BYTES, Place, StoreFiles, locked
from penstock.sources._store_index import VALUE_BYTES, Index, Rows

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

    def __init__(self, place: Place, names: Stamped, values: int) -> None:
        self._place = place
        self._names = names
        self._values = values
        self._lock = threading.RLock()
        self._writing = threading.RLock()  # one thread at a time asks for the processes' lock
        self._files: StoreFiles | None = None
        self._is_over = False
        self._is_full = False
        self._complaints: list[str] = []
        self._index: Index
        self._images: Array = np.empty(0, np.uint8)
        self._images_bytes = 0  # of their file, when it was last looked at
        self._strides = np.zeros(ALIGNMENT_BYTES, np.int64)  # bytes that an image takes, by those of a value
        for value_bytes in VALUE_BYTES:
            self._strides[value_bytes] = value_bytes * self.padded_values(value_bytes)

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self._place, self._names, self._values)

    def padded_values(self, value_bytes: int) -> int:
        """Values that an image takes, with those that fill it up."""
        return -(-self._values * value_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES // value_bytes

    def find(self, indices: Indices) -> Found:
        """Where the images of some samples are, those whose files have changed aside.

        Costs a call that gives up the interpreter lock, and 3.5 us a sample.
        """
        files = self._opened()
        if files is not None:
            try:
                return self._found(files, indices)
            except OSError as error:
                self._give_up(f"the cache cannot be read: {_why(error)}. Files are decoded each time.")
        return Found.nothing(len(indices))

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
            lines = self._written(files, lots)
            if len(lines):
                with self._writing, locked(files.lock):
                    _write(files.index, lines.view(np.uint8).reshape(-1), _aligned(os.fstat(files.index).st_size))
        except OSError as error:
            self._is_full = True
            self._complaints.append(f"no more images go into the cache: {_why(error)}. Others are decoded each time.")

    @property
    def held(self) -> tuple[int, int]:
        """How many of the files' images are there, and the bytes of all images that are."""
        files = self._opened()
        try:
            return (0, 0) if files is None else (self._index.count(files), os.fstat(files.images).st_size)
        except OSError:  # said where images are looked for
            return 0, 0

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

    def _give_up(self, complaint: str) -> None:
        with self._lock:
            if not self._is_over:
                self._complaints.append(complaint)
            self.close()

    def _opened(self) -> StoreFiles | None:
        if self._files is not None or self._is_over:
            return self._files
        with self._lock:
            if self._files is None and not self._is_over:
                try:
                    files = self._place.open()
                except OSError as error:
                    self._give_up(f"the cache cannot be used: {_why(error)}. Files are decoded each time.")
                    return None
                if files.why_not:
                    self._complaints.append(
                        f"nothing is added to the cache: {files.why_not}. What is not in it is decoded each time."
                    )
                self._index = Index(self._names.keys)
                self._files = files
            return self._files

    def _found(self, files: StoreFiles, indices: Indices) -> Found:
        now_ns = time.time_ns()
        stamps, (index_bytes, images_bytes) = self._names.stamps(indices, np.array([files.index, files.images]))
        if images_bytes < self._images_bytes:
            # Cut short by somebody: what is written from now on lies where others were, that have been checked.
            self._index.doubt()
        self._images_bytes = int(images_bytes)
        rows = self._index.rows(files, int(index_bytes), indices)
        are_there = (rows.known[:, :2] == stamps).all(axis=1) & (rows.slots >= 0)
        ends = rows.offsets + self._strides[rows.value_bytes]
        # A file that somebody has cut short must not be touched behind its end: that would be the end of the process.
        if (ends[are_there] > images_bytes).any():
            are_bad = ends > os.fstat(files.images).st_size
            self._index.forget(rows.only(are_there), are_bad[are_there])
            are_there &= ~are_bad
        images = self._mapped(files, int(ends[are_there].max(initial=0)))
        if not rows.are_checked[are_there].all():
            are_there[are_there] = self._checked(images, rows.only(are_there))
        window_ns = np.where(stamps[:, 1] % 1_000_000_000 == 0, _COARSE_NS, _FINE_NS)
        stamps[np.abs(now_ns - stamps[:, 1]) < window_ns] = -1
        return Found(images, rows.offsets, np.where(are_there, rows.value_bytes, 0), stamps)

    def _mapped(self, files: StoreFiles, end: int) -> Array:
        """The images, at least up to `end`."""
        images = self._images
        if end <= len(images):
            return images
        with self._lock:
            images = np.frombuffer(mmap.mmap(files.images, 0, access=mmap.ACCESS_READ), np.uint8)
            if not self._is_over:
                self._images = images
        if end > len(images):
            raise OSError(errno.EIO, "its file is being cut short")
        return images

    def _checked(self, images: Array, rows: Rows) -> Array:
        """Which images are as they were written; those that are not are forgotten."""
        are_good: Array = checksums(images, rows.offsets, self._strides[rows.value_bytes]) == rows.known[:, 3]
        self._index.approve(rows, are_good)
        return are_good

    def _written(self, files: StoreFiles, lots: Sequence[Lot]) -> Array:
        """Write the images that are not there yet, as far as there is room; their lines."""
        chosen = [self._index.new(lot.samples, lot.stamps) for lot in lots]
        counts = [(len(which), lot.images.itemsize) for lot, which in zip(lots, chosen, strict=True)]
        lines = []
        for lot, new, (start, count) in zip(lots, chosen, self._reserved(files, counts), strict=True):
            which, value_bytes = new[:count], lot.images.itemsize
            images = lot.images if count == len(lot.images) else lot.images[which]
            flat, stride = images.view(np.uint8).reshape(-1), int(self._strides[value_bytes])
            _write(files.images, flat, start)
            offsets = np.arange(count) * stride
            sums = checksums(flat, offsets, np.full(count, stride))
            lines.append(self._index.lines(lot.samples[which], lot.stamps[which], start + offsets, value_bytes, sums))
        return np.concatenate(lines)

    def _reserved(self, files: StoreFiles, wanted: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Take space for blocks of images, each as (how many, bytes of a value): where, and for how many there is."""
        if not any(count for count, _ in wanted):
            return [(0, 0)] * len(wanted)
        places: list[tuple[int, int]] = []
        with self._writing, locked(files.lock):
            end = _aligned(os.fstat(files.images).st_size)
            room = self._place.room(files)
            for count, value_bytes in wanted:
                stride = int(self._strides[value_bytes])
                fits = min(count, max(0, room) // stride)
                self._is_full |= fits < count
                places.append((end, fits))
                end, room = end + fits * stride, room - fits * stride
            os.truncate(files.images, end)
        if not end and not self._complaints:
            self._complaints.append(
                f"nothing goes into the cache: there is room for none of its images, of {stride:,} bytes each, within "
                "`cache_bytes` or what is to stay free. Files are decoded each time."
            )
        return places


def _why(error: OSError) -> str:
    where = f" ({error.filename!r})" if isinstance(error.filename, str) else ""
    return f"{error.strerror}{where}" if error.strerror else str(error)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _write(descriptor: int, data: Array, position: int) -> None:
    """Write all of it, uint8; running out of space is an error here, and no crash of those that map the file."""
    left = memoryview(data)  # type: ignore[arg-type]
    while left:
        written = os.pwrite(descriptor, left, position)
        left, position = left[written:], position + written
