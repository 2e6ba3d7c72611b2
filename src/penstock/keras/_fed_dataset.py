"""A dataset whose batches are made ahead: how, and until when."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, Self

import keras

from penstock._errors import FlowClosed
from penstock._types import WorkerId
from penstock.feeding._running import announce
from penstock.feeding._stats import FeedStats
from penstock.keras._asker import is_keras_asking
from penstock.keras._feeding import (
    Feeding,
    parse_bytes,
    parse_multiprocessing,
    parse_queue_size,
    parse_workers,
)
from penstock.keras._notice import notice


class Closable(Protocol):
    """Something with workers."""

    def close(self) -> None:
        """End them."""
        ...


class FedDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """Settings that can be changed at any time, and an end.

    Args:
        feeding: workers and queue.
    """

    def __init__(self, feeding: Feeding) -> None:
        super().__init__()
        self._feeding = feeding
        self._closed = False
        self._has_told_of_lock = False
        # Whoever asks for a batch may be a thread of TensorFlow's, for which Keras has no such setting.
        self._talks = bool(keras.config.is_interactive_logging_enabled())
        announce(self)

    def _refeed(self, feeding: Feeding) -> None:
        """Go on with other settings; if that fails, all is as before."""
        raise NotImplementedError

    def _parse_workers(self, workers: Any) -> int:
        """The number of workers that a user's word stands for."""
        return parse_workers(workers)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        raise NotImplementedError

    def next(self) -> Any:
        """The stream's next batch, as `next(flow)`."""
        return self.__next__()

    def close(self) -> None:
        """End the workers and free the memory; may be called twice. Batches already delivered stay valid."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Keras must see one worker and no processes, or it would start an enqueuer of its own, which loses 0.1 s an epoch
    # and shows samples twice where `steps_per_epoch` is below `len`.

    @property
    def workers(self) -> int:
        """Threads or processes that make batches; setting it changes nothing about the batches."""
        return 1 if is_keras_asking(sys._getframe(1)) else self._feeding.workers

    @workers.setter
    def workers(self, workers: int | str) -> None:
        is_auto = isinstance(workers, str) and self._feeding.pool is None
        self._refeed(replace(self._feeding, workers=self._parse_workers(workers), is_auto=is_auto))

    @property
    def is_auto(self) -> bool:
        """Whether the number of workers follows from what is measured, as with `workers="auto"`."""
        return self._feeding.is_auto

    @property
    def use_multiprocessing(self) -> bool:
        """Whether processes make the batches, and not threads; setting it changes nothing about the batches.

        A pool of the user's is what it is; setting this has no effect there.
        """
        if is_keras_asking(sys._getframe(1)):
            return False
        feeding = self._feeding
        return feeding.has_processes if feeding.pool is not None else bool(feeding.use_multiprocessing)

    @use_multiprocessing.setter
    def use_multiprocessing(self, use_multiprocessing: bool | None) -> None:
        parsed = parse_multiprocessing(use_multiprocessing)
        if self._feeding.pool is None:
            self._refeed(replace(self._feeding, use_multiprocessing=parsed))

    @property
    def max_queue_size(self) -> int:
        """Batches ready ahead."""
        return self._feeding.max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, size: int) -> None:
        self._refeed(replace(self._feeding, max_queue_size=parse_queue_size(size)))

    @property
    def max_queue_bytes(self) -> int | None:
        """Bound on the memory of batches ready ahead; None for none."""
        return self._feeding.max_queue_bytes

    @max_queue_bytes.setter
    def max_queue_bytes(self, size: int | str | None) -> None:
        self._refeed(replace(self._feeding, max_queue_bytes=parse_bytes(size)))

    @property
    def most_workers(self) -> int | None:
        """How many there can be; None for no limit."""
        return None if self._feeding.pool is None else self._feeding.pool.workers

    @property
    def waits_for_lock(self) -> bool:
        """Whether its threads wait for the interpreter lock most of the time, so that processes would do better."""
        raise NotImplementedError

    @property
    def stats(self) -> FeedStats:
        """What feeding has cost so far."""
        raise NotImplementedError

    @property
    def is_running(self) -> bool:
        """Whether it has begun to make batches, and is not closed."""
        raise NotImplementedError

    @property
    def worker_ids(self) -> Sequence[WorkerId]:
        """What the system knows its workers by, as far as they have been started."""
        raise NotImplementedError

    def _tell_of_lock(self) -> None:
        """Once, if the threads have been found to wait for it."""
        if self.waits_for_lock and not self._has_told_of_lock:
            self._has_told_of_lock = True
            notice(
                f"penstock: {self._feeding.workers} threads take turns at the interpreter lock, since much of a batch "
                "is made in Python. With use_multiprocessing=True processes make batches side by side.",
                aloud=self._talks,
            )

    def _check_open(self) -> None:
        if self._closed:
            raise FlowClosed("this flow is closed; make a new one to go on")

    def _check_still_open(self, opened: Closable) -> None:
        """End what has just been opened if another thread closed this meanwhile, and saw nothing to end."""
        if self._closed:
            opened.close()
            self._check_open()
