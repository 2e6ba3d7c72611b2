"""The nouns that all rooms share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from penstock._pending import Pending

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]
Trace = Callable[[str], AbstractContextManager[Any]]
"""Makes a span of a profiler by its name, around what is done in it; `contextlib.nullcontext` for none."""
Blobs = Sequence[bytes | memoryview | Exception] | None
"""What `BatchMaker.read` hands to `fill`: the bytes of each sample, or why there are none; None without files."""


@dataclass(frozen=True)
class Step:
    """Who is in one batch.

    Attributes:
        epoch: from 0.
        number: of the batch within its epoch, from 0.
        steps_per_epoch: batches in an epoch.
        indices: the samples, int64, `(samples,)`; fewer in an epoch's last batch.
        fillers: how many samples at its end are another rank's, and there only so that all ranks have as many steps, or
            rows.
    """

    epoch: int
    number: int
    steps_per_epoch: int
    indices: Indices
    fillers: int = 0

    @property
    def fills_up(self) -> bool:
        """Whether no sample of it is this rank's own."""
        return 0 < self.fillers == len(self.indices)

    @property
    def position(self) -> int:
        """Number of this batch in the endless stream in the plan's own order, from 0."""
        return self.epoch * self.steps_per_epoch + self.number

    def __str__(self) -> str:
        """For messages."""
        return f"batch {self.number} of epoch {self.epoch}"

    def __reduce__(self) -> tuple[Any, ...]:
        # 4 us there and back instead of 16, for each batch that a process makes.
        return _step, (self.epoch, self.number, self.steps_per_epoch, self.indices.tobytes(), self.fillers)


def _step(epoch: int, number: int, steps_per_epoch: int, indices: bytes, fillers: int) -> Step:
    return Step(epoch, number, steps_per_epoch, np.frombuffer(indices, np.int64).copy(), fillers)


@dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of one array of a full batch."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class BatchSpec:
    """Every array of a full batch, in the order in which `BatchMaker.fill` takes them."""

    arrays: tuple[ArraySpec, ...]

    @property
    def nbytes(self) -> int:
        """Size of a full batch in bytes."""
        return sum(array.nbytes for array in self.arrays)

    @classmethod
    def of(cls, pieces: Sequence[Any]) -> BatchSpec | None:
        """What such a batch takes; None if a piece is no array of numbers, or has no rows."""
        if not all(isinstance(piece, np.ndarray) and piece.ndim and not piece.dtype.hasobject for piece in pieces):
            return None
        return cls(tuple(ArraySpec(piece.shape, piece.dtype) for piece in pieces))

    def with_rows(self, rows: int) -> BatchSpec:
        """The same arrays for a batch of another size."""
        return BatchSpec(tuple(ArraySpec((rows, *array.shape[1:]), array.dtype) for array in self.arrays))


@dataclass(frozen=True)
class BadSample:
    """A sample that could not be made, and that `on_error` has an answer for.

    Attributes:
        index: its number in its source.
        path: its file; None for arrays.
        reason: the error's words.
        stand_in: number of the sample that took its place; None if it was left out.
    """

    index: int
    path: str | None
    reason: str
    stand_in: int | None = None


class FillReport(NamedTuple):
    """What making one batch took: a tuple, since a frozen dataclass takes 1 us longer, twice a batch.

    Attributes:
        samples: rows written.
        seconds: time per stage, by name ("read", "decode", "transform").
        objects: the batch itself, piece by piece, where it is in no slot; else None.
        rows: how much of each array is used; None for all of it.
        structure: how the pieces are put together, where that is not known beforehand.
        indices: the samples that are in it, where they differ from the step's.
        bad: samples that were left out or replaced.
        cpu_s: what of the time the worker's thread computed; the rest it waited, or had others compute.
        cache_hits: samples that were decoded before.
        notes: what the user should be told once, each a sentence or two.
    """

    samples: int
    seconds: dict[str, float]
    objects: list[Any] | None = None
    rows: tuple[int, ...] | None = None
    structure: Any = None
    indices: Indices | None = None
    bad: tuple[BadSample, ...] = ()
    cpu_s: float = 0.0
    cache_hits: int = 0
    notes: tuple[str, ...] = ()

    def timed(self, read_s: float, cpu_s: float) -> FillReport:
        """The same with what reading and computing took."""
        return self._replace(seconds={"read": read_s, **self.seconds}, cpu_s=cpu_s)


class WorkerId(NamedTuple):
    """What the system knows a worker by.

    Attributes:
        pid: number of its process.
        thread: its number in that process, if it is a thread of it; None for the whole process.
    """

    pid: int
    thread: int | None = None


class BatchMaker(Protocol):
    """Makes batch after batch: pure in (maker, step), picklable, the same bytes in any worker at any time."""

    @property
    def spec(self) -> BatchSpec | None:
        """Shape and dtype of every array of a full batch; None if only a batch can tell."""
        ...

    @property
    def is_joinable(self) -> bool:
        """Whether batches of one epoch may be made as one, since what becomes of a sample does not depend on its batch.

        Its spec is known, then, and all arrays have a row for each sample.
        """
        ...

    def alone(self) -> BatchMaker:
        """The same maker for a process of its own, which makes one batch at a time.

        There it seeds the global generators of `random` and NumPy before it calls a user's code.
        """
        ...

    def read(self, step: Step) -> Blobs:
        """The bytes of each sample; None for arrays in memory."""
        ...

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        """Write the batch into `out`, whose arrays have as many rows as `step.indices`."""
        ...


class Executor(Protocol):
    """Runs `maker.read` and `maker.fill` somewhere."""

    @property
    def workers(self) -> int:
        """Batches made at a time; 0 means in the caller's thread, by `submit` itself."""
        ...

    @property
    def is_elsewhere(self) -> bool:
        """Whether what a maker returns is copied on its way here, so that memory from `allocate` is worth its while."""
        ...

    @property
    def why_silent(self) -> str:
        """Why a batch may not come in time, and what to do, in a sentence or two."""
        ...

    @property
    def waits_for_lock(self) -> bool:
        """Whether its threads wait for the interpreter lock most of the time, so that processes would do better."""
        ...

    @property
    def worker_ids(self) -> Sequence[WorkerId]:
        """The workers as far as they are known by now; those of a user's pool while they are at a batch."""
        ...

    def is_worker(self) -> bool:
        """Whether the calling thread is one of this executor's workers."""
        ...

    def start(self, maker: BatchMaker) -> None:
        """Get ready to make batches with `maker`."""
        ...

    def renew(self, maker: BatchMaker) -> None:
        """Make what is submitted from now on with the maker as it is now; nothing may be under way."""
        ...

    def resize(self, workers: int) -> None:
        """Go on with another number of workers, from 1 on; what is under way is not touched.

        Raises:
            NotImplementedError: the number cannot change.
        """
        ...

    def is_outdated(self, maker: BatchMaker) -> bool:
        """Whether workers have the maker as it was; those of this process always have it as it is."""
        ...

    def allocate(self, nbytes: int) -> Array:
        """Aligned memory that the workers can write to, uint8, `(nbytes,)`."""
        ...

    def submit(self, step: Step, out: Sequence[Array]) -> Pending[FillReport]:
        """Make one batch into `out`, best in memory from `allocate`."""
        ...

    def close(self) -> None:
        """Free everything; may be called twice."""
        ...
