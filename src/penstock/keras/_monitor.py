"""`penstock.Monitor`: the monitor as a Keras callback."""

from __future__ import annotations

import weakref
from typing import Any, Self

import keras

from penstock.keras._fit_call import what_lives
from penstock.monitor._monitor import Monitor as _Monitor

_VALIDATION, _CALLBACKS = "validation", "callbacks"
_TRAINING, _PREDICTION = "training", "prediction"
_METHODS = {_TRAINING: "fit", _PREDICTION: "predict", _VALIDATION: "evaluate"}


class Monitor(_Monitor, keras.callbacks.Callback):  # type: ignore[misc]
    """Measures the machine and every running flow, ten times a second, in a thread that costs under 1 % of a core.

    Use it around anything, as a context manager or with `start` and `stop`, or give it to `fit(callbacks=[monitor])`,
    where epochs, validation and the time that callbacks take are marked, too; what it does not find running, it then
    starts and stops, and so for `evaluate` and `predict`. Keras does not tell of one that fails: it stops as soon as
    nothing of the call is left, its exception included.

    Measured are, as columns of `records`: `cpu_percent` of the machine and `worker_0_cpu_percent` of each worker of the
    flows; `memory_mb` of the program and its worker processes; `gpu_0_percent` and `gpu_0_memory_mb` of each GPU, with
    `pip install penstock[gpu]`; `disk_read_mb_per_s` of the machine; and of each flow `feed_0_samples_per_s`,
    `feed_0_wait_percent` (how much of the time the consumer waited), `feed_0_ready_batches`, `feed_0_queue_percent`
    and `feed_0_busy_workers`. What cannot be measured is absent.

    Args:
        interval: seconds between two measurements. After about an hour of the default one neighbours are averaged, and
            so on, so that memory stays below 10 MB.

    Example:
        >>> import numpy as np
        >>> from penstock import ImageDataGenerator, Monitor
        >>> flow = ImageDataGenerator(rotation_range=20).flow(np.zeros((64, 32, 32, 3), "uint8"), np.zeros(64))
        >>> with flow, Monitor() as monitor:
        ...     for _ in range(100):
        ...         batch = next(flow)
        >>> records = monitor.records
        >>> [name for name in records if name.startswith("feed_0")]  # doctest: +NORMALIZE_WHITESPACE
        ['feed_0_ready_batches', 'feed_0_queue_percent', 'feed_0_busy_workers', 'feed_0_samples_per_s',
         'feed_0_wait_percent']
        >>> records["time_s"][-1] <= monitor.duration
        np.True_
    """

    def __init__(self, interval: float = 0.1) -> None:
        keras.callbacks.Callback.__init__(self)
        _Monitor.__init__(self, interval)
        self._started_by: str | None = None

    def stop(self) -> Self:
        """End it, and keep what was measured; without a `start()`, nothing."""
        self._started_by = None
        return super().stop()

    def on_train_begin(self, logs: Any = None) -> None:
        """Start, unless somebody has."""
        self._begin(_TRAINING)

    def on_train_end(self, logs: Any = None) -> None:
        """Stop, if `fit` has started it."""
        self.mark(_CALLBACKS, is_end=True)
        self._end(_TRAINING)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Start, unless somebody has, and mark it."""
        self._begin(_PREDICTION)
        self.mark(_PREDICTION)

    def on_predict_end(self, logs: Any = None) -> None:
        """Mark it, and stop, if `predict` has started it."""
        self.mark(_PREDICTION, is_end=True)
        self._end(_PREDICTION)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Mark it."""
        if epoch:
            self.mark(_CALLBACKS, is_end=True)
        self.mark(f"epoch {epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Mark it, and that other callbacks have their turn."""
        self.mark(f"epoch {epoch + 1}", is_end=True)
        self.mark(_CALLBACKS)

    def on_test_begin(self, logs: Any = None) -> None:
        """Start, unless somebody has, as `fit` whose validation this is; and mark it."""
        self._begin(_VALIDATION)
        self.mark(_VALIDATION)

    def on_test_end(self, logs: Any = None) -> None:
        """Mark it, and stop, if `evaluate` has started it."""
        self.mark(_VALIDATION, is_end=True)
        self._end(_VALIDATION)

    def _begin(self, what: str) -> None:
        if self._started_by == what:  # Keras does not tell of the end of one that failed
            self.stop()
        if not self.is_running:
            self.start()
            self._started_by = what
            if (lives := what_lives(self.model, _METHODS[what])) is not None:
                weakref.finalize(lives, _left, weakref.ref(self), self._began_s).atexit = False

    def _end(self, what: str) -> None:
        if self._started_by == what:
            self.stop()


def _left(monitor: weakref.ref[Monitor], began_s: float) -> None:
    """The call that has started a monitor is over, and has not stopped it: it has failed."""
    found = monitor()
    if found is not None and found._started_by is not None and found._began_s == began_s:
        found._started_by = None
        found.abandon()
