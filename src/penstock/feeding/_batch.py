"""What a feeder hands out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from penstock._types import Array, BadSample, FillReport, Step


@dataclass(frozen=True)
class Batch:
    """A batch that is made.

    Attributes:
        step: who is in it.
        arrays: its pieces.
        structure: how they are put together, if the maker says it.
        bad: samples that were left out or replaced.
        notes: what the user should be told once.
    """

    step: Step
    arrays: list[Any]
    structure: Any = None
    bad: tuple[BadSample, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, step: Step, arrays: list[Array], report: FillReport) -> Batch:
        """From the memory that a maker was given, and what it says of that."""
        pieces: list[Any] = arrays if report.objects is None else report.objects
        if report.rows is not None:
            pieces = [array[:rows] for array, rows in zip(arrays, report.rows, strict=True)]
        if report.indices is not None:
            step = replace(step, indices=report.indices)
        return cls(step, pieces, report.structure, report.bad, report.notes)
