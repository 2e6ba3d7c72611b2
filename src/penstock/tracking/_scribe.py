"""The process that writes: takes messages from the program that trains, and sees it end."""

from __future__ import annotations

import getpass
import json
import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import IO, final

from penstock._errors import StoreError
from penstock.tracking._code import Commit, commit_of, package_versions, read_script
from penstock.tracking._files import files_fingerprint, listed_fingerprint
from penstock.tracking._killed import mark_killed
from penstock.tracking._machine import machine
from penstock.tracking._messages import Answer, Began, Begin, End, Epoch, Message, More, Trouble
from penstock.tracking._store import Store

FOLDER = "penstock"  # of a run's files
KEY_PACKAGES = (
    "penstock", "keras", "numpy", "jax", "jaxlib", "tensorflow", "tensorflow-cpu", "torch", "numba", "pillow", "scipy",
    "simplejpeg",
)  # fmt: skip
_LOOK_S = 1.0  # between two looks at whether the program is still there
_LAST_WORDS_S = 30.0  # for what is to be written when it is not
_MOST_FAILURES = 3  # in a row; then the store is gone

OpenStore = Callable[[str | None], Store]
Tell = Callable[[Answer], object]
Inbox = Callable[[], Message | None]


def main() -> None:
    """Take pickled messages from standard input, write pickled answers to standard output, and end."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)  # whatever prints must not get among them
    parent = os.getppid()
    messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, messages), daemon=True).start()

    def tell(answer: Answer) -> None:
        with suppress(OSError):  # nobody listens any more
            pickle.dump(answer, out)
            out.flush()

    def next_message() -> Message | None:
        while True:
            try:
                return messages.get(timeout=_LOOK_S)
            except queue.Empty:
                # A process that was forked from the program may hold the pipe open.
                if os.getppid() != parent:
                    return None

    def opened(uri: str | None) -> Store:
        from penstock.tracking._mlflow import MlflowStore

        return MlflowStore(uri, make=True)

    Scribe(opened, tell).write_all(next_message, _bounded)


def _bounded() -> None:
    """The program is gone: end in any case."""
    timer = threading.Timer(_LAST_WORDS_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


@final
class Scribe:
    """Writes a run into a store.

    Args:
        opened: a store by its address.
        tell: takes answers.
    """

    def __init__(self, opened: OpenStore, tell: Tell) -> None:
        self._opened, self._tell = opened, tell
        self._store: Store | None = None
        self._run = ""
        self._failures = 0

    def write_all(self, next_message: Inbox, on_lost: Callable[[], object] = lambda: None) -> None:
        """Until the run has ended, or the store is gone.

        Args:
            next_message: gives None where the program is gone.
            on_lost: called then.
        """
        while self._failures < _MOST_FAILURES:
            message = next_message()
            if message is None:
                on_lost()
                message = End("KILLED", time(), "the program was killed")
            try:
                if isinstance(message, Begin):
                    self._begin(message)
                else:
                    self._write(message)
                self._failures = 0
            except (StoreError, ImportError, OSError) as error:
                self._failures += 1
                self._tell(Trouble(" ".join(str(error).split())))
                if self._store is None:
                    return
            if isinstance(message, End):
                return

    def _begin(self, begin: Begin) -> None:
        script = None if begin.script is None else read_script(begin.script)  # at once, before anybody changes them
        commit = commit_of(Path(begin.folder))
        if commit is None and begin.script is not None:
            commit = commit_of(Path(begin.script).parent)
        store = self._opened(begin.store)
        mark_killed(store)
        versions = package_versions()
        tags = {**_names(begin), **begin.process.as_tags(), **begin.tags}
        if commit is not None:
            tags["mlflow.source.git.commit"] = commit.id
        self._run = store.begin(begin.experiment, begin.name, tags, begin.time_s)
        self._store = store
        self._tell(Began(self._run, store.uri))
        store.log_params(self._run, dict(begin.params))
        known = {f"machine.{name}": value for name, value in machine().items()}
        known |= {f"version.{name}": versions[name] for name in KEY_PACKAGES if name in versions}
        known |= _code(commit)
        store.log_params(self._run, known)
        files = {
            "run.json": _as_json(begin, commit),
            "packages.txt": "".join(f"{name}=={version}\n" for name, version in versions.items()).encode(),
            **begin.files,
        }
        if script is not None and begin.script is not None:
            files[f"script/{os.path.basename(begin.script)}"] = script
        if commit is not None and commit.diff:
            files["diff.patch"] = commit.diff.encode()
        self._log_files(files)
        if begin.paths:  # last: it may take a while
            told = files_fingerprint(begin.paths, begin.names)
            store.log_params(self._run, {f"data.{name}": value for name, value in told.items()})
        if begin.listed:
            told = listed_fingerprint(begin.listed)
            store.log_params(self._run, {f"data.{name}": value for name, value in told.items()})

    def _write(self, message: More | Epoch | End) -> None:
        store, run = self._store, self._run
        assert store is not None, "a run begins first"
        if isinstance(message, Epoch):
            store.log_metrics(run, message.metrics, message.number, message.time_s)
        elif isinstance(message, More):
            if message.tags:
                store.set_tags(run, message.tags)
            if message.params:
                store.log_params(run, message.params)
            self._log_files(message.files)
        else:
            if message.reason:
                store.set_tags(run, {"penstock.end": message.reason})
            store.end(run, message.status, message.time_s)

    def _log_files(self, files: Mapping[str, bytes]) -> None:
        store = self._store
        assert store is not None, "a run begins first"
        for path, content in files.items():
            store.log_file(self._run, f"{FOLDER}/{path}", content)


def _names(begin: Begin) -> dict[str, str]:
    """What MLflow's pages show."""
    names = {
        "mlflow.source.name": begin.script or (begin.argv[0] if begin.argv else ""),
        "mlflow.source.type": "LOCAL",
    }
    with suppress(KeyError, OSError, ImportError):
        names["mlflow.user"] = getpass.getuser()
    return {name: value for name, value in names.items() if value}


def _code(commit: Commit | None) -> dict[str, str]:
    if commit is None:
        return {}
    return {"code.commit": commit.id, "code.branch": commit.branch, "code.dirty": str(commit.is_dirty)}


def _as_json(begin: Begin, commit: Commit | None) -> bytes:
    """What it takes to run it again, as far as it is known."""
    known = {
        "version": 1,
        "argv": begin.argv,
        "script": begin.script,
        "folder": begin.folder,
        "python": sys.executable,
        "environment": dict(begin.environment),
        "params": dict(begin.params),
        "commit": None if commit is None else commit.id,
        "diff": None if commit is None else ("too long" if commit.diff is None else bool(commit.diff)),
        "untracked": [] if commit is None else commit.untracked[:1000],
    }
    return (json.dumps(known, indent=2) + "\n").encode()


def _receive(pipe: IO[bytes], messages: queue.SimpleQueue[Message | None]) -> None:
    """Until the pipe's other end is closed."""
    try:
        while True:
            messages.put(pickle.load(pipe))
    except (EOFError, OSError, pickle.UnpicklingError):  # the last where the program was killed while it wrote
        messages.put(None)
