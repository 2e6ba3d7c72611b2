"""Batches of images: the heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from penstock._errors import BatchError, ImageError
from penstock._types import Array, ArraySpec, BatchSpec, Blobs, FillReport, Step
from penstock.batches._columns import BatchColumn
from penstock.batches._randomness import Randomness
from penstock.batches._scratch import Scratch
from penstock.batches._user_code import seeded_by_sample
from penstock.image._decode import GROUP_BYTES, Loading, decode_groups
from penstock.image._pixels import Pixels
from penstock.image._render import FunctionFailed, Rendering, render
from penstock.sources._arrays import ArraySource
from penstock.sources._files import FileSource


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
        seeds_globals: seed `random` and NumPy's global generator for each sample before the user's function sees it.
        decoded: each worker's memory for files on their way into a batch.
    """

    source: ArraySource | FileSource
    image_shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    batch_size: int
    rendering: Rendering
    randomness: Randomness
    columns: tuple[BatchColumn, ...] = ()
    loading: Loading | None = None
    float_dtype: np.dtype[Any] | type = np.float32
    seeds_globals: bool = False
    decoded: Scratch = field(default_factory=partial(Scratch, GROUP_BYTES), repr=False, compare=False)

    @property
    def spec(self) -> BatchSpec:
        """See `BatchMaker.spec`."""
        images = ArraySpec((self.batch_size, *self.image_shape), self.dtype)
        return BatchSpec((images, *(c.spec(self.batch_size, images) for c in self.columns if c.fits_slot)))

    def alone(self) -> ImageBatches:
        """See `BatchMaker.alone`."""
        return replace(self, seeds_globals=True)

    def read(self, step: Step) -> Blobs:
        """See `BatchMaker.read`."""
        if isinstance(self.source, ArraySource):
            return None
        return self.source.read(step.indices)

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        """See `BatchMaker.fill`."""
        images = out[0]
        fill_images = self._fill_from_arrays if blobs is None else partial(self._fill_from_files, blobs)
        seconds = fill_images(step, images)
        for column, array in zip((c for c in self.columns if c.fits_slot), out[1:], strict=True):
            column.fill(step.indices, images, array)
        return FillReport(len(step.indices), seconds)

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
                column.fill(step.indices, images, complete[-1])
        return complete

    def _fill_from_arrays(self, step: Step, out: Array) -> dict[str, float]:
        assert isinstance(self.source, ArraySource)
        began = perf_counter()
        dtype = self.dtype if self.rendering.rounds_to is not None else None
        images, which = self.source.take(step.indices, dtype)
        pixels = Pixels.of_array(images, which, self.rendering.channels_first)
        transforms = self.randomness.transforms(step, *self._sides())
        try:
            render(self._rendering(step, slice(None)), pixels, transforms, out)
        except FunctionFailed as failure:
            raise _function_error(self._code(), step, failure.args[0], None, failure.__cause__) from failure.__cause__
        return {"transform": perf_counter() - began}

    def _fill_from_files(self, blobs: Blobs, step: Step, out: Array) -> dict[str, float]:
        assert isinstance(self.source, FileSource)
        assert self.loading is not None
        assert blobs is not None
        began = perf_counter()
        transforms = self.randomness.transforms(step, *self._sides())
        decode_s, transform_s = 0.0, perf_counter() - began
        paths = [self.source.paths[index] for index in step.indices.tolist()]
        groups = decode_groups(blobs, paths, self.loading, self.decoded)
        while True:
            began = perf_counter()
            try:
                group, pixels = next(groups)
            except StopIteration:
                break
            except ImageError as error:
                error.index = int(step.indices[paths.index(str(error.path))])
                raise
            decoded = perf_counter()
            try:
                rendering = self._rendering(step, group)
                render(rendering, pixels, transforms[group], out[group], compute_dtype=self.float_dtype)
            except FunctionFailed as failure:
                row = group.start + failure.args[0]
                raise _function_error(self._code(), step, row, paths[row], failure.__cause__) from failure.__cause__
            decode_s, transform_s = decode_s + decoded - began, transform_s + perf_counter() - decoded
        return {"decode": decode_s, "transform": transform_s}

    def _rendering(self, step: Step, rows: slice) -> Rendering:
        """What happens to some of a batch's samples, in their order."""
        if not self.seeds_globals:
            return self.rendering
        seeded = {
            name: seeded_by_sample(function, self.randomness.seed, step.epoch, iter(step.indices[rows].tolist()))
            for name in ("function", "by_image")
            if (function := getattr(self.rendering, name)) is not None
        }
        return replace(self.rendering, **seeded)

    def _code(self) -> str:
        """What the user's code is called."""
        return "`preprocessing_function`" if self.rendering.by_image is None else "your `ImageDataGenerator`"

    def _sides(self) -> tuple[int, int]:
        """Height and width of the finished images."""
        first = 1 if self.rendering.channels_first else 0
        return self.image_shape[first], self.image_shape[first + 1]


def _function_error(what: str, step: Step, row: int, path: str | None, cause: BaseException | None) -> BatchError:
    index = int(step.indices[row])
    return BatchError(
        f"{what} failed on sample {index}{f' ({path!r})' if path else ''}: {type(cause).__name__}: {cause}",
        index=index,
        path=path,
    )
