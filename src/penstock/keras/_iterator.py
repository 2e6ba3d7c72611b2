"""`Iterator`, the base class that old code extends."""

from __future__ import annotations

import threading
from abc import ABCMeta
from collections import abc
from typing import Any

import keras
import numpy as np

from penstock._types import Array
from penstock.keras._flow import Flow
from penstock.sources._files import EXTENSIONS


class Iterator(keras.utils.PyDataset, metaclass=ABCMeta):  # type: ignore[misc]
    """Endless batches of samples by number, as Keras's `Iterator`: for classes of your own that extend it.

    A subclass makes the batch, in `_get_batches_of_transformed_samples`. Batches are made one at a time, in the thread
    that asks; what penstock makes itself (`NumpyArrayIterator` and the others, which count as its subclasses) is made
    ahead. With a seed, NumPy's global generator is seeded before each batch, as Keras does it.

    Args:
        n: samples.
        batch_size: samples in a batch.
        shuffle: a new order every epoch.
        seed: of the order, and of what a batch draws from NumPy's global generator; None for none.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `PyDataset`.

    Example:
        >>> import numpy as np
        >>> from penstock import Iterator
        >>> class Squares(Iterator):
        ...     def _get_batches_of_transformed_samples(self, index_array):
        ...         return index_array**2
        >>> next(Squares(5, batch_size=3, shuffle=False, seed=None))
        array([0, 1, 4])
    """

    white_list_formats = EXTENSIONS

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: Array | None = None
        self.index_generator = self._flow_index()

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        if idx >= len(self):
            raise ValueError(f"Asked to retrieve element {idx}, but the Sequence has length {len(self)}")
        self._seed_globally()
        self.total_batches_seen += 1
        if self.index_array is None:
            self._set_index_array()
        return self._get_batches_of_transformed_samples(self._rows(idx * self.batch_size))

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        with self.lock:
            index_array = next(self.index_generator)
        return self._get_batches_of_transformed_samples(index_array)

    def next(self) -> Any:
        """The next batch, as `next(iterator)`."""
        return self.__next__()

    def reset(self) -> None:
        """Back to the epoch's first batch."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """A new order, if shuffled."""
        self._set_index_array()

    def _get_batches_of_transformed_samples(self, index_array: Array) -> Any:
        """The batch of these samples; a subclass's to say.

        Args:
            index_array: sample numbers, `(samples,)`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} should define `_get_batches_of_transformed_samples(index_array)`."
        )

    def _flow_index(self) -> abc.Iterator[Array]:
        """The sample numbers of one batch after the other, without end."""
        self.reset()
        while True:
            self._seed_globally()
            if self.batch_index == 0:
                self._set_index_array()
            start = self.batch_index * self.batch_size % self.n if self.n else 0
            self.batch_index = self.batch_index + 1 if start + self.batch_size < self.n else 0
            self.total_batches_seen += 1
            yield self._rows(start)

    def _rows(self, start: int) -> Array:
        assert self.index_array is not None
        return self.index_array[start : start + self.batch_size]

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _seed_globally(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)


Iterator.register(Flow)
