"""Batches that a generator yields, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, final

from penstock._errors import BatchError
from penstock._types import Array, Blobs, FillReport, Step
from penstock.batches._sequence import delivered
from penstock.batches._structure import Structure
from penstock.batches._user_code import pipelines_in, seed_globals

END = Structure(type(None))
"""The structure of the report that follows a generator's last batch."""


@final
class GeneratorBatches:
    """Batch number n is the n-th that a generator yields; one worker at a time can make them, in their order.

    Args:
        start: makes the generator.
        again: call `start` anew when it is over, without end; else the batches end with it.
        seed: for what the code draws from global generators.
    """

    spec = None

    def __init__(self, start: Callable[[], Iterator[Any]], *, again: bool, seed: int) -> None:
        self._start = start
        self._again = again
        self._seed = seed
        self._seeds_globals = False
        self._batches: Iterator[Any] | None = None
        self._yielded = 0
        # Asked for again, as after an interrupt, a batch has to be the same one.
        self._kept: dict[int, Any] = {}
        self._failure: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_batches": None, "_yielded": 0, "_kept": {}, "_failure": None}

    def alone(self) -> GeneratorBatches:
        """See `BatchMaker.alone`. The generator begins anew, and what was yielded before is passed over."""
        maker = GeneratorBatches(self._start, again=self._again, seed=self._seed)
        maker._seeds_globals = True
        return maker

    def read(self, step: Step) -> Blobs:
        """See `BatchMaker.read`; the generator does both."""
        return None

    def forget(self, before: int) -> None:
        """Batches up to a number have been delivered, and will not be asked for again."""
        for number in tuple(self._kept):
            if number < before:
                del self._kept[number]

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        """See `BatchMaker.fill`. What does not fit into `out` is returned as it is."""
        began = perf_counter()
        try:
            batch = self._batch(step.number)
        except StopIteration:
            return FillReport(0, objects=[], structure=END)
        # Old recipes refill one array for each batch, and would overwrite what is in the queue.
        return delivered(batch, step.number, "generator", out, began, copied=True)

    def _batch(self, number: int) -> Any:
        if number < self._yielded and number not in self._kept:  # of a process that began in the middle
            self._batches, self._yielded = None, 0
        while self._yielded <= number:
            self._kept[self._yielded] = self._next()
            self._yielded += 1
            if self._seeds_globals:  # alone in its process, it is asked for each batch once
                self.forget(number)
        return self._kept[number]

    def _next(self) -> Any:
        if self._seeds_globals:
            seed_globals(self._seed, 0, self._yielded, pipelines_in(self._start))
        if self._failure is not None:  # a generator that has failed ends, and that would pass for its end
            raise self._failure
        try:
            if self._batches is None:
                self._batches = iter(self._start())
            return next(self._batches)
        except StopIteration:
            if not self._again:
                raise
        except Exception as error:
            self._failure = error
            raise
        self._batches = iter(self._start())
        for batch in self._batches:
            return batch
        raise BatchError(f"the generator that `{_name(self._start)}` made ended before its first batch")


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
