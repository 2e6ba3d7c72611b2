"""The other work: a model trains on the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import keras
import numpy as np

from penstock.bench.study._data import StudyData
from penstock.bench.study._gauges import Gauges, PieceReading
from penstock.bench.study._models import MODELS
from penstock.bench.study._opened import Opened
from penstock.bench.study._setting import Setting
from penstock.bench.study._work import take

_WARM_UP_STEPS = 1


class Training:
    """One network for all settings, so that each size of batches is compiled once.

    `fit` is left as users have it: on JAX it hands a step over and goes on to the next batch, so that its waiting for
    data is an upper bound of the device's; see `InputReport`.

    Args:
        data: whose images it is for.
        model: its name.
        check: called before each step; what it raises ends the work.
    """

    def __init__(self, data: StudyData, model: str, check: Callable[[], object] = lambda: None) -> None:
        self._data, self._check = data, check
        self._model = MODELS[model](data.classes, data.side_px)
        self._compiled: set[tuple[int, np.dtype[Any]]] = set()

    def warm_up(self, opened: Opened, setting: Setting) -> None:
        """Take what was made ahead, and compile for this size of batches and for that of an epoch's last one."""
        take(opened.batches, opened.pace, self._check)
        self._check()
        labels = np.asarray(next(opened.batches)[1]).dtype  # another one is compiled anew
        side, size = self._data.side_px, setting.batch_size
        for count in {size, self._data.images % size or size}:
            if (count, labels) not in self._compiled:
                self._check()
                x, y = np.zeros((count, side, side, 3), np.float32), np.zeros(count, labels)
                self._model.fit(x, y, batch_size=count, epochs=1, verbose=0)
                self._compiled.add((count, labels))
        self._fit(opened, _WARM_UP_STEPS)

    def measured(self, opened: Opened, setting: Setting, steps: int) -> PieceReading:
        """Train so many steps, in one call of `fit`."""
        with Gauges() as gauges:
            taken, wait_s = self._fit(opened, steps)
            # TensorFlow takes a few batches ahead, on which it has not trained.
            return gauges.reading(min(taken, steps * setting.batch_size), wait_s)

    def _fit(self, opened: Opened, steps: int) -> tuple[int, float]:
        """Batches taken for so many steps, in images; and seconds waited for them."""
        if opened.flow is None:
            counted = _Counted()
            self._train(counted.through(opened.batches), steps)
            return counted.images, counted.wait_s
        before = opened.flow.stats
        self._train(opened.flow.endless(), steps)
        after = opened.flow.stats
        return after.samples - before.samples, after.wait_s - before.wait_s

    def _train(self, batches: Any, steps: int) -> None:
        self._model.fit(
            batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=[_Checking(self._check)]
        )


class _Checking(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls a function before each step; after one, Keras would hand no more steps over ahead."""

    def __init__(self, check: Callable[[], object]) -> None:
        super().__init__()
        self._check = check

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._check()


class _Counted:
    """Counts what goes through a generator, which is the only kind of iterator that `fit` takes."""

    def __init__(self) -> None:
        self.images, self.wait_s = 0, 0.0

    def through(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yields the batches."""
        while True:
            began = perf_counter()
            x, y = next(batches)[:2]
            self.wait_s += perf_counter() - began
            self.images += len(x)
            yield x, y
