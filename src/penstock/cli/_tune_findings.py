"""What the process that measures is asked for, and what it tells, step by step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from penstock.bench._measure import Reading
from penstock.cli._file_reads import FileReads
from penstock.cli._tune_choice import Measured

QUEUE_BATCHES = 10  # that the recommended line asks for, as by default: a longer queue is not faster


@dataclass(frozen=True)
class TuneJob:
    """What to measure.

    Attributes:
        directory: class folders of images, or images.
        size: `(height, width)` in pixels that they are resized to.
        batch_size: images in a batch.
        interpolation: as `flow_from_directory` takes it.
        seconds: until all has to be measured.
    """

    directory: str
    size: tuple[int, int]
    batch_size: int
    interpolation: str
    seconds: float

    def to_json(self) -> str:
        """For the command line of the process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read one."""
        fields = json.loads(text)
        return cls(**{**fields, "size": tuple(fields["size"])})


@dataclass(frozen=True)
class Ready:
    """Keras is loaded, the kernels are compiled; the time begins."""


@dataclass(frozen=True)
class FoundImages:
    """What the folder holds.

    Attributes:
        images: how many.
        classes: how many folders they are in; 0 for images that lie in no class folder.
    """

    images: int
    classes: int


@dataclass(frozen=True)
class FirstPass:
    """Files that nobody has read since the program began.

    Attributes:
        images: that were read.
        images_per_s: of them, the start of the workers included.
        workers: that read.
        reads: where the bytes came from; None if that cannot be told.
        batch_size: images in a batch, here and from now on: the user's, or fewer where those would take too long.
        queue_batch_bytes: memory of a batch of the user's size.
    """

    images: int
    images_per_s: float
    workers: int
    reads: FileReads | None
    batch_size: int
    queue_batch_bytes: int


@dataclass(frozen=True)
class WorkersReading:
    """One number of workers in one round.

    Attributes:
        workers: how many.
        reading: images per second, and who used the processor.
        reads: where the bytes came from; None if that cannot be told.
    """

    workers: int
    reading: Reading
    reads: FileReads | None


@dataclass(frozen=True)
class Done:
    """The time is up; the last word."""


Finding = Ready | FoundImages | FirstPass | WorkersReading | Done


def by_workers(readings: Sequence[WorkersReading]) -> tuple[Measured, ...]:
    """The readings of each number of workers together, in the order of the numbers."""
    grouped: dict[int, list[Reading]] = {}
    for each in readings:
        grouped.setdefault(each.workers, []).append(each.reading)
    return tuple(
        Measured(
            workers,
            tuple(reading.value for reading in grouped[workers]),
            tuple(reading.own_cores for reading in grouped[workers]),
            tuple(reading.others_cores for reading in grouped[workers]),
        )
        for workers in sorted(grouped)
    )
