"""A flow that does not end with its epoch."""

from __future__ import annotations

import sys
from typing import Any

import keras

from penstock.keras._asker import is_keras_asking


class Endless(keras.utils.PyDataset):  # type: ignore[misc]
    """A flow's stream without an end; made by `Stream.endless`.

    `fit` takes the stream's next batches. `evaluate` and `predict` read by address, from the start of the epoch that
    the flow is in, and on into those that follow. The feeding settings are the flow's.

    Args:
        flow: a `Stream`.
    """

    def __init__(self, flow: Any) -> None:
        super().__init__()
        self.flow = flow

    @property
    def num_batches(self) -> None:
        """None: there is no end."""
        return None

    @property
    def batch_size(self) -> int | None:
        """Samples in a batch; None if it is not known."""
        size: int | None = getattr(self.flow, "batch_size", None)
        return size

    def __getitem__(self, idx: int) -> Any:
        return self.flow._answer(sys._getframe(1), idx)

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> Any:
        return next(self.flow)

    def on_epoch_begin(self) -> None:
        """See `Stream.on_epoch_begin`."""
        self.flow._epoch_begins(sys._getframe(1))

    def on_epoch_end(self) -> None:
        """See `Stream.on_epoch_end`."""
        self.flow._epoch_ends(sys._getframe(1))

    # Keras must see one worker here, too.

    @property
    def workers(self) -> int:
        """See `Stream.workers`."""
        return 1 if is_keras_asking(sys._getframe(1)) else int(self.flow.workers)

    @workers.setter
    def workers(self, workers: int | str) -> None:
        self.flow.workers = workers

    @property
    def use_multiprocessing(self) -> bool:
        """See `Stream.use_multiprocessing`."""
        return False if is_keras_asking(sys._getframe(1)) else bool(self.flow.use_multiprocessing)

    @use_multiprocessing.setter
    def use_multiprocessing(self, use_multiprocessing: bool | None) -> None:
        self.flow.use_multiprocessing = use_multiprocessing

    @property
    def max_queue_size(self) -> int:
        """See `Stream.max_queue_size`."""
        return int(self.flow.max_queue_size)

    @max_queue_size.setter
    def max_queue_size(self, size: int) -> None:
        self.flow.max_queue_size = size
