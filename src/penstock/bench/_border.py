"""The first step of an epoch: what a feed adds to it under `model.fit` with validation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import keras

from penstock.bench._measure import Clock, Reading, Side
from penstock.bench._workloads import InMemory, Ranges

Feeds = Callable[[], AbstractContextManager[tuple[Any, Any]]]
"""Opens what `fit` takes for training and for validation."""


@dataclass(frozen=True)
class Border:
    """A small training run.

    Attributes:
        training, validation: what is fed; whole batches only, so that nothing is compiled twice.
        epochs: of each reading; the first one is not counted.
        keras_epochs: the same for Keras's iterators, with which an epoch takes ten times as long.
    """

    training: InMemory
    validation: InMemory
    epochs: int
    keras_epochs: int

    @classmethod
    def of(cls, steps: int, validation_steps: int, batch_size: int, epochs: int, keras_epochs: int) -> Border:
        """So many batches of small uint8 images; validation is not augmented."""
        training = InMemory(steps * batch_size, batch_size=batch_size)
        validation = replace(training, images=validation_steps * batch_size, ranges=Ranges())
        return cls(training, validation, epochs, keras_epochs)

    def side(self, name: str, model: Any, feeds: Feeds, epochs: int) -> Side:
        """Milliseconds from an epoch's begin to the end of its first step, the median of a fit's epochs."""

        def measure(seconds: float) -> Reading:
            timer = FirstSteps()
            began = perf_counter()
            with feeds() as (training, validation):
                # One epoch is enough to compile the model.
                turns = epochs if seconds else 1
                model.fit(training, validation_data=validation, epochs=turns, verbose=0, callbacks=[timer])
            counted = tuple(timer.first_ms[1:] or timer.first_ms)
            return Reading(statistics.median(counted), perf_counter() - began, parts=counted)

        return Side(name, "ms", measure)

    @contextmanager
    def constant(self) -> Iterator[tuple[Any, Any]]:
        """The same batch over and over: what a fit costs when its feed costs nothing."""
        with self.training.penstock_flow(workers=0) as flow:
            batch = next(flow)
        steps = self.training.images // self.training.batch_size
        validation_steps = self.validation.images // self.validation.batch_size
        yield OneBatch(batch, steps), OneBatch(batch, validation_steps)

    @contextmanager
    def keras(self) -> Iterator[tuple[Any, Any]]:
        """Keras's iterators."""
        yield self.training.keras_flow(), self.validation.keras_flow()

    def penstock(self, workers: int) -> Feeds:
        """Flows of ours."""

        @contextmanager
        def opened() -> Iterator[tuple[Any, Any]]:
            with self.training.penstock_flow(workers) as training, self.validation.penstock_flow(workers) as validation:
                yield training, validation

        return opened


def small_model(side_px: int) -> Any:
    """A model whose step takes a few milliseconds."""
    model = keras.Sequential(
        [
            keras.layers.Input((side_px, side_px, 3)),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class OneBatch(keras.utils.PyDataset):  # type: ignore[misc]
    """A dataset that holds one batch many times."""

    def __init__(self, batch: Any, length: int) -> None:
        super().__init__()
        self._batch = batch
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        return self._batch


class FirstSteps(keras.callbacks.Callback):  # type: ignore[misc]
    """Times the first step of every epoch.

    Keras waits for a step's results before it calls `on_train_batch_end` of a callback like this, so the step's own
    time is in it, on every side.
    """

    def __init__(self, clock: Clock = perf_counter) -> None:
        super().__init__()
        self.first_ms: list[float] = []
        self._clock = clock
        self._began: float | None = None

    def on_epoch_begin(self, *_: Any) -> None:
        """The epoch begins."""
        self._began = self._clock()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """A step has ended; only the first one of the epoch counts."""
        if self._began is not None:
            self.first_ms.append(1000 * (self._clock() - self._began))
            self._began = None
