"""`feed` of a generator: one producer, ahead of the consumer."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any

import keras

from penstock._errors import BatchError, FlowClosed
from penstock.batches._generator import END, GeneratorBatches
from penstock.batches._structure import Structure, check_alike, unflatten
from penstock.feeding._feeder import Feeder
from penstock.feeding._plan import EndlessPlan
from penstock.feeding._stats import FeedStats
from penstock.keras._asker import Asker, is_keras_asking
from penstock.keras._feeding import Feeding
from penstock.keras._passes import Passes


class GeneratorFeed(keras.utils.PyDataset):  # type: ignore[misc]
    """A generator's batches, made ahead; `feed` makes one.

    It has no length: `fit` needs `steps_per_epoch`, and goes on where it stopped. A plain generator ends, and with it a
    loop over this; a function is called for another generator whenever one ends.
    """

    def __init__(self, batches: GeneratorBatches, feeding: Feeding) -> None:
        super().__init__()
        self._maker = batches
        self._feeding = feeding
        self._lock = threading.RLock()
        self._passes = Passes()
        self._peeked: deque[Any] = deque()
        self._position = 0
        self._structure: Structure | None = None
        self._feeder: Feeder | None = None
        self._closed = False

    @property
    def num_batches(self) -> None:
        """None: nobody knows how many there are."""
        return None

    def __iter__(self) -> GeneratorFeed:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return self._peeked.popleft() if self._peeked else self._taken()

    def next(self) -> Any:
        """The next batch, as `next(feed)`."""
        return self.__next__()

    def __getitem__(self, idx: int) -> Any:
        asker = self._passes.of(sys._getframe(1)).asker
        with self._lock:
            try:
                if asker is not Asker.PEEK:
                    return self.__next__()
                while len(self._peeked) <= idx:
                    self._peeked.append(self._taken())
                return self._peeked[idx]
            except StopIteration:
                raise BatchError(
                    f"the generator ended after {self._position} batches. Let it go on for ever, give `fit` a "
                    "`steps_per_epoch` that it can serve, or feed the function that makes it: `feed(function)`"
                ) from None

    def on_epoch_begin(self) -> None:
        """Keras says what it is about to do."""
        self._passes.epoch_begins(sys._getframe(1))

    def close(self) -> None:
        """End the producer; may be called twice."""
        self._closed = True
        if self._feeder is not None:
            self._feeder.close()

    def __enter__(self) -> GeneratorFeed:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def stats(self) -> FeedStats:
        """What feeding has cost so far."""
        return FeedStats() if self._feeder is None else self._feeder.stats

    @property
    def total_batches_seen(self) -> int:
        """Batches that have been delivered."""
        return self._position - len(self._peeked)

    @property
    def workers(self) -> int:
        """One: a generator can be asked by one worker at a time."""
        return 1 if is_keras_asking(sys._getframe(1)) else self._feeding.workers

    @property
    def use_multiprocessing(self) -> bool:
        """Whether a process is the producer, and not a thread."""
        return False if is_keras_asking(sys._getframe(1)) else bool(self._feeding.use_multiprocessing)

    @property
    def max_queue_size(self) -> int:
        """Batches ready ahead."""
        return self._feeding.max_queue_size

    def _taken(self) -> Any:
        batch = self._opened().get(self._position)
        if batch.structure == END:
            raise StopIteration
        if self._structure is None:
            self._structure = batch.structure
        check_alike(batch.structure, self._structure, f"batch {self._position}", 0, self._position)
        self._position += 1
        self._maker.forget(self._position)
        return unflatten(batch.structure, batch.arrays)

    def _opened(self) -> Feeder:
        if self._closed:
            raise FlowClosed("this feed is closed; make a new one to go on")
        if self._feeder is None:
            feeding = self._feeding
            self._feeder = Feeder(
                EndlessPlan(),
                self._maker,
                feeding.executor(),
                max_queue_size=feeding.max_queue_size,
                max_queue_bytes=feeding.max_queue_bytes,
                timeout_s=feeding.patience_s,
            )
        return self._feeder
