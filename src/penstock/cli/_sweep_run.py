"""A run of a sweep on a machine of a Ray cluster, and what it leaves behind: executed there."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock.cli._child import Child, Launch

_TICK_S = 0.5


class Runner:
    """Runs a program, writes down how it ended, and ends itself, which frees what it was given of its machine.

    It is an actor that nobody owns: whoever began it may be gone. When it is killed, or its machine's part of Ray is,
    the program is asked to end, as `Child` says.

    Args:
        arguments: of Python.
        folder: that it works in, on a disk that all machines share.
        environment: beside that of the machine.
        log: gets what it says. ended: gets its exit code.
    """

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, ended: Path
    ) -> None:
        command = [sys.executable, *arguments]
        self._child = Child(Launch(command, folder, {**os.environ, **environment}, log))
        self._ended = ended
        self._is_over = threading.Event()
        self._is_awaited = False
        threading.Thread(target=self._wait, daemon=True).start()

    def run(self) -> None:
        """Ends this actor with its program; Ray speaks of a crash where one ends otherwise."""
        self._is_awaited = True
        self._is_over.wait()
        importlib.import_module("ray").actor.exit_actor()

    def look(self) -> None:
        """Answers as soon as the program has begun."""

    def ask(self, number: int) -> None:
        """Pass a signal on to the program, which may end in order."""
        self._child.ask(number)

    def _wait(self) -> None:
        try:
            while (code := self._child.wait(_TICK_S)) is None:
                self._child.hurry()
            new = self._ended.with_suffix(".new")
            new.write_text(json.dumps({"code": code}) + "\n", "utf-8")
            new.replace(self._ended)
        finally:
            self._is_over.set()
            if not self._is_awaited:  # who began it was gone before it could ask for that
                os._exit(0)
