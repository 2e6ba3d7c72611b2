"""Ctrl-C, SIGTERM and SIGHUP as a wish, which a loop grants when it has saved its work."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


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
    begun with ignored, as Ctrl-C is by jobs in the background, and SIGHUP by `nohup`.

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
            _leave_lost_terminal()
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


def _leave_lost_terminal() -> None:
    """Where the terminal was closed, what is said from now on goes nowhere: it would be an error instead."""
    try:
        import termios
    except ImportError:  # there are none
        return
    for number in (1, 2):
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)
