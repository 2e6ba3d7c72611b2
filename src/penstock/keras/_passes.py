"""What Keras's data adapters are doing with a flow, told apart by their generators."""

from __future__ import annotations

from types import FrameType
from typing import Any, final
from weakref import WeakKeyDictionary

from penstock.keras._asker import (
    Asker,
    adapter_around,
    adapter_of,
    find_trainer,
    is_first_of_pass,
    is_keras_asking,
    is_look,
    is_pass,
)

_REMEMBERED = 8  # generators that are at it at a time: training, validation, and some that were left


@final
class Pass:
    """One of Keras's generators going through the batches.

    Attributes:
        asker: what it does.
        taken: batches it has got.
        ahead: how many of them have not been trained, once that is known; None while an epoch runs.
        epoch_start: position of the epoch that its addresses belong to; None before the first.
    """

    def __init__(self, asker: Asker) -> None:
        self.asker = asker
        self.taken = 0
        self.ahead: int | None = None
        self.epoch_start: int | None = None


@final
class Passes:
    """Knows who asks, also where TensorFlow asks from a thread of its own, ahead of training.

    Keras announces each epoch by a hook, in the thread that called `fit`, `evaluate` or `predict`. What that says is
    kept by adapter; a generator belongs to its adapter, and keeps the meaning that it began with.
    """

    def __init__(self) -> None:
        self._announced: WeakKeyDictionary[Any, Asker] = WeakKeyDictionary()
        self._latest: WeakKeyDictionary[Any, Pass] = WeakKeyDictionary()
        self._running: dict[int, Pass] = {}  # by the generator's frame; an address is used again only by a first batch

    def of(self, frame: FrameType | None) -> Pass:
        """Who asks, by the frame that called `flow[i]`. About 3 us under Keras, 0.2 us for others."""
        if frame is None or not is_keras_asking(frame):
            return Pass(Asker.USER)
        if not is_pass(frame):
            return Pass(Asker.PEEK if is_look(frame) else Asker.USER)
        if is_first_of_pass(frame) or id(frame) not in self._running:
            self._begin(frame)
        return self._running[id(frame)]

    def around(self, frame: FrameType | None) -> Pass | None:
        """The pass of Keras's over a dataset of the user's, in which that reads by address; None for none."""
        adapter_frame = adapter_around(frame)
        return None if adapter_frame is None else self.of(adapter_frame)

    def epoch_begins(self, hook: FrameType | None) -> int:
        """Keras begins an epoch.

        Returns:
            How far the stream's position has to move on: what the pass has got already.
        """
        if hook is None or not is_keras_asking(hook):
            return 0
        adapter, asker = adapter_of(hook), find_trainer(hook)
        if asker is not None:
            self._announced[adapter] = asker
        latest = self._latest.get(adapter)
        ahead = 0 if latest is None else latest.ahead or 0
        if latest is not None:
            latest.ahead = None
        return ahead

    def announced(self, hook: FrameType) -> Asker | None:
        """What the adapter that calls a hook said it does; None for a user's call."""
        return self._announced.get(adapter_of(hook)) if is_keras_asking(hook) else None

    def epoch_ends(self, hook: FrameType | None) -> int:
        """Keras has trained an epoch.

        Returns:
            How far the stream's position has to move back: batches that TensorFlow has asked for and not trained.
        """
        if hook is None or not is_keras_asking(hook):
            return 0
        latest = self._latest.get(adapter_of(hook))
        # Keras counts the steps of a generator, and from 0 again once that has come to its end.
        trained = getattr(adapter_of(hook.f_back), "_steps_seen", 0) if hook.f_back is not None else 0
        # As many are taken, too: TensorFlow may only be about to ask for more.
        if latest is None or not latest.asker.takes_tickets or not 0 < trained <= latest.taken:
            return 0
        latest.ahead = latest.taken - trained
        return latest.ahead

    def _begin(self, frame: FrameType) -> None:
        adapter = adapter_of(frame)
        shuffled = bool(getattr(adapter, "shuffle", False))
        asker = self._announced.get(adapter) or find_trainer(frame)
        if asker is None:  # neither announced nor on this stack: only training shuffles
            asker = Asker.TRAINING if shuffled else Asker.READING
        if asker is Asker.TRAINING and shuffled:
            asker = Asker.SHUFFLED_TRAINING
        self._latest[adapter] = Pass(asker)
        self._running.pop(id(frame), None)
        self._running[id(frame)] = self._latest[adapter]
        if len(self._running) > _REMEMBERED:
            del self._running[next(iter(self._running))]
