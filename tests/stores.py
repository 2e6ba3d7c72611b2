"""Stores of runs for tests."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock import StoreError
from penstock.tracking._messages import Answer, Began, Begin, End
from penstock.tracking._processes import Process
from penstock.tracking._scribe import Scribe
from penstock.tracking._store import Point, Run, Status


@dataclass
class FakeStore:
    """Keeps runs in memory; as `Store` has it.

    Attributes:
        broken: names of methods that fail.
    """

    uri: str = "fake://"
    address: str = "fake://me:password@"
    kept: dict[str, Run] = field(default_factory=dict)
    points: dict[tuple[str, str], list[Point]] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def begin(self, experiment: str | None, name: str | None, tags: Mapping[str, str], time_s: float) -> str:
        self._ask("begin")
        run = f"{next(self._numbers):08x}"
        self.kept[run] = Run(run, name or "unnamed", "RUNNING", time_s, None, {}, {}, dict(tags))
        return run

    def log_params(self, run: str, params: Mapping[str, str]) -> None:
        self._ask("log_params")
        self._change(run, params={**self.kept[run].params, **params})

    def log_metrics(self, run: str, values: Mapping[str, float], step: int, time_s: float) -> None:
        self._ask("log_metrics")
        self._change(run, metrics={**self.kept[run].metrics, **values})
        for name, value in values.items():
            self.points.setdefault((run, name), []).append(Point(step, value))

    def log_file(self, run: str, path: str, content: bytes) -> None:
        self._ask("log_file")
        self.files[run, path] = content

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        self._ask("set_tags")
        self._change(run, tags={**self.kept[run].tags, **tags})

    def end(self, run: str, status: Status, time_s: float | None = None) -> None:
        self._ask("end")
        self._change(run, status=status, ended_s=time_s or 0.0)

    def runs(self, most: int, status: Status | None = None) -> Sequence[Run]:
        self._ask("runs")
        return [run for run in reversed(self.kept.values()) if status in (None, run.status)][:most]

    def matching(self, prefix: str) -> Sequence[Run]:
        return [run for run in self.kept.values() if run.id.startswith(prefix) or run.name == prefix]

    def history(self, run: str, metric: str) -> Sequence[Point]:
        return self.points.get((run, metric), [])

    def read_file(self, run: str, path: str) -> bytes | None:
        return self.files.get((run, path))

    def _ask(self, what: str) -> None:
        if what in self.broken:
            raise StoreError(f"{what} is broken")

    def _change(self, run: str, **changes: Any) -> None:
        self.kept[run] = replace(self.kept[run], **changes)


class WrittenHere:
    """Stands for the recorder, and writes into a store of MLflow's from a thread: MLflow is loaded here already."""

    def __init__(self, begin: Begin, at_loss: Callable[[], End], patience_s: float) -> None:
        self.troubles: list[str] = []
        self.has_ended = False
        self._began: Began | None = None
        self._patience_s = patience_s
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="penstock-written-here")
        self._thread.start()
        self.send(begin)

    def send(self, message: Any) -> None:
        self._messages.put(message() if callable(message) else message)

    def end(self, end: End) -> None:
        self.send(end)
        self._thread.join(self._patience_s)
        self.has_ended = True

    def run_id(self, timeout_s: float) -> str | None:
        return self._began and self._began.run

    @property
    def store(self) -> str | None:
        return self._began and self._began.store

    def _write(self) -> None:
        from penstock.tracking._mlflow import MlflowStore

        Scribe(lambda uri: MlflowStore(uri, make=True), self._told).write_all(self._messages.get)

    def _told(self, answer: Answer) -> None:
        if isinstance(answer, Began):
            self._began = answer
        else:
            self.troubles.append(answer.what)


def begin(**changes: Any) -> Begin:
    """A message as a program sends it."""
    message = Begin(
        store=None,
        experiment=None,
        name=None,
        params={"flow.batch_size": "4"},
        tags={},
        files={"model.txt": b"a model"},
        argv=("train.py",),
        script=None,
        folder="/nowhere",
        environment={},
        process=Process.this(),
        time_s=1000.0,
    )
    return replace(message, **changes)
