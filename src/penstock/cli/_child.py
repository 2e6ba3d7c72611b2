"""A program that a command runs, and that ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import IO, final

from penstock.cli._stop_signals import stop_wishes

GRACE_S = 120.0  # to save what it has, after it was asked to end
_TICK_S = 0.2


@dataclass(frozen=True)
class Launch:
    """What to run.

    Attributes:
        command: the program and its arguments.
        folder: that it works in.
        environment: all of it.
        log: a file to append its output to; None for the command's own.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path | None = None


@dataclass(frozen=True)
class Ended:
    """How it ended.

    Attributes:
        code: its exit code, or minus the signal that ended it.
        pid: of its process.
        signal: that the command got meanwhile, and passed on; None for none.
    """

    code: int
    pid: int
    signal: signal.Signals | None = None


@final
class Child:
    """A process in a group of its own: signals reach it, and all that it started, when they are passed on.

    It reads nothing, so that nobody waits for an answer.
    """

    def __init__(self, launch: Launch) -> None:
        out: IO[bytes] | None = None if launch.log is None else launch.log.open("ab")
        try:
            self._process = subprocess.Popen(
                list(launch.command),
                cwd=launch.folder,
                env=dict(launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=None if out is None else subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            if out is not None:
                out.close()
        self._asked_until_s: float | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None while it runs."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def ask(self, number: int, grace_s: float = GRACE_S) -> None:
        """Pass a signal on, once; when the grace is over, `hurry` ends the process."""
        if self._asked_until_s is None:
            self._asked_until_s = perf_counter() + grace_s
            self._send(number)

    def hurry(self) -> None:
        """End it if its grace is over."""
        if self._asked_until_s is not None and perf_counter() > self._asked_until_s:
            self.kill()

    def kill(self) -> None:
        """End it, and what it started, at once."""
        self._send(signal.SIGKILL)
        self._process.wait()

    def _send(self, number: int) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def run_child(launch: Launch) -> Ended:
    """Run a program to its end; Ctrl-C and SIGTERM are passed on, and it may end in order. A second Ctrl-C kills it."""
    with stop_wishes() as wish:
        child = Child(launch)
        try:
            while (code := child.wait(_TICK_S)) is None:
                if wish.signal is not None:
                    child.ask(wish.signal)
                child.hurry()
        finally:
            child.kill()
        return Ended(code, child.pid, wish.signal)
