"""A flow: an endless stream of batches of images that Keras takes for a dataset."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from penstock._types import Array, BadSample, Indices, Step
from penstock.batches._images import ImageBatches
from penstock.feeding._feeder import Batch
from penstock.keras._feeding import Feeding, check_batch_size
from penstock.keras._notice import notice
from penstock.keras._saved_images import save_images
from penstock.keras._stream import Stream


class Flow(Stream):
    """Batches of images, endless in a loop, `len(flow)` an epoch.

    Made by `ImageDataGenerator.flow`, `flow_from_directory` and `flow_from_dataframe`. Workers start with the first
    batch and live until `close()`, garbage collection or the interpreter's end.

    - `for x, y in flow`, `next(flow)`, `flow.next()`: the stream, made ahead, epoch after epoch.
    - `flow[i]`: batch i of the current epoch; asking twice gives the same twice and moves nothing.
    - `model.fit(flow)` takes the stream's next batches; `evaluate` and `predict` read by address.

    The caller owns what it gets: arrays are writeable and nobody writes to them again.

    Args:
        n: samples in an epoch.
        batch_size: samples in a batch.
        shuffle: a new order of samples every epoch.
        seed: 0 to 2**64 - 1.
        feeding: workers and queue.

    Example:
        >>> import numpy as np
        >>> from penstock import ImageDataGenerator
        >>> flow = ImageDataGenerator(rotation_range=20).flow(np.zeros((8, 32, 32, 3), "uint8"), batch_size=4, seed=1)
        >>> next(flow).shape
        (4, 32, 32, 3)
        >>> flow.close()
    """

    _maker: ImageBatches

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int, feeding: Feeding) -> None:
        super().__init__(n, batch_size, shuffle, seed, feeding)
        self._ready = threading.local()
        self._indexed: Step | None = None
        self._own_order: Indices | None = None
        self._has_told = False

    # --- what a kind of flow says about itself, beside `data_format`, `dtype`, `subset` and `save_...` ---

    def _make_batches(self) -> ImageBatches:
        """The maker of this flow's batches, with the generator's settings as they are now."""
        raise NotImplementedError

    def _packed(self, arrays: list[Array]) -> Any:
        """The arrays of a batch in the structure that Keras's iterators yield."""
        raise NotImplementedError

    def _order(self) -> Callable[[int], Indices]:
        if type(self)._set_index_array is Flow._set_index_array and self._own_order is None:
            return self._maker.randomness.order
        return self._order_of_the_users

    def _order_of_the_users(self, epoch: int) -> Indices:
        """What a subclass's `_set_index_array` leaves in `index_array`, asked for each epoch; or what was set there."""
        del epoch
        self._set_index_array()
        if self._own_order is None or len(self._own_order) != self.n:
            raise ValueError(
                f"`index_array` should hold {self.n} sample numbers, one for each of an epoch. Received: "
                f"{self._own_order!r}"
            )
        return self._own_order.copy()

    def _set_index_array(self) -> None:
        """By Keras's name, for samplers: a subclass that overrides it sets `self.index_array` for the next epoch."""

    def _settings(self) -> tuple[Any, ...]:
        return (self.seed, *vars(self.image_data_generator).values())

    @property
    def _follows_batches(self) -> bool:
        return bool(self.image_data_generator.semantics == "keras")

    # --- what one can read off it ---

    @property
    def index_array(self) -> Indices | None:
        """The current epoch's samples in order; before the first batch what was set, or None."""
        if self._feeder is None:
            return self._own_order
        return self._plan.order(max(0, self._position - 1) // self._steps).copy()

    @index_array.setter
    def index_array(self, indices: Any) -> None:
        self._own_order = None if indices is None else np.asarray(indices, np.int64)
        # A subclass's sampler sets it for each epoch; a user sets it once, for all epochs from the next one on.
        if type(self)._set_index_array is Flow._set_index_array:
            with self.lock:
                self.reset()
                self._reopen()

    @property
    def index_generator(self) -> Iterator[Indices]:
        """The sample numbers of the stream's next batches; taking them moves the stream on."""
        while True:
            with self.lock:
                self._indexed = self._opened().plan.step(self._position)
                self._position += 1
            yield self._indexed.indices.copy()

    @property
    def on_error(self) -> str:
        """What becomes of samples that cannot be made: "raise", "skip" or "substitute"."""
        return self._feeding.on_error

    @property
    def batch_size(self) -> int:
        """Samples in a batch; setting it goes on at the next epoch's start."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        with self.lock:
            check_batch_size(batch_size)
            self.reset()
            epoch = self._position // self._steps
            self._batch_size = batch_size
            self._position = epoch * self._steps
            self._resumed_at = (0, 0)
            self._reopen()

    @property
    def shuffle(self) -> bool:
        """A new order every epoch; setting it goes on at the next epoch's start."""
        return self._shuffle

    @shuffle.setter
    def shuffle(self, shuffle: bool) -> None:
        with self.lock:
            self.reset()
            self._shuffle = shuffle
            self._reopen()

    # --- inside ---

    def _finish(self, batch: Batch) -> Any:
        step = batch.step
        if batch.bad and not self._has_told:
            self._has_told = True
            notice(
                f"penstock: {_told(batch.bad[0])} `flow.stats` counts and names all such samples.", aloud=self._talks
            )
        complete = self._maker.assemble(step, batch.arrays)
        if self.save_to_dir:
            names = self.save_to_dir, self.save_prefix, self.save_format
            save_images(*names, complete[0], self.data_format, step, self.seed)
        self._ready.batch = step, self._packed(complete)
        try:
            return self._get_batches_of_transformed_samples(step.indices)
        finally:
            del self._ready.batch

    def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
        """The batch of these samples; by Keras's name, since its iterators are extended by overriding this.

        Args:
            index_array: sample numbers, `(samples,)`.
        """
        indices = np.asarray(index_array, np.int64)
        ready: tuple[Step, Any] | None = getattr(self._ready, "batch", None)
        if ready is not None and np.array_equal(ready[0].indices, indices):
            return ready[1]
        with self.lock:
            feeder, step = self._opened(), self._indexed
            if step is None or not np.array_equal(step.indices, indices):
                step = replace(feeder.plan.step(self._position), indices=indices)
            maker = self._maker
        batch = feeder.make_step(step)
        return self._packed(maker.assemble(batch.step, batch.arrays))


def _told(bad: BadSample) -> str:
    became = "is left out" if bad.stand_in is None else f"is replaced by sample {bad.stand_in}"
    return f"sample {bad.index} {became}: {bad.reason.rstrip('.')}."
