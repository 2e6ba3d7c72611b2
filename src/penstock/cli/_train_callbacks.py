"""What Keras calls while it fits one epoch, or what is left of one, for a loop that saves and stops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras

from penstock.cli._train_state import set_torch_generators, torch_generators

if TYPE_CHECKING:
    from penstock.cli._train_loop import TrainingLoop


class Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """What Keras calls while it fits what is left of an epoch.

    Attributes:
        done: batches of the epoch that are trained.
        logs: of the epoch, when Keras has come to its end.
    """

    def __init__(self, loop: TrainingLoop, everybody: Any, done: int, steps: int) -> None:
        super().__init__()
        self.done = self._before = done
        self.logs: dict[str, float] = {}
        self._loop, self._everybody, self._steps = loop, everybody, steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._loop.restore(self.model)
        self._loop.listener.step(self.done, {})

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 0:  # also PyTorch's loader draws, where a fit begins and where it ends
            set_torch_generators(self._loop.state.generators)
        self._everybody.on_train_batch_begin(self._before + batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done = self._before + batch + 1
        self._loop.state = replace(self._loop.state, generators=torch_generators())
        self._everybody.on_train_batch_end(self.done - 1, logs)
        self._loop.listener.step(self.done, logs or {})
        self._loop.wish.check_insists()
        if self._loop.wish:
            self._model.stop_training = True
        elif self.done < self._steps and self._loop.is_due():
            _ = self.model  # which fetches all weights
            self._loop.save(self.done)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.logs = {name: float(value) for name, value in (logs or {}).items()}


class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
    """Sees validation, and what an epoch came to.

    Attributes:
        logs: of the last epoch, with those of callbacks before this one.
    """

    def __init__(self, loop: TrainingLoop) -> None:
        super().__init__()
        self.logs: dict[str, float] = {}
        self._loop = loop

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._loop.restore(self.model)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Nothing; it is here so that Keras calls this list's callbacks in turn, and in its own thread."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._loop.listener.test_step(batch + 1)
        self._loop.wish.check_insists()
        if self._loop.wish:
            self._model.stop_evaluating = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.logs = {name: float(value) for name, value in (logs or {}).items()}
