"""Ctrl-C where it hurts: at each place of penstock's own code in which Python looks for a signal."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import penstock

OWN_CODE = (str(Path(penstock.__file__).parent), "concurrent/futures/_base.py", "threading.py")
# What Python itself does not bear an interrupt in, or swallows it: finalizers, and a thread that waits for another's
# start or end.
NOT_OURS = {("weakref.py", ""), ("_slots.py", "__del__"), ("threading.py", "start"), ("threading.py", "join")}


def called(call: Callable[[], Any], at: int) -> Any:
    """What a call returns, unless it is interrupted: KeyboardInterrupt comes at its place number `at`, from 0.

    Python looks for a signal when a function is called, and when one in C has returned. So an interrupt never comes
    between the last such place in `call` and the assignment of what it returns.

    Args:
        at: -1 for nowhere.
    """

    def count_down(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal at
        code = frame.f_code
        if event not in ("call", "c_return") or not any(part in code.co_filename for part in OWN_CODE):
            return
        if code.co_flags & inspect.CO_GENERATOR:  # one may be closed by the garbage collector just now
            return
        at -= 1
        if at < 0 and can_be_interrupted(frame):
            print("interrupted in", place_of(frame), flush=True)
            raise KeyboardInterrupt

    if at >= 0:
        sys.setprofile(count_down)
    try:
        return call()
    finally:
        sys.setprofile(None)


def called_at_line(call: Callable[[], Any], module: ModuleType, at: int) -> Any:
    """What a call returns, unless it is interrupted: before line number `at`, from 0, that it runs of a module."""

    def count_down(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal at
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            at -= 1
            if at == -1:
                sys.settrace(None)
                raise KeyboardInterrupt
        return count_down

    sys.settrace(count_down)
    try:
        return call()
    finally:
        sys.settrace(None)


def can_be_interrupted(frame: FrameType | None) -> bool:
    """Whether a frame is inside what `called` calls, and not in a user's code or a finalizer."""
    if frame is None or Path(frame.f_code.co_filename).name.startswith(("test_", "interrupts")):
        return False  # what a call has returned, and nobody has taken yet, is not the call's to keep
    while frame is not None:
        if frame.f_code is called.__code__:
            return True
        name = Path(frame.f_code.co_filename).name
        if name.startswith("test_") and frame.f_code.co_name != "<lambda>":
            return False
        if not {(name, ""), (name, frame.f_code.co_name)}.isdisjoint(NOT_OURS):
            return False
        frame = frame.f_back
    return False


def place_of(frame: FrameType | None) -> str:
    """Files and lines, the innermost first."""
    places = []
    while frame is not None and frame.f_code is not called.__code__:
        places.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(places)
