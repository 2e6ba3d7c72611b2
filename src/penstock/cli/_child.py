"""A program that a command runs, and that ends with it, whatever ends that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import IO, final

import penstock.cli._guard
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

    It reads nothing, so that nobody waits for an answer. When this process is gone, be it by `kill -9` or with its
    terminal, the group gets SIGTERM, and SIGKILL when the grace is over.
    """

    def __init__(self, launch: Launch) -> None:
        guard = _Guard()
        try:
            self._process = self._begun(launch)
        except BaseException:
            guard.dismiss()
            raise
        guard.watch(self._process.pid)
        self._guard = guard
        self._asked_until_s: float | None = None

    @staticmethod
    def _begun(launch: Launch) -> subprocess.Popen[bytes]:
        out: IO[bytes] | None = None if launch.log is None else launch.log.open("ab")
        try:
            return subprocess.Popen(
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

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None while it runs."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._guard.dismiss()
        return code

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
        self._guard.dismiss()

    def _send(self, number: int) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


@final
class _Guard:
    """A process that sees this one end; see `_guard`."""

    def __init__(self) -> None:
        file = penstock.cli._guard.__file__
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", file, f"{GRACE_S}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """It is there, and is to end with this process."""
        self._tell(f"{group}\n".encode())

    def dismiss(self) -> None:
        """Its program has ended; may be called twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._tell(b".")
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, text: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # somebody has killed it
            self._process.stdin.write(text)
            self._process.stdin.flush()


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
