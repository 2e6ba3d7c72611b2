"""One batch of images under way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from penstock._errors import BatchError, ImageError
from penstock._types import Array, Blobs, Indices, Step
from penstock.batches._cache import Collector, FoundBlobs, ImageCache
from penstock.batches._tolerance import RowFailed
from penstock.batches._user_code import seeded_by_sample
from penstock.image._decode import Loading, decode_groups
from penstock.image._draw import Transforms
from penstock.image._pixels import Pixels
from penstock.image._render import FunctionFailed, Rendering, render
from penstock.sources._arrays import ArraySource
from penstock.sources._encoded import EncodedSource


@dataclass(frozen=True)
class ImageRows:
    """Makes rows of a batch, from the batch's own samples or from others.

    A row's parameters, and what a user's function draws for it, are those of the step's sample, whatever sample it is
    made from: one that stands in for another looks different from itself.

    Attributes:
        source, rendering, loading, dtype: as in `ImageBatches`; `dtype` is what rows are computed in.
        step: the batch. transforms: a row of parameters for each of its rows.
        blobs: bytes of each of its files; None for arrays.
        out: gets the images.
        decoded: gives memory for files on their way there.
        seed: for what a user's function draws from global generators; None to leave them alone.
        cache: of decoded images, for blobs that come with what it has; None for none.
        collector: takes those that it has not; None if it takes no more.
        seconds: what it took, by stage.
    """

    source: ArraySource | EncodedSource
    rendering: Rendering
    loading: Loading | None
    dtype: np.dtype[Any] | type
    step: Step
    transforms: Transforms
    blobs: Blobs
    out: Array
    decoded: Callable[[int], Array]
    seed: int | None
    cache: ImageCache | None = None
    collector: Collector | None = None
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def make(self, rows: slice, samples: Indices) -> None:
        """Make some rows.

        Args:
            samples: one for each row of the batch.

        Raises:
            RowFailed: one of them could not be made.
        """
        if isinstance(self.source, ArraySource):
            self._from_arrays(self.source, rows, samples[rows])
            return
        if self.cache is None or not isinstance(self.blobs, FoundBlobs):
            self._from_files(self.source, rows, samples[rows])
            return
        for run, is_cached in self.blobs.runs(rows, samples[rows] == self.step.indices[rows]):
            if is_cached:
                self._from_cache(self.cache.pixels(self.blobs.found, run), self.source, run, samples[run])
            else:
                self._from_files(self.source, run, samples[run])

    def _from_arrays(self, source: ArraySource, rows: slice, samples: Indices) -> None:
        began = perf_counter()
        images, which = source.take(samples, self.rendering.rounds_to)
        pixels = Pixels.of_array(images, which, self.rendering.channels_first)
        try:
            render(self._rendering(rows), pixels, self.transforms[rows], self.out[rows])
        except FunctionFailed as failure:
            raise self._failed(rows, failure, int(samples[failure.args[0]]), None) from None
        self.seconds["transform"] += perf_counter() - began

    def _from_cache(self, pixels: Pixels, source: EncodedSource, rows: slice, samples: Indices) -> None:
        began = perf_counter()
        try:
            render(self._rendering(rows), pixels, self.transforms[rows], self.out[rows], compute_dtype=self.dtype)
        except FunctionFailed as failure:
            index = int(samples[failure.args[0]])
            raise self._failed(rows, failure, index, source.names[index]) from None
        self.seconds["transform"] += perf_counter() - began

    def _from_files(self, source: EncodedSource, rows: slice, samples: Indices) -> None:
        assert self.loading is not None
        made = rows.start
        blobs = self._read(source, rows, samples)
        paths = [source.names[index] for index in samples.tolist()]
        groups = decode_groups(blobs, paths, self.loading, self.decoded)
        while True:
            began = perf_counter()
            try:
                group, pixels = next(groups)
            except StopIteration:
                return
            except ImageError as error:
                row = paths.index(str(error.path), made - rows.start)
                error.index = int(samples[row])
                raise RowFailed(rows.start + row, made, error) from None
            its_rows = slice(rows.start + group.start, rows.start + group.stop)
            pixels = self._collected(its_rows, samples[group], pixels)
            decoded = perf_counter()
            try:
                rendering, transforms = self._rendering(its_rows), self.transforms[its_rows]
                render(rendering, pixels, transforms, self.out[its_rows], compute_dtype=self.dtype)
            except FunctionFailed as failure:
                row = group.start + failure.args[0]
                raise self._failed(its_rows, failure, int(samples[row]), paths[row]) from None
            made = its_rows.stop
            self.seconds["decode"] += decoded - began
            self.seconds["transform"] += perf_counter() - decoded

    def _collected(self, rows: slice, samples: Indices, pixels: Pixels) -> Pixels:
        """Decoded images, on their way to the cache if there is one."""
        if self.collector is None or not isinstance(self.blobs, FoundBlobs):
            return pixels
        stamps = self.blobs.found.stamps[rows]
        # One that stands in for another was not looked for.
        are_own = samples == self.step.indices[rows]
        return self.collector.take(samples, np.where(are_own[:, None], stamps, -1), pixels)

    def _read(self, source: EncodedSource, rows: slice, samples: Indices) -> list[bytes | memoryview]:
        """The bytes of each row's file."""
        assert self.blobs is not None
        blobs: list[Any] = []
        for row, index in zip(range(rows.start, rows.stop), samples, strict=True):
            blob = self.blobs[row] if index == self.step.indices[row] else source.attempt(np.array([index]))[0]
            if isinstance(blob, BatchError):
                raise RowFailed(row, rows.start, blob)
            blobs.append(blob)
        return blobs

    def _rendering(self, rows: slice) -> Rendering:
        """What happens to some of the batch's rows, in their order."""
        if self.seed is None:
            return self.rendering
        numbers = self.step.indices[rows].tolist()
        seeded = {
            name: seeded_by_sample(function, self.seed, self.step.epoch, iter(numbers))
            for name in ("function", "by_image")
            if (function := getattr(self.rendering, name)) is not None
        }
        return replace(self.rendering, **seeded)

    def _failed(self, rows: slice, failure: FunctionFailed, index: int, path: str | None) -> RowFailed:
        """What to say of a user's function that failed."""
        cause = failure.__cause__
        what = "`preprocessing_function`" if self.rendering.by_image is None else "your `ImageDataGenerator`"
        named = f" ({path!r})" if path else ""
        error = BatchError(
            f"{what} failed on sample {index}{named}: {type(cause).__name__}: {cause}", index=index, path=path
        )
        error.__cause__ = cause
        return RowFailed(rows.start + failure.args[0], rows.start, error)
