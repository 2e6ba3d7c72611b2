"""Ctrl-C, for code that calls others who swallow it, or crash of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def remembered_ctrl_c() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C interrupt as ever, and remember that it did.

    Keras turns each step's losses into numbers under a bare `except:` (`pythonify_logs`), which is where JAX waits for
    the step to finish: nearly every Ctrl-C comes there, and is lost.

    For the main thread, which alone may listen to signals.

    Yields:
        A function to call now and then, which raises KeyboardInterrupt if one has come. The end of the block does, too,
        whatever else it ends with.
    """
    came = False

    def remember(number: int, frame: Any) -> None:
        nonlocal came
        came = True
        signal.default_int_handler(number, frame)

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
        check()


@contextmanager
def deferred_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt at the end of the block, and a second one at once.

    Keras and its back ends, interrupted while they are imported, swallow it or crash in the middle of an extension's
    beginning. Does nothing in other threads than the main one, and where somebody else listens.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return
    came = False

    def remember(number: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal came
        came = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt
