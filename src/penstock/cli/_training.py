"""Fitting a model, with a word after every step and epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import keras

from penstock.cli._ctrl_c import remembered_ctrl_c
from penstock.keras._flow import Flow


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to; accuracies are shares from 0 to 1.

    Attributes:
        number: from 1.
        loss, accuracy: on the augmented training images, while they were learnt.
        validation_accuracy: afterwards, on the held-out images as they are.
        seconds: both together.
    """

    number: int
    loss: float
    accuracy: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Training:
    """What training came to.

    Attributes:
        epochs: in order.
        seconds: in all.
        wait_s: of them, how long the model waited for training images.
    """

    epochs: tuple[Epoch, ...]
    seconds: float
    wait_s: float


def train(
    model: Any,
    training: Flow,
    validation: Flow,
    epochs: int,
    *,
    on_step: Callable[[], object] = lambda: None,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
) -> Training:
    """Fit a compiled model that measures its accuracy.

    Args:
        model: compiled with `metrics=["accuracy"]`.
        training, validation: what to fit and what to test with.
        epochs: at least 1.
        on_step: called after each step.
        on_epoch: called after each epoch.

    Raises:
        KeyboardInterrupt: on Ctrl-C, at the end of the step at the latest.
    """
    began = perf_counter()
    with remembered_ctrl_c() as check_ctrl_c:
        reporter = _Reporter(lambda: (check_ctrl_c(), on_step()), on_epoch)
        model.fit(training, validation_data=validation, epochs=epochs, verbose=0, callbacks=[reporter])
    return Training(tuple(reporter.epochs), perf_counter() - began, training.stats.wait_s)


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, on_step: Callable[[], object], on_epoch: Callable[[Epoch], object]) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []
        self._on_step, self._on_epoch = on_step, on_epoch
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._began = perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._on_step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(
            Epoch(
                number=epoch + 1,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                validation_accuracy=float(logs["val_accuracy"]),
                seconds=perf_counter() - self._began,
            )
        )
        self._on_epoch(self.epochs[-1])
