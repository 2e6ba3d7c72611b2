"""Ctrl-C and SIGTERM as a wish, which a loop grants when it has saved its work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@final
class StopWish:
    """Whether somebody wants the program to end.

    Attributes:
        signal: which signal came; None for none.
        insists: whether Ctrl-C came once more.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.insists = False

    def __bool__(self) -> bool:
        return self.signal is not None

    def check_insists(self) -> None:
        """Raise what Keras may have swallowed: see `remembered_ctrl_c`."""
        if self.insists:
            raise KeyboardInterrupt


@contextmanager
def stop_wishes(on_wish: Callable[[], object] = lambda: None) -> Iterator[StopWish]:
    """Note the first signal instead of being interrupted by it; a second Ctrl-C interrupts at once.

    Outside the main thread, which alone may listen to signals, nothing is noted; nor is a signal that the program was
    begun with ignored, as Ctrl-C is by jobs in the background.

    Args:
        on_wish: called when the first one comes, between any two instructions of the main thread.
    """
    wish = StopWish()

    def note(number: int, frame: Any) -> None:
        if wish and number == signal.SIGINT:
            wish.insists = True
            signal.default_int_handler(number, frame)
        if not wish:
            wish.signal = signal.Signals(number)
            on_wish()

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    heard = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
