"""Ctrl-C while others are at it who swallow it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from pathlib import Path

import pytest

from penstock.cli._ctrl_c import deferred_ctrl_c
from penstock.cli._load_keras import load_keras

SWALLOWS = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    raise SystemExit("interrupted in the middle")
from types import SimpleNamespace
config = SimpleNamespace(disable_interactive_logging=print, set_image_data_format=print, set_floatx=print)
"""


def test_ctrl_c_while_keras_is_imported_comes_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keras.py").write_text(SWALLOWS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(KeyboardInterrupt):
        load_keras()
    assert sys.modules.pop("keras").__file__ == str(tmp_path / "keras.py")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_comes_at_once() -> None:
    reached = []

    def insist() -> None:
        with deferred_ctrl_c():
            signal.raise_signal(signal.SIGINT)
            reached.append(1)
            signal.raise_signal(signal.SIGINT)
            reached.append(2)

    with pytest.raises(KeyboardInterrupt):
        insist()
    assert reached == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_comes_in_the_place_of_the_error_that_it_led_to() -> None:
    def fail() -> None:
        with deferred_ctrl_c():
            signal.raise_signal(signal.SIGINT)
            raise ImportError

    with pytest.raises(KeyboardInterrupt):
        fail()


def test_who_listens_already_goes_on_listening() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with deferred_ctrl_c():
            signal.raise_signal(signal.SIGINT)
            assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_ctrl_c_and_in_other_threads_nothing_changes() -> None:
    with pytest.raises(ZeroDivisionError), deferred_ctrl_c():
        raise ZeroDivisionError
    errors: list[BaseException] = []

    def elsewhere() -> None:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(deferred_ctrl_c())
            except ValueError as error:  # what `signal` says there
                errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert errors == []
