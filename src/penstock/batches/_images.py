"""Batches of images: the heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from time import perf_counter
from typing import Any

import numpy as np

from penstock._errors import ImageError
from penstock._scratch import Scratch
from penstock._types import Array, ArraySpec, BatchSpec, Blobs, FillReport, Indices, Step
from penstock.batches._cache import FoundBlobs, ImageCache
from penstock.batches._columns import BatchColumn
from penstock.batches._image_rows import ImageRows
from penstock.batches._randomness import Randomness
from penstock.batches._tolerance import RowFailed, Tolerance, make_rows
from penstock.image._decode import GROUP_BYTES, Loading
from penstock.image._draw import Transforms
from penstock.image._render import Rendering
from penstock.sources._arrays import ArraySource
from penstock.sources._encoded import EncodedSource, Interruptible, whole
from penstock.sources._files import FileSource

_MOST_ENCODED_BYTES = 64 << 20  # 32 photographs of 12 million pixels
_MOST_DECODED_BYTES = 64 << 20  # a photograph of 22 million pixels, or an eighth of one and its file


@dataclass(frozen=True)
class ImageBatches:
    """Makes batches of images, with what goes beside them.

    Attributes:
        source: where the images are.
        image_shape: of one finished image.
        dtype: of the finished images.
        batch_size: images in a full batch.
        rendering, randomness: what happens to each image.
        columns: the batch's other arrays: extra inputs, then targets, then weights.
        loading: how files become arrays; None for arrays.
        float_dtype: what files are computed in, whatever `dtype` they end in, as Keras does.
        tolerance: what becomes of samples that cannot be made; None for an error.
        cache: keeps decoded and resized files; None for none.
        seeds_globals: seed `random` and NumPy's global generator for each sample before the user's function sees it.
        encoded, decoded: each worker's memory for files on their way into a batch.
    """

    source: ArraySource | EncodedSource
    image_shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    batch_size: int
    rendering: Rendering
    randomness: Randomness
    columns: tuple[BatchColumn, ...] = ()
    loading: Loading | None = None
    float_dtype: np.dtype[Any] | type = np.float32
    tolerance: Tolerance | None = None
    cache: ImageCache | None = None
    seeds_globals: bool = False
    encoded: Scratch = field(default_factory=partial(Scratch, 0, _MOST_ENCODED_BYTES), repr=False, compare=False)
    decoded: Scratch = field(
        default_factory=partial(Scratch, GROUP_BYTES, _MOST_DECODED_BYTES), repr=False, compare=False
    )

    @cached_property
    def spec(self) -> BatchSpec:
        """See `BatchMaker.spec`."""
        images = ArraySpec((self.batch_size, *self.image_shape), self.dtype)
        return BatchSpec((images, *(c.spec(self.batch_size, images) for c in self._slotted)))

    @cached_property
    def _slotted(self) -> tuple[BatchColumn, ...]:
        """The columns that `fill` writes."""
        return tuple(column for column in self.columns if column.fits_slot)

    @property
    def is_joinable(self) -> bool:
        """See `BatchMaker.is_joinable`."""
        return not self.randomness.follows_batches

    def alone(self) -> ImageBatches:
        """See `BatchMaker.alone`."""
        return replace(self, seeds_globals=True)

    def read(self, step: Step) -> Blobs:
        """See `BatchMaker.read`."""
        if isinstance(self.source, ArraySource):
            return None
        if self.cache is None:
            return self._blobs(self.source, step.indices)
        found = self.cache.store.find(step.indices)
        return FoundBlobs(found, self._blobs(self.source, step.indices[found.missing]) if len(found.missing) else ())

    def interrupt(self) -> None:
        """Let those fail that wait for files at once; takes no lock."""
        if isinstance(self.source, Interruptible):
            self.source.interrupt()

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        """See `BatchMaker.fill`."""
        began = perf_counter()
        collector = None if self.cache is None else self.cache.collector()
        rows = ImageRows(
            self.source,
            self.rendering,
            self.loading,
            self.float_dtype,
            step,
            self.transforms(step),
            blobs,
            out[0],
            self.decoded,
            self.randomness.seed if self.seeds_globals else None,
            self.cache,
            collector,
        )
        rows.seconds["transform"] = perf_counter() - began
        # A function of the user's may come back for another batch of this flow, in this thread.
        was_lent, self.encoded.is_lent = self.encoded.is_lent, True
        try:
            made = make_rows(rows.make, step.indices, len(self.source), self._tolerance(step))
        except RowFailed as failed:
            raise failed.error from failed.error.__cause__
        finally:
            self.encoded.is_lent = was_lent
            if collector is not None:
                began = perf_counter()
                collector.keep()
                rows.seconds["decode"] += perf_counter() - began
        if made.kept is not None:
            out = [array[: len(made.kept)] for array in out]
            out[0][:] = rows.out[made.kept]
        if made.indices is not step.indices:
            step = replace(step, indices=made.indices)
        for column, array in zip(self._slotted, out[1:], strict=True):
            column.fill(step, out[0], array)
        return FillReport(
            len(made.indices),
            dict(rows.seconds),
            rows=tuple(map(len, out)) if made.kept is not None else None,
            indices=made.indices if made.bad else None,
            bad=made.bad,
            cache_hits=len(blobs) - len(blobs.found.missing) if isinstance(blobs, FoundBlobs) else 0,
            notes=() if self.cache is None else self.cache.store.complaints,
        )

    def transforms(self, step: Step) -> Transforms:
        """The parameters that are drawn for a batch, a row for each of its samples."""
        return self.randomness.transforms(step, *self._sides())

    def assemble(self, step: Step, arrays: Sequence[Array]) -> list[Array]:
        """All arrays of a batch in order: those from `fill`, and the Python objects that no slot can hold."""
        images, *others = arrays
        complete = [images]
        for column in self.columns:
            if column.fits_slot:
                complete.append(others.pop(0))
            else:
                objects = column.spec(len(step.indices), ArraySpec(images.shape, images.dtype))
                complete.append(np.empty(objects.shape, objects.dtype))
                column.fill(step, images, complete[-1])
        return complete

    def _blobs(self, source: EncodedSource, indices: Indices) -> Sequence[bytes | memoryview | ImageError]:
        """The bytes of each of some samples; only those of files are read into memory that is used again."""
        scratch = None if self.encoded.is_lent else self.encoded
        blobs = source.attempt(indices, scratch) if isinstance(source, FileSource) else source.attempt(indices)
        return whole(blobs) if self.tolerance is None else blobs

    def _tolerance(self, step: Step) -> Tolerance | None:
        # Any sample will do for a batch that does not count, and it must not be empty.
        return Tolerance("substitute") if step.fills_up and self.tolerance is not None else self.tolerance

    def _sides(self) -> tuple[int, int]:
        """Height and width of the finished images."""
        first = 1 if self.rendering.channels_first else 0
        return self.image_shape[first], self.image_shape[first + 1]
