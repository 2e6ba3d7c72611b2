"""What goes into a batch beside the images: labels, extra inputs, weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from penstock._types import Array, ArraySpec, Indices, Step


class BatchColumn(Protocol):
    """One array of a batch."""

    @property
    def fits_slot(self) -> bool:
        """False for Python objects, which shared memory cannot hold; they are picked when the batch is delivered."""
        ...

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """Shape and dtype for a batch of `rows`; `images` is what the batch's images look like."""
        ...

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """Write the rows of `step.indices`; `images` are the finished images of the same batch."""
        ...


@dataclass(frozen=True)
class Values:
    """Rows of an array, dtype kept."""

    array: Array

    @property
    def fits_slot(self) -> bool:
        """See `BatchColumn.fits_slot`."""
        return not self.array.dtype.hasobject

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """See `BatchColumn.spec`."""
        return ArraySpec((rows, *self.array.shape[1:]), self.array.dtype)

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """See `BatchColumn.fill`."""
        self.array.take(step.indices, 0, out)  # 1 us, and 2 by an index in brackets


@dataclass(frozen=True)
class Weights:
    """Weights of the samples, and zero for those that only fill up a rank's last step.

    Attributes:
        weights: one for each sample; None for ones.
        dtype: of what goes into the batch.
    """

    weights: Array | None
    dtype: np.dtype[Any]
    fits_slot: ClassVar[bool] = True

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """See `BatchColumn.spec`."""
        return ArraySpec((rows,), self.dtype)

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """See `BatchColumn.fill`."""
        out[...] = 1 if self.weights is None else self.weights[step.indices]
        out[len(out) - step.fillers :] = 0


@dataclass(frozen=True)
class ClassNumbers:
    """Class numbers as floats, as Keras gives them for "sparse" and "binary"."""

    classes: Array
    dtype: np.dtype[Any]
    fits_slot: ClassVar[bool] = True

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """See `BatchColumn.spec`."""
        return ArraySpec((rows,), self.dtype)

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """See `BatchColumn.fill`."""
        out[...] = self.classes[step.indices]


@dataclass(frozen=True)
class OneHot:
    """A one for the class, zeros elsewhere."""

    classes: Array
    class_count: int
    dtype: np.dtype[Any]
    fits_slot: ClassVar[bool] = True

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """See `BatchColumn.spec`."""
        return ArraySpec((rows, self.class_count), self.dtype)

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """See `BatchColumn.fill`."""
        out.fill(0)
        out[np.arange(len(step.indices)), self.classes[step.indices]] = 1


@dataclass(frozen=True)
class MultiHot:
    """A one for each of a sample's classes, zeros elsewhere.

    Attributes:
        numbers: of all samples' classes, one behind the other, int, `(labels,)`.
        starts: where each sample's begin, and where the last one's end, int64, `(samples + 1,)`.
        class_count, dtype: of the rows.
    """

    numbers: Array
    starts: Indices
    class_count: int
    dtype: np.dtype[Any]
    fits_slot: ClassVar[bool] = True

    @classmethod
    def of(cls, classes: Sequence[int | list[int]], class_count: int, dtype: np.dtype[Any]) -> MultiHot:
        """From a number, or a list of numbers, for each sample."""
        labels = [label if isinstance(label, list) else [label] for label in classes]
        starts = np.cumsum([0, *(len(label) for label in labels)])
        return cls(np.array([number for label in labels for number in label], np.intp), starts, class_count, dtype)

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """See `BatchColumn.spec`."""
        return ArraySpec((rows, self.class_count), self.dtype)

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """See `BatchColumn.fill`."""
        out.fill(0)
        for row, index in enumerate(step.indices.tolist()):
            out[row, self.numbers[self.starts[index] : self.starts[index + 1]]] = 1


@dataclass(frozen=True)
class SameImages:
    """A copy of the images themselves, for autoencoders."""

    fits_slot: ClassVar[bool] = True

    def spec(self, rows: int, images: ArraySpec) -> ArraySpec:
        """See `BatchColumn.spec`."""
        return images

    def fill(self, step: Step, images: Array, out: Array) -> None:
        """See `BatchColumn.fill`."""
        out[...] = images
