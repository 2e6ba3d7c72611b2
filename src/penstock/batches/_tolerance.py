"""What becomes of samples that cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from penstock._errors import BatchError
from penstock._types import BadSample, Indices

Make = Callable[[slice, Indices], None]
_TRIES = 100  # stand-ins that are bad, too; after so many it is the user's function, or the disk, and no bad file


class RowFailed(Exception):
    """A row of a batch could not be made.

    Attributes:
        row: of the batch, from 0.
        first: rows before it are finished, so far as they were asked for.
        error: what the user is told.
    """

    def __init__(self, row: int, first: int, error: BatchError) -> None:
        super().__init__(row, first, error)
        self.row = row
        self.first = first
        self.error = error


@dataclass(frozen=True)
class Tolerance:
    """The policy, and who may stand in for whom.

    Attributes:
        answer: leave a bad sample out, or put the next good one of its kind into its place.
        kinds: a number for each sample, int, `(samples,)`; None if all are of one kind.
    """

    answer: Literal["skip", "substitute"]
    kinds: Indices | None = None

    @classmethod
    def of(cls, on_error: str, labels: Any) -> Tolerance | None:
        """From the user's word; None for "raise".

        Args:
            labels: a number, a row of numbers or a list for each sample; None if they have none.
        """
        if on_error == "raise":
            return None
        return cls("skip") if on_error == "skip" else cls("substitute", _kinds(labels))

    def stand_ins(self, index: int, samples: int) -> Iterator[int]:
        """The samples of the same kind that follow one in the source's order, the first ones after the last.

        To one that is the only one of its kind all are alike: it is more likely a number to predict than a class.
        """
        same = np.delete(np.arange(samples), index)
        if self.kinds is not None and (of_kind := same[self.kinds[same] == self.kinds[index]]).size:
            same = of_kind
        following = np.roll(same, -int(np.searchsorted(same, index)))
        yield from following[:_TRIES].tolist()


@dataclass(frozen=True)
class Made:
    """What became of the rows of a batch.

    Attributes:
        indices: the samples that have been made, without those left out.
        bad: those that could not be made.
        kept: the rows that they are in; None for all.
    """

    indices: Indices
    bad: tuple[BadSample, ...] = ()
    kept: Indices | None = None


def make_rows(make: Make, indices: Indices, samples: int, tolerance: Tolerance | None) -> Made:
    """Make the rows of a batch, around those that cannot be made.

    Args:
        make: makes some rows, given a sample for each row of the batch, or raises `RowFailed`.
        indices: the batch's samples.
        samples: how many the source has.
        tolerance: None if every sample has to be made.

    Raises:
        RowFailed: one has to be, and was not; or nothing could stand in for it; or all would be left out.
    """
    todo = [slice(0, len(indices))]
    if tolerance is None:
        make(todo[0], indices)
        return Made(indices)
    used, bad, left_out = indices.copy(), [], []
    while todo:
        rows = todo.pop()
        if rows.start >= rows.stop:
            continue
        try:
            make(rows, used)
        except RowFailed as failed:
            # The last one in is the first one out: rows are made in their order.
            todo += [slice(failed.row + 1, rows.stop), slice(failed.first, failed.row)]
            stand_in = None
            if tolerance.answer == "substitute":
                stand_in = _put_another(make, used, samples, tolerance, failed)
            else:
                left_out.append(failed.row)
            if len(left_out) == len(indices):
                failed.error.add_note(
                    f'on_error="skip" would leave nothing of this batch of {len(indices)}. Use larger batches, or '
                    'on_error="substitute".'
                )
                raise
            bad.append(BadSample(int(indices[failed.row]), failed.error.path, str(failed.error), stand_in))
    kept = np.delete(np.arange(len(used)), left_out) if left_out else None
    return Made(used if kept is None else used[kept], tuple(bad), kept)


def _put_another(make: Make, used: Indices, samples: int, tolerance: Tolerance, failed: RowFailed) -> int:
    row = slice(failed.row, failed.row + 1)
    for other in tolerance.stand_ins(int(used[failed.row]), samples):
        used[failed.row] = other
        try:
            make(row, used)
        except RowFailed:
            continue
        return other
    failed.error.add_note(
        'on_error="substitute" found no other sample of its class that could be made, of those that follow it. Replace '
        "or remove them, or mend the function that fails on them."
    )
    raise failed


def _kinds(labels: Any) -> Indices | None:
    if labels is None:
        return None
    if isinstance(labels, list):  # several classes for a file
        numbers: dict[tuple[int, ...], int] = {}
        keys = [tuple(np.atleast_1d(label).tolist()) for label in labels]
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    values = np.asarray(labels)
    if values.dtype.hasobject or values.ndim > 2:
        return None  # masks and other pictures are no classes
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        return None  # and neither are measurements
    found, kinds = np.unique(values.reshape(len(values), -1), axis=0, return_inverse=True)
    # Numbers to be predicted are no classes, and next to no two samples share one.
    return None if len(found) == len(values) else kinds.reshape(-1).astype(np.int64)
