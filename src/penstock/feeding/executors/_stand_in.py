"""What a Keras dataset is to a worker process, which needs its batches and not Keras."""

from __future__ import annotations

from typing import Any


class PyDataset:
    """Stands in for `keras.utils.PyDataset` as the base of a user's class: importing Keras takes seconds and 350 MB."""

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self._workers, self._use_multiprocessing, self._max_queue_size = workers, use_multiprocessing, max_queue_size

    workers = property(lambda self: self._workers, lambda self, value: setattr(self, "_workers", value))
    use_multiprocessing = property(
        lambda self: self._use_multiprocessing, lambda self, value: setattr(self, "_use_multiprocessing", value)
    )
    max_queue_size = property(
        lambda self: self._max_queue_size, lambda self, value: setattr(self, "_max_queue_size", value)
    )

    @property
    def num_batches(self) -> int:
        """As many as there are."""
        return len(self)  # type: ignore[arg-type]

    def on_epoch_begin(self) -> None:
        """Called in the main process only."""

    def on_epoch_end(self) -> None:
        """Called in the main process only."""


def stand_in() -> type:
    """The class, for an unpickler."""
    return PyDataset


def is_keras_dataset_class(value: Any) -> bool:
    """Whether a class is Keras's own base class for datasets."""
    return isinstance(value, type) and value.__name__ == "PyDataset" and value.__module__.startswith("keras.")
