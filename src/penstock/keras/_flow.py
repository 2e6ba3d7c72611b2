"""A flow: an endless stream of batches of images that Keras takes for a dataset."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from penstock._types import Array, BadSample, Indices, Step
from penstock.batches._explain import Explanation, check_number, explain_row
from penstock.batches._images import ImageBatches
from penstock.batches._preview import alone, preview, spread
from penstock.feeding._batch import Batch
from penstock.image._picture import Picture
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
    - `flow.preview()` shows augmented images, `flow.explain(epoch, step, row)` says what happened to one.

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
        self._noted: set[str] = set()

    # --- what a kind of flow says about itself, beside `data_format`, `dtype`, `subset` and `save_...` ---

    def _make_batches(self) -> ImageBatches:
        """The maker of this flow's batches, with the generator's settings as they are now."""
        raise NotImplementedError

    def _packed(self, arrays: list[Array]) -> Any:
        """The arrays of a batch in the structure that Keras's iterators yield."""
        raise NotImplementedError

    def _order(self) -> Callable[[int], Indices]:
        if not self._has_sampler and self._own_order is None:
            return self._maker.randomness.order
        return self._order_of_the_users

    @property
    def _has_sampler(self) -> bool:
        """Whether a subclass draws the order of each epoch."""
        return type(self)._set_index_array is not Flow._set_index_array

    def _order_of_the_users(self, epoch: int) -> Indices:
        """What a subclass's `_set_index_array` leaves in `index_array`, asked for each epoch; or what was set there."""
        del epoch
        self._set_index_array()
        if self._own_order is None or self._own_order.shape != (self.n,):
            raise ValueError(
                f"`index_array` should hold {self.n} sample numbers, one for each of an epoch. Received: "
                f"{self._own_order!r}"
            )
        return _existing(self._own_order, len(self._maker.source))

    def _set_index_array(self) -> None:
        """By Keras's name, for samplers: a subclass that overrides it sets `self.index_array` for the next epoch."""

    def _settings(self) -> tuple[Any, ...]:
        return (self.seed, *vars(self.image_data_generator).values())

    @property
    def _follows_batches(self) -> bool:
        return bool(self.image_data_generator.semantics == "keras")

    # --- a look at the images ---

    def explain(self, epoch: int, step: int, row: int) -> Explanation:
        """Where one image of a batch comes from, and what happened to it: of any epoch, past or to come.

        Made beside the stream, which stays where it is, with the generator's settings as they are now; nothing is
        counted in `stats`. Batches are those of the stream and of `flow[step]`: a `fit` that shuffles the batches of a
        flow with `shuffle=False` takes them in another order. A function of yours that draws from global generators
        draws the same again only where processes make the batches (`use_multiprocessing=True`). With `shard` they are
        this rank's.

        Args:
            epoch: from 0.
            step: number of the batch within its epoch, from 0.
            row: of the batch, from 0.

        Returns:
            The sample's number, file, label and drawn parameters, and the image before and after.

        Raises:
            BatchError: the image cannot be made.
            ValueError: there is no such epoch, step or row.

        Example:
            >>> import numpy as np
            >>> from penstock import ImageDataGenerator
            >>> x, y = np.zeros((8, 32, 32, 3), "uint8"), np.arange(8)
            >>> with ImageDataGenerator(rotation_range=20).flow(x, y, batch_size=4, seed=1) as flow:
            ...     explanation = flow.explain(epoch=2, step=1, row=3)
            >>> explanation.index, explanation.label, round(explanation.parameters["theta"], 1)
            (2, np.int64(2), 5.4)
        """
        epoch, step, row = operator.index(epoch), operator.index(step), operator.index(row)
        self._check_caller()
        with self.lock:
            self._opened()
            plan, maker = self._plan, self._explained()
            check_number("step", step, len(self), "steps in an epoch")
            self._check_epoch(epoch)
            batch = plan.step(epoch * self._steps + step)
        return explain_row(maker, batch, row, self._packed)

    def preview(self, rows: int = 4, columns: int = 4, explain: bool = False) -> Picture:
        """The augmented images to look at: a row for each of some samples, a column for each of the next epochs.

        Samples are taken from all through the data. A picture of Pillow's and no array, since it shows itself in a
        notebook and saves itself (`flow.preview().save("preview.png")`); `numpy.asarray` of it is uint8,
        `(height, width, 3)`. It is made beside the stream, as `explain` does it.

        Values are shown so that an eye can see them: 0 to 1 and 0 to 255 as they are, anything else, such as
        standardized values, stretched from the least to the greatest of the picture. The same for all images of it, so
        that they can be compared. A transparent image lies on white; of more than 4 channels the first three are shown.
        Small images are enlarged without smoothing, large ones reduced.

        Args:
            rows: samples, at least 1; no more than there are.
            columns: epochs, at least 1, from the next one that begins.
            explain: put the original first in each row, and write under each image what was drawn for it: only what
                does something, with Keras's names for shifts.

        Raises:
            BatchError: an image cannot be made. With `on_error` another one of its class is shown in its place.
        """
        rows, columns = operator.index(rows), operator.index(columns)
        if rows < 1 or columns < 1:
            raise ValueError(f"`rows` and `columns` should be at least 1. Received: {rows} and {columns}")
        self._check_caller()
        with self.lock:
            self._opened()
            plan, maker = self._plan, self._explained()
            first = -(-self._position // self._steps)
            shown = np.arange(self.n) if self._has_sampler else np.unique(plan.order(first))
            steps, batch_size = self._steps, self._batch_size

        def find(sample: int, epoch: int) -> tuple[Step, int]:
            if not self._follows_batches:
                return alone(sample, epoch)
            self._check_epoch(epoch)
            number, row = divmod(int(np.flatnonzero(plan.order(epoch) == sample)[0]), batch_size)
            return plan.step(epoch * steps + number), row

        return preview(maker, spread(shown, rows), range(first, first + columns), find, self._packed, explained=explain)

    # --- what one can read off it ---

    @property
    def index_array(self) -> Indices | None:
        """The current epoch's samples in order; before the first batch what was set, or None."""
        if self._feeder is None:
            return self._own_order
        return self._plan.order(max(0, self._position - 1) // self._steps).copy()

    @index_array.setter
    def index_array(self, indices: Any) -> None:
        self._own_order = None if indices is None else np.array(indices, np.int64)
        # A subclass's sampler sets it for each epoch; a user sets it once, for all epochs from the next one on.
        if not self._has_sampler:
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

    def _explained(self) -> ImageBatches:
        """The maker, for a single image here and now: where batches are made in processes, it seeds as they do."""
        return self._maker.alone() if self._feeding.has_processes else self._maker

    def _check_epoch(self, epoch: int) -> None:
        super()._check_epoch(epoch)
        border = max(0, self._position - 1) // self._steps, self._position // self._steps
        if self._has_sampler and epoch not in border:
            raise ValueError(
                f"`epoch` should be {border[1]}, the one that the stream is in: `_set_index_array` draws an epoch's "
                f"order when it begins, and no other is known. Received: {epoch}"
            )

    def _finish(self, batch: Batch) -> Any:
        step = batch.step
        if batch.bad and not self._has_told:
            self._has_told = True
            notice(
                f"penstock: {_told(batch.bad[0])} `flow.stats` counts and names all such samples.", aloud=self._talks
            )
        for note in batch.notes:
            if note not in self._noted:
                self._noted.add(note)
                notice(f"penstock: {note}", aloud=self._talks)
        complete = self._maker.assemble(step, batch.arrays)
        if self.save_to_dir:
            names = self.save_to_dir, self.save_prefix, self.save_format
            save_images(*names, complete[0], self.data_format, step, self.seed)
        return self._passed_on(step, complete)

    def _delivered(self, batch: Batch) -> Any:
        return self._passed_on(batch.step, self._maker.assemble(batch.step, batch.arrays))

    def _passed_on(self, step: Step, complete: list[Array]) -> Any:
        """A batch, by way of a subclass that overrides `_get_batches_of_transformed_samples`."""
        make = self._get_batches_of_transformed_samples
        if getattr(make, "__func__", None) is Flow._get_batches_of_transformed_samples:
            return self._packed(complete)
        self._ready.batch = step, self._packed(complete)
        try:
            return make(step.indices)
        finally:
            del self._ready.batch

    def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
        """The batch of these samples; by Keras's name, since its iterators are extended by overriding this.

        Args:
            index_array: sample numbers, `(samples,)`.

        Raises:
            IndexError: there is no such sample.
            ValueError: `index_array` has another rank.
        """
        indices = np.asarray(index_array, np.int64)
        ready: tuple[Step, Any] | None = getattr(self._ready, "batch", None)
        if ready is not None and (ready[0].indices is indices or np.array_equal(ready[0].indices, indices)):
            return ready[1]
        with self.lock:
            feeder, step, maker = self._opened(), self._indexed, self._maker
            if step is None or not np.array_equal(step.indices, indices):
                numbers = _existing(indices, len(maker.source))
                step = replace(feeder.plan.step(self._position), indices=numbers, fillers=0)
        batch = feeder.make_step(step)
        return self._packed(maker.assemble(batch.step, batch.arrays))


def _existing(indices: Indices, samples: int) -> Indices:
    """A copy, with those below 0 counted from the end as Keras does; a kernel would read whatever lies beyond."""
    if indices.ndim != 1:
        raise ValueError(f"Sample numbers should be in one row, (samples,). Received: shape {indices.shape}")
    strangers = indices[(indices < -samples) | (indices >= samples)]
    if len(strangers):
        raise IndexError(
            f"Sample numbers should be from 0 to {samples - 1}, or from {-samples} to -1, counted from the end. "
            f"Received: {', '.join(map(str, strangers[:5].tolist()))}"
            + (f" and {len(strangers) - 5} more" if len(strangers) > 5 else "")
        )
    return np.where(indices < 0, indices + samples, indices)


def _told(bad: BadSample) -> str:
    became = "is left out" if bad.stand_in is None else f"is replaced by sample {bad.stand_in}"
    return f"sample {bad.index} {became}: {bad.reason.rstrip('.')}."
