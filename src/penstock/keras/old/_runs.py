"""From what old scripts pass to what Keras 3's `fit`, `evaluate` and `predict` take."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from penstock.keras._endless import Endless
from penstock.keras._feed import Feed
from penstock.keras._feeding import parse_workers
from penstock.keras._flow import Flow
from penstock.keras._generator_feed import GeneratorFeed
from penstock.keras._notice import notice
from penstock.keras.old._data import AsBatch, PlainGenerator, Validation, as_batch, batches_of, recognised
from penstock.keras.old._repeated import Repeated
from penstock.keras.old._steps import executed, whole_steps

DEFAULT_QUEUE = 10


@dataclass(frozen=True)
class Run:
    """Arguments for Keras 3.

    Attributes:
        data: for `x`.
        steps: of an epoch; None for the data's length.
        shuffle: whether Keras is to shuffle batches.
        class_weight: for Keras to apply.
    """

    data: Any
    steps: int | None
    shuffle: bool = False
    class_weight: Mapping[int, float] | None = None

    @contextmanager
    def without_warning(self) -> Iterator[None]:
        """Without Keras's word that an endless view is not shuffled: a flow's is, batch by batch."""
        if not (self.shuffle and isinstance(self.data, Endless)):
            yield
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`shuffle=True` was passed, but will be ignored", UserWarning)
            yield


@dataclass(frozen=True)
class OldFeeding:
    """The feeding arguments, as given.

    Attributes:
        max_queue_size: the default leaves the data's own.
        workers: None leaves the data's own.
        use_multiprocessing: None leaves the data's own.
    """

    max_queue_size: int
    workers: int | str | None
    use_multiprocessing: bool | None

    def set_on(self, data: Any) -> None:
        """Set what was given on the data, which is where Keras 3 looks for it."""
        workers = None if self.workers is None else parse_workers(self.workers)
        size = None if self.max_queue_size == DEFAULT_QUEUE else self.max_queue_size
        settings = {"workers": workers, "use_multiprocessing": self.use_multiprocessing, "max_queue_size": size}
        if isinstance(data, GeneratorFeed) and data.parts == 1:
            return  # one producer, chosen when it was made
        if isinstance(data, keras.utils.PyDataset):
            for name, value in settings.items():
                # A flow that is set to what it is begins its queue again.
                same = isinstance(data, Flow | Feed | Endless | GeneratorFeed) and getattr(data, name) == value
                if value is not None and not same:
                    setattr(data, name, value)
        elif isinstance(data, PlainGenerator) and (self.use_multiprocessing or (workers or 0) > 1):
            notice(
                "penstock: `workers` and `use_multiprocessing` have no effect on a plain generator, which can be asked "
                "by one thread at a time; a flow or a keras.utils.PyDataset can be read by several."
            )


def training(
    model: Any,
    generator: Any,
    steps: Any,
    epochs: int,
    shuffle: bool,
    class_weight: Mapping[int, float] | None,
    feeding: OldFeeding,
) -> Run:
    """What `fit` takes: epochs that go on where the last one stopped, in data that begins again when it is over."""
    data = recognised(generator, as_batch)
    count = whole_steps(steps, "steps_per_epoch", data)
    feeding.set_on(data)
    if isinstance(data, PlainGenerator):
        return Run(batches_of(data, executed(model, count or 1) * max(1, epochs), class_weight), count)
    if isinstance(data, Flow | Feed) and count not in (None, len(data)):
        data = data.endless()
    if isinstance(data, Endless):
        return Run(data, count, shuffle and not getattr(data.flow, "shuffle", False), class_weight)
    if not isinstance(data, keras.utils.PyDataset) or data.num_batches is None:
        return Run(data, count, False, class_weight)
    if count not in (None, data.num_batches):
        return Run(Repeated(data, shuffle), count, False, class_weight)
    return Run(data, count, shuffle, class_weight)


def validating(validation_data: Any, steps: Any, feeding: OldFeeding) -> Run:
    """What `fit` takes for validation; of arrays all, whatever the steps say, as ever."""
    if validation_data is None or isinstance(validation_data, tuple | list):
        return Run(validation_data, None)
    data = recognised(validation_data, as_batch, "validation_data")
    count = whole_steps(steps, "validation_steps", data)
    if isinstance(data, PlainGenerator):
        return Run(Validation(data, count or 1), count)
    feeding.set_on(data)
    return Run(_readable(data, count), count)


def reading(model: Any, generator: Any, steps: Any, as_batch: AsBatch, feeding: OldFeeding) -> Run:
    """What `evaluate` and `predict` take."""
    data = recognised(generator, as_batch)
    count = whole_steps(steps, "steps", data)
    feeding.set_on(data)
    if isinstance(data, PlainGenerator):
        return Run(batches_of(data, executed(model, count or 1)), count)
    return Run(_readable(data, count), count)


def _readable(data: Any, steps: int | None) -> Any:
    """The data, or a view that begins again after its end if there are more steps."""
    if not isinstance(data, keras.utils.PyDataset) or steps is None:
        return data
    if data.num_batches is None or steps <= data.num_batches:
        return data
    return data.endless() if isinstance(data, Flow | Feed) else Repeated(data)
