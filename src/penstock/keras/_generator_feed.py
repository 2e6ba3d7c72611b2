"""`feed` of a generator, or of a function that makes some: producers ahead of the consumer."""

from __future__ import annotations

import copy
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from penstock._errors import BatchError, WorkerError
from penstock._types import WorkerId
from penstock.batches._part import END, Part
from penstock.batches._rotation import Rotation
from penstock.batches._structure import Structure, check_alike, unflatten
from penstock.feeding._stats import FeedStats
from penstock.keras._asker import Asker, is_keras_asking
from penstock.keras._containers import for_keras
from penstock.keras._fed_dataset import FedDataset
from penstock.keras._feeding import Feeding
from penstock.keras._passes import Passes
from penstock.keras._producers import Producers, check_feeding, workers_for


class GeneratorFeed(FedDataset):
    """The batches of generators, made ahead; `feed` makes one.

    It has no length: `fit` needs `steps_per_epoch`, and goes on where it stopped. A plain generator ends, and with it a
    loop over this; a function is called for another generator whenever one ends, or for all parts when all have ended.

    A generator that has failed cannot go on, and neither can this: asked again, it raises the same error.
    """

    def __init__(self, parts: Sequence[Part], feeding: Feeding) -> None:
        check_feeding(parts, feeding)
        super().__init__(feeding)
        self._parts = parts
        self._lock = threading.RLock()
        self._passes = Passes()
        self._peeked: deque[Any] = deque()
        self._rotation = Rotation.of(range(len(parts)))
        self._position = 0
        self._structure: Structure | None = None
        self._is_over = False
        self._failure: BatchError | None = None
        self._stats = FeedStats()
        self._producers: Producers | None = None

    @property
    def most_workers(self) -> int:
        """One for each part."""
        return self.parts

    @property
    def num_batches(self) -> None:
        """None: nobody knows how many there are."""
        return None

    @property
    def parts(self) -> int:
        """Generators that take turns, as many as can be asked at a time; 1 for a plain one."""
        return len(self._parts)

    def __next__(self) -> Any:
        self._check_caller()
        with self._lock:
            return self._peeked.popleft() if self._peeked else self._taken()

    def __getitem__(self, idx: int) -> Any:
        self._check_caller()
        frame = sys._getframe(1)
        batch = self._answered(self._passes.of(frame).asker, idx)
        return for_keras(batch) if is_keras_asking(frame) else batch

    def digest(self, epoch: int = 0, *, batches: int | None = None) -> str:
        """There is none, since a generator's batches have no numbers to ask for them by.

        Raises:
            TypeError: in any case.
        """
        del epoch, batches
        raise TypeError(
            "`digest` should be of batches that can be made once more, and a generator yields each of them once. Feed "
            "an object with `__len__` and `__getitem__` instead."
        )

    def on_epoch_begin(self) -> None:
        """Keras says what it is about to do."""
        self._passes.epoch_begins(sys._getframe(1))

    def close(self) -> None:
        """End the producers and free the memory; may be called twice. Batches already delivered stay valid."""
        self._closed = True
        producers = self._producers  # no lock: a thread that waits for a batch holds it, and is to be woken
        if producers is not None:
            producers.close()

    @property
    def stats(self) -> FeedStats:
        """What feeding has cost so far."""
        producers = self._producers
        stats = self._stats if producers is None else self._stats + producers.stats
        return replace(stats, batches=self._position)  # and not the words of an end

    @property
    def is_running(self) -> bool:
        """See `FedDataset.is_running`."""
        return self._producers is not None and not (self._closed or self._is_over)

    @property
    def worker_ids(self) -> Sequence[WorkerId]:
        """See `FedDataset.worker_ids`."""
        producers = self._producers
        return () if producers is None else producers.worker_ids

    @property
    def waits_for_lock(self) -> bool:
        """See `FedDataset.waits_for_lock`."""
        producers = self._producers
        return producers is not None and producers.waits_for_lock

    @property
    def total_batches_seen(self) -> int:
        """Batches that have been delivered."""
        return self._position - len(self._peeked)

    def _parse_workers(self, workers: Any) -> int:
        return workers_for(self.parts, workers)

    def _answered(self, asker: Asker, number: int) -> Any:
        """The next batch; to a look at the first ones, these, which stay the next ones."""
        with self._lock:
            try:
                if asker is not Asker.PEEK:
                    return self._peeked.popleft() if self._peeked else self._taken()
                while len(self._peeked) <= number:
                    self._peeked.append(self._taken())
                return self._peeked[number]
            except StopIteration:
                raise BatchError(
                    f"the generator ended after {self._position} batches. Let it go on for ever, give `fit` a "
                    "`steps_per_epoch` that it can serve, or feed the function that makes it: `feed(function)`"
                ) from None

    def _taken(self) -> Any:
        self._check_open()
        if self._failure is not None:
            raise copy.copy(self._failure)
        if self._is_over:
            raise StopIteration
        try:
            return self._next()
        except StopIteration:
            self._is_over = True
            self._opened().dismiss()
            raise
        except BatchError as error:
            error.epoch, error.step = 0, self._position
            self._failure = copy.copy(error)  # without the traceback, which refers to this feed
            self._opened().dismiss()
            raise
        except WorkerError as error:
            if self.parts > 1:
                error.add_note(f"It was the turn of {self._parts[self._rotation.part]}.")
            raise

    def _next(self) -> Any:
        while (batch := self._opened().get(self._rotation)).structure == END.structure:
            self._pass_over_end()
        self._tell_of_lock()
        if self._structure is None:
            self._structure = batch.structure
        rotation = self._rotation
        of_part = f" (of {self._parts[rotation.part]})" if self.parts > 1 else ""
        check_alike(batch.structure, self._structure, f"batch {self._position}{of_part}", 0, self._position)
        self._rotation = rotation.after_batch()
        self._position += 1
        self._opened().forget(rotation)
        return unflatten(batch.structure, batch.arrays)

    def _pass_over_end(self) -> None:
        rotation = self._rotation
        if rotation.is_at_last_part:
            if not self._parts[0].again:
                raise StopIteration
            if not rotation.batches:
                which = f"{self._parts[0]}" if self.parts == 1 else f"all {self.parts} parts, as {self._parts[0]},"
                raise BatchError(f"{which} ended before the first batch; a pass should have one at least")
        self._rotation = rotation.after_end()
        self._opened().forget(rotation)

    def _check_caller(self) -> None:
        producers = self._producers
        if producers is not None:
            producers.check_caller()

    def _opened(self) -> Producers:
        if self._producers is None:
            self._check_open()
            # First where a worker that asks this feed is looked for, then at work.
            self._producers = Producers(self._parts, self._rotation, self._feeding)
            self._check_still_open(self._producers)
            self._producers.begin()
        return self._producers

    def _refeed(self, feeding: Feeding) -> None:
        check_feeding(self._parts, feeding)
        with self._lock:
            before = self._producers
            if before is not None and not (self._closed or self._is_over or self._failure is not None):
                self._producers = Producers(self._parts, self._rotation, feeding)
                self._stats += replace(before.stats, ready=0, busy=0, depth=0, peak_bytes=0)
                before.close()  # last: an interrupt in here finds the new ones at work
                self._check_still_open(self._producers)
                self._producers.begin()
            self._feeding = feeding
