"""A thread that asks probes at regular times."""

from __future__ import annotations

import atexit
import math
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import final

from penstock.monitor._probes import Probe

_JOIN_S = 5.0  # a driver that never answers must not keep the interpreter from ending
Receiver = Callable[[float, Mapping[str, float]], None]


@final
class Sampler:
    """Asks probes every `interval_s` until it is stopped, forgotten, or the interpreter ends.

    A probe that fails is left out from then on, with one warning.

    Args:
        probes: by a name for the warning.
        interval_s: between two rounds; one that is late does not shift those after it, and none follows another one
            within half of it, since a rate over so short a time is noise.
        receive: gets the seconds since the start, and what was measured. It must not refer to this.
    """

    def __init__(self, probes: Mapping[str, Probe], interval_s: float, receive: Receiver) -> None:
        self.began_s = perf_counter()
        self._rounds = _Rounds(dict(probes), interval_s, receive, self.began_s)
        self._rounds.start()
        # A collection may run anywhere, in the thread itself, too: signal, do not join.
        weakref.finalize(self, self._rounds.dismiss).atexit = False

    def stop(self) -> None:
        """End the thread, after a last round; may be called twice."""
        self._rounds.end()


@final
class _Rounds:
    """The thread, which does not know the sampler that it belongs to, so that this can be collected."""

    def __init__(self, probes: dict[str, Probe], interval_s: float, receive: Receiver, began_s: float) -> None:
        self._probes = probes
        self._interval_s = interval_s
        self._receive = receive
        self._began_s = began_s
        # Not an event, whose lock the collector, which may run anywhere, could find taken by its own thread.
        self._over: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="penstock-monitor", daemon=True)

    def start(self) -> None:
        # A daemon, since the interpreter joins others before it lets anyone tell them to stop. Joined at its end, so
        # that it does not come back from a system's call to an interpreter that is gone.
        self._thread.start()
        atexit.register(self.end)

    def dismiss(self) -> None:
        self._over.put(None)

    def end(self) -> None:
        self.dismiss()
        self._thread.join(_JOIN_S)
        atexit.unregister(self.end)

    def _run(self) -> None:
        number, last_s, is_over = 0, -math.inf, False
        while not is_over:
            is_over = number > 0 and _rings(self._over, self._began_s + number * self._interval_s - perf_counter())
            now_s = perf_counter() - self._began_s
            # Two rounds come in any case: with them there are rates, of however short a time.
            if not is_over or number < 2 or now_s - last_s >= self._interval_s / 2:
                self._receive(now_s, self._measured())
            number, last_s = int((perf_counter() - self._began_s) / self._interval_s + 1.5), now_s
        atexit.unregister(self.end)

    def _measured(self) -> dict[str, float]:
        measured: dict[str, float] = {}
        for name in list(self._probes):
            try:
                measured |= self._probes[name]()
            except Exception as error:
                del self._probes[name]
                _warn(f"penstock: the monitor goes on without {name}: {type(error).__name__}: {error}")
        return measured


def _rings(bell: SimpleQueue[None], within_s: float) -> bool:
    try:
        bell.get(timeout=min(max(0.0, within_s), threading.TIMEOUT_MAX))
    except Empty:
        return False
    return True


def _warn(message: str) -> None:
    with suppress(RuntimeWarning):  # where warnings are errors, since this thread has nobody to tell
        warnings.warn(message, RuntimeWarning, stacklevel=3)
