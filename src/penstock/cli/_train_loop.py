"""Fitting a model epoch by epoch, in a way that can stop after any batch and go on there."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol, final

import keras

from penstock._errors import PenstockError
from penstock.cli._stop_signals import StopWish, stop_wishes
from penstock.cli._train_callbacks import Steps, Watcher
from penstock.cli._train_files import RunFolder
from penstock.cli._train_state import RunState, torch_generators
from penstock.keras._flow import Flow
from penstock.keras._input_report import InputReport
from penstock.keras._tracker import Tracker


class TrainingStopped(Exception):
    """Somebody wanted it; where the run is has been saved.

    Attributes:
        wish: what came.
    """

    def __init__(self, wish: StopWish) -> None:
        super().__init__("training was stopped")
        self.wish = wish


class FeedFailed(Exception):
    """A batch could not be made; where the run is has been saved. The text is that of the error."""


class Listener(Protocol):
    """What is told how training goes on."""

    def step(self, done: int, logs: dict[str, float]) -> None:
        """So many batches of the epoch are trained."""

    def test_step(self, done: int) -> None:
        """So many batches of the validation images have been looked at."""

    def epoch(self, row: dict[str, float], is_best: bool, verdict: str) -> None:
        """An epoch is over."""

    def stopping(self) -> None:
        """A signal has come; called within a signal handler."""


@final
class TrainingLoop:
    """Trains a model on a flow, and saves what is needed to go on with the very next batch.

    Keras fits one epoch at a time, and of an epoch that was stopped what is left of it. For further callbacks it is all
    one training, with batches numbered as in the whole epoch.

    Args:
        model: compiled for the accuracy, and built, with its optimizer.
        training, validation: the flows; `training` is where `state` says.
        state: where the run is.
        folder: where it is saved.
        listener: is told how it goes on.
        callbacks: of Keras, further ones.
        save_s: seconds between two savings within an epoch.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        model: Any,
        training: Flow,
        validation: Flow,
        state: RunState,
        folder: RunFolder,
        listener: Listener,
        *,
        callbacks: Sequence[Any] = (),
        save_s: float = 300.0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.state = state
        self._model, self._training, self._validation = model, training, validation
        self._folder, self.listener = folder, listener
        self._callbacks, self._save_s, self._clock = callbacks, save_s, clock
        self.wish = StopWish()
        self._epoch_began = self._saved_at = 0.0

    def run(self, epochs: int) -> None:
        """Train until there are so many epochs, or a callback ends it.

        Raises:
            TrainingStopped: on Ctrl-C and SIGTERM, when the step is over and all is saved.
            KeyboardInterrupt: on a second Ctrl-C, at once.
            FeedFailed: a batch could not be made.
        """
        report = InputReport(self._training)
        watcher = Watcher(self)
        everybody = keras.callbacks.CallbackList(
            [report, watcher, *self._callbacks], model=self._model, epochs=epochs, steps=len(self._training)
        )
        with stop_wishes(self.listener.stopping) as self.wish:
            self._saved_at = self._clock()
            if not self.state.generators:
                self.state = replace(self.state, generators=torch_generators())
            everybody.on_train_begin()
            try:
                while self.state.epoch < epochs and self._epoch(everybody):
                    is_best = self._finish_epoch(watcher.logs)
                    self.listener.epoch(self.state.history[-1], is_best, report.periods[-1].line())
                    if self.wish:
                        raise TrainingStopped(self.wish)
                    if self._model.stop_training:
                        break
            except BaseException as error:
                self._tell_trackers(error)
                raise
            finally:
                everybody.on_train_end()

    def _tell_trackers(self, error: BaseException) -> None:
        """How training ends, which Keras's hooks do not tell."""
        for callback in self._callbacks:
            if not isinstance(callback, Tracker):
                continue
            if isinstance(error, TrainingStopped | KeyboardInterrupt):
                came = self.wish.signal
                callback.ends_as("KILLED", "Ctrl-C" if came in (None, signal.SIGINT) else came.name)
            else:
                callback.ends_as("FAILED", f"{type(error).__name__}: {error}")

    def save(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Save in mid-epoch.

        Args:
            batch: how many of the epoch are trained.
            logs: of all of them; None where some are left.
        """
        steps = len(self._training)
        state = replace(
            self.state,
            batch=batch,
            logs=logs,
            seconds=self._seconds(),
            flow=self._training.state_dict(position=self.state.epoch * steps + batch),
        )
        self._save(state, metrics=logs is None)

    def restore(self, model: Any) -> None:
        """Put a model where a run that goes on was, once: when Keras has built it, for that draws random numbers."""
        state = self.state
        if state.arrays:
            state.restore(model)
            if state.batch and state.logs is None:
                state.restore_metrics(model)
            self.state = state.without_arrays()

    def is_due(self) -> bool:
        """Whether it is time to save again."""
        return self._clock() - self._saved_at >= self._save_s

    def _epoch(self, everybody: Any) -> bool:
        """Train an epoch, or what is left of it, and validate; returns False where a callback ended it before."""
        epoch = self.state.epoch
        self._epoch_began = self._clock() - self.state.seconds
        everybody.on_epoch_begin(epoch)
        logs = self.state.logs
        if logs is None:
            steps = Steps(self, everybody, self.state.batch, len(self._training))
            self._feed(self._fit, steps)
            if steps.done < len(self._training):
                self.save(steps.done)
                if self.wish:
                    raise TrainingStopped(self.wish)
                return False
            logs = steps.logs
            self.state = replace(self.state, batch=steps.done, logs=logs)
        tested: dict[str, float] = {}
        if not self.wish:
            tested = self._feed(self._evaluate, everybody)
        if self.wish:
            self.save(len(self._training), logs)
            raise TrainingStopped(self.wish)
        everybody.on_epoch_end(epoch, {**logs, **{f"val_{name}": value for name, value in tested.items()}})
        return True

    def _fit(self, steps: Steps) -> None:
        epoch, left = self.state.epoch, len(self._training) - self.state.batch
        self._model.fit(
            self._training,
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=left if self.state.batch else None,
            callbacks=[steps],
            verbose=0,
        )

    def _evaluate(self, everybody: Any) -> dict[str, float]:
        logs: dict[str, float] = self._model.evaluate(
            self._validation, callbacks=everybody, verbose=0, return_dict=True
        )
        return logs

    def _feed(self, call: Callable[[Any], Any], callback: Any) -> Any:
        """What a call of Keras's returns, unless a batch cannot be made: what was trained before is saved."""
        try:
            return call(callback)
        except Exception as error:
            text = _feed_error(error)
            if text is None:
                raise
            is_over = self.state.logs is not None
            # On JAX, `evaluate` that is left so keeps the weights to itself.
            getattr(self._model, "jax_state_sync", lambda: None)()
            self.save(self.state.batch if is_over else callback.done, self.state.logs)
            raise FeedFailed(text) from error

    def _finish_epoch(self, logs: dict[str, float]) -> bool:
        """Save what an epoch came to: the best model first, since what is saved last says that all is done.

        Returns:
            Whether it is the best so far.
        """
        epoch = self.state.epoch + 1
        row = {"epoch": epoch, **logs, "seconds": self._seconds()}
        best = self.state.best
        is_best = best is None or row["val_accuracy"] > best
        if is_best:
            self._folder.save_best(self._model)
            best = row["val_accuracy"]
        state = replace(
            self.state,
            epoch=epoch,
            batch=0,
            seconds=0.0,
            logs=None,
            best=best,
            history=(*self.state.history, row),
            flow=self._training.state_dict(position=epoch * len(self._training)),
        )
        self._save(state, metrics=False)
        self._folder.save_history(self.state.history)
        return is_best

    def _save(self, state: RunState, *, metrics: bool) -> None:
        self._folder.save(state.taken(self._model, metrics))
        self.state = state.without_arrays()
        self._saved_at = self._clock()

    def _seconds(self) -> float:
        return self._clock() - self._epoch_began


def _feed_error(error: BaseException) -> str | None:
    """What a feed complains of, also from within TensorFlow, which keeps its text alone; None for another error."""
    if isinstance(error, PenstockError):
        return str(error)
    found = re.search(r"penstock\._errors\.\w+: (.*)|\b(?:ImageError|BatchError|WorkerError): (.*)", str(error))
    return None if found is None else next(filter(None, found.groups()), "")
