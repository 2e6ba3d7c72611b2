"""Images as they are before the random transform, decoded and resized once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, final

import numpy as np

from penstock._types import Array, Indices
from penstock.image._decode import CHANNELS, Loading, decoders
from penstock.image._pixels import Pixels
from penstock.sources._stamps import FileNames, KnownFiles
from penstock.sources._store import Found, Lot, Store
from penstock.sources._store_files import FolderPlace, Place
from penstock.sources._store_memory import MemoryPlace

_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 4: np.dtype(np.float32)}
_HELD_BYTES = 32 << 20  # of images before they are written; each time costs some system calls


@dataclass(frozen=True)
class Caching:
    """What a user asks for.

    Attributes:
        folder: where images are kept; None for memory.
        limit: bytes; None for what leaves a twentieth of the disk, or half of the memory, free.
        free: tells how many bytes of memory are free; picklable.
    """

    folder: str | None
    limit: int | None
    free: Callable[[], int | None]

    def cache(self, files: Sequence[str] | KnownFiles, loading: Loading) -> ImageCache:
        """A cache for such files; nothing is opened yet.

        Args:
            files: paths, whose files are looked at each time; or files that are as they were listed. Of the latter,
                those that nothing is known of are kept in memory alone, where they count as unchanged.
            loading: with a `target_size`.
        """
        assert loading.target_size is not None
        height, width = loading.target_size
        values = height * width * CHANNELS[loading.color_mode]
        lasts = self.folder is not None
        names = replace(files, lasting=lasts) if isinstance(files, KnownFiles) else FileNames.of(files)
        return ImageCache(Store(self._place(loading), names, values), loading)

    def _place(self, loading: Loading) -> Place:
        if self.folder is None:
            return MemoryPlace(self.limit, self.free)
        # Whatever else decides the pixels, so that images made otherwise are in other files.
        height, width = map(int, loading.target_size or ())
        made_how = f"{replace(loading, target_size=(height, width))} {decoders()}"
        return FolderPlace(self.folder, hashlib.blake2b(made_how.encode(), digest_size=16).hexdigest(), self.limit)


@dataclass(frozen=True)
class ImageCache:
    """A store of images that are loaded in one way.

    Attributes:
        store: of their values.
        loading: how they were loaded.
    """

    store: Store
    loading: Loading

    def pixels(self, found: Found, rows: slice) -> Pixels:
        """Images that were found, of one type."""
        assert self.loading.target_size is not None
        value_bytes = int(found.value_bytes[rows.start])
        whole = len(found.images) // value_bytes * value_bytes
        flat = found.images[:whole].view(_DTYPES[value_bytes])
        return Pixels.of_records(
            flat, found.offsets[rows] // value_bytes, self.loading.target_size, CHANNELS[self.loading.color_mode]
        )

    def collector(self) -> Collector | None:
        """For one batch; None if nothing more is kept."""
        return Collector(self) if self.store.takes_more else None


@final
class Collector:
    """Collects a batch's images on their way to the store."""

    def __init__(self, cache: ImageCache) -> None:
        self._cache = cache
        self._lots: list[Lot] = []
        self._held_bytes = 0

    def take(self, samples: Indices, stamps: Array, pixels: Pixels) -> Pixels:
        """Take images, and return them after their resize.

        Args:
            samples: one for each image. stamps: of their files, from before they were read.
        """
        store = self._cache.store
        images = pixels.all_resized(store.padded_values(pixels.flat.itemsize))
        self._lots.append(Lot(samples, stamps, images))
        self._held_bytes += images.nbytes
        if self._held_bytes > _HELD_BYTES:
            self.keep()
        starts = np.arange(len(images)) * images.shape[1]
        return Pixels.of_records(images.reshape(-1), starts, pixels.size, pixels.channels)

    def keep(self) -> None:
        """Hand over to the store what it has taken."""
        lots, self._lots, self._held_bytes = self._lots, [], 0
        if lots:
            self._cache.store.keep(lots)


class FoundBlobs(list[Any]):
    """The bytes of each sample, or why there are none; nothing for those that the cache has.

    Attributes:
        found: what it has.
    """

    def __init__(self, found: Found, missing: Sequence[Any]) -> None:
        super().__init__([None] * len(found.offsets))
        self.found = found
        for row, blob in zip(found.missing.tolist(), missing, strict=True):
            self[row] = blob

    def runs(self, rows: slice, are_own: Array) -> Iterator[tuple[slice, bool]]:
        """Rows that follow one another and are made alike, and whether they are from the cache.

        Args:
            are_own: whether each of the rows is made from the sample that was looked for.
        """
        value_bytes = np.where(are_own, self.found.value_bytes[rows], 0)
        start = rows.start
        for kind, run in groupby(value_bytes.tolist()):
            stop = start + sum(1 for _ in run)
            yield slice(start, stop), kind != 0
            start = stop
