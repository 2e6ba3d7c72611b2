"""A dataset that begins again when it is over."""

from __future__ import annotations

import random
import threading
from typing import Any

import keras


class Repeated(keras.utils.PyDataset):  # type: ignore[misc]
    """A dataset without an end: pass after pass over one that has an end, as `fit_generator` read it.

    The dataset's hooks are called between two passes, however many steps Keras takes for an epoch; several workers may
    still be at the last batches then. Keras is told that there is no end, so that its workers go on where they stopped.

    Args:
        dataset: one with an end.
        shuffle: a new order of its batches in every pass.
    """

    def __init__(self, dataset: keras.utils.PyDataset, shuffle: bool = False) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset = dataset
        self._shuffle = shuffle
        self._seed = random.getrandbits(64)  # from where Keras takes its own order of batches
        self._passes_begun = 0
        self._orders: dict[int, list[int]] = {}
        self._lock = threading.Lock()

    @property
    def num_batches(self) -> None:
        """None: there is no end."""
        return None

    def __getitem__(self, idx: int) -> Any:
        number, place = divmod(idx, self._dataset.num_batches)
        with self._lock:
            if number >= self._passes_begun:
                if self._passes_begun:
                    self._dataset.on_epoch_end()
                self._dataset.on_epoch_begin()
                self._passes_begun = number + 1
            place = self._order(number)[place]
        return self._dataset[place]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}  # Keras sends it to its processes

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_lock": threading.Lock()}

    def _order(self, number: int) -> list[int]:
        if number not in self._orders:
            order = list(range(self._dataset.num_batches))
            if self._shuffle:
                random.Random(self._seed + number).shuffle(order)
            # Two are kept: a worker may still be at the pass before.
            self._orders = {kept: self._orders[kept] for kept in (number - 1,) if kept in self._orders}
            self._orders[number] = order
        return self._orders[number]
