"""Batches that a user's object makes, one for each number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

from penstock._errors import BatchError
from penstock._types import Array, Blobs, FillReport, Step
from penstock.batches._structure import Structure, flatten, write
from penstock.batches._user_code import pipelines_in, seed_globals


@dataclass(frozen=True)
class SequenceBatches:
    """Batch number n is `data[n]`.

    Attributes:
        data: a Keras Sequence or PyDataset, a list, or anything else that takes a number.
        seed: for what the object draws from global generators.
        seeds_globals: seed these before each batch.
    """

    data: Any
    seed: int
    seeds_globals: bool = False
    spec: None = None
    is_joinable: ClassVar[bool] = False

    def alone(self) -> SequenceBatches:
        """See `BatchMaker.alone`."""
        return replace(self, seeds_globals=True)

    def read(self, step: Step) -> Blobs:
        """See `BatchMaker.read`; the object does both."""
        return None

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        """See `BatchMaker.fill`. What does not fit into `out` is returned as it is."""
        (number,) = step.indices.tolist()
        began = perf_counter()
        if self.seeds_globals:
            seed_globals(self.seed, step.epoch, number, pipelines_in(self.data))
        batch = self.data[number]
        check_batch(batch, f"batch {number} of `{type(self.data).__name__}`")
        return report_of(*flatten(batch), out, began)


def check_batch(batch: Any, what: str) -> None:
    """Refuse what is no batch.

    Args:
        what: it is, for the error.

    Raises:
        BatchError: it is None, or empty.
    """
    if batch is None or (isinstance(batch, tuple | list | dict) and not batch):
        raise BatchError(f"{what} is {batch!r}, and a batch should be an array, or a tuple, list or dict of arrays")


def report_of(structure: Structure, leaves: list[Any], out: Sequence[Array], began: float) -> FillReport:
    """A user's batch, written into `out`, or in the report as it is.

    Args:
        structure, leaves: of the batch, as `flatten` gives them.
        began: when the user's code was called, by `perf_counter`.
    """
    rows = write(leaves, list(out)) if out else None
    return FillReport(
        _samples_in(leaves),
        {"make": perf_counter() - began},
        objects=leaves if rows is None else None,
        rows=rows,
        structure=structure,
    )


def _samples_in(leaves: list[Any]) -> int:
    """The rows of the first leaf that has any."""
    return next((len(leaf) for leaf in leaves if getattr(leaf, "shape", ())), 1)
