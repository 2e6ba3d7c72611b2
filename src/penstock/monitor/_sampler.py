"""A thread that asks probes at regular times."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import final

from penstock.monitor._probes import Probe

Receiver = Callable[[float, Mapping[str, float]], None]


@final
class Sampler:
    """Asks probes every `interval_s` until it is stopped, forgotten, or the interpreter ends.

    A probe that fails is left out from then on, with one warning.

    Args:
        probes: by a name for the warning.
        interval_s: between two rounds; one that is late does not shift those after it.
        receive: gets the seconds since the start, and what was measured. It must not refer to this.
    """

    def __init__(self, probes: Mapping[str, Probe], interval_s: float, receive: Receiver) -> None:
        # Not an event, whose lock the collector, which may run anywhere, could find taken by its own thread.
        self._over: SimpleQueue[None] = SimpleQueue()
        self.began_s = perf_counter()
        self._thread = threading.Thread(
            target=_sample,
            args=(dict(probes), interval_s, receive, self.began_s, self._over),
            name="penstock-monitor",
            daemon=True,
        )
        self._thread.start()
        weakref.finalize(self, self._over.put, None)  # before the interpreter ends, too

    def stop(self) -> None:
        """End the thread, after a last round; may be called twice."""
        self._over.put(None)
        self._thread.join()


def _sample(
    probes: dict[str, Probe], interval_s: float, receive: Receiver, began_s: float, over: SimpleQueue[None]
) -> None:
    number, is_over = -1, False
    while not is_over:
        number = max(number + 1, int((perf_counter() - began_s) / interval_s))
        is_over = _rings(over, began_s + number * interval_s - perf_counter())
        now_s = perf_counter() - began_s
        measured: dict[str, float] = {}
        for name in list(probes):
            try:
                measured |= probes[name]()
            except Exception as error:
                del probes[name]
                _warn(f"penstock: the monitor goes on without {name}: {type(error).__name__}: {error}")
        receive(now_s, measured)


def _rings(bell: SimpleQueue[None], within_s: float) -> bool:
    try:
        bell.get(timeout=max(0.0, within_s))
    except Empty:
        return False
    return True


def _warn(message: str) -> None:
    with suppress(RuntimeWarning):  # where warnings are errors, since this thread has nobody to tell
        warnings.warn(message, RuntimeWarning, stacklevel=3)
