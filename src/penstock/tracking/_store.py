"""What a store of runs can do, and what a run is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from penstock.tracking._secrets import mask_tokens

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
NOTEBOOK = "notebook.py"  # in place of a script's name: the cells that had been run


@dataclass(frozen=True)
class Point:
    """A value of a metric.

    Attributes:
        step: the epoch, from 0.
        value: then.
    """

    step: int
    value: float


@dataclass(frozen=True)
class Run:
    """A run as a store keeps it.

    Attributes:
        id: of the store's.
        name: for people.
        status: "RUNNING", "FINISHED", "FAILED", "KILLED", or another word of the store's.
        began_s, ended_s: since 1970; the end is None while it runs.
        params: what it was made of; see `_messages.Begin`.
        metrics: the last value of each.
        tags: what else is known.
    """

    id: str
    name: str
    status: str
    began_s: float
    ended_s: float | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def runs_command(address: str | None) -> str:
    """What a user types to see the runs of a store; None for the one by default."""
    return shlex.join(["penstock", "runs", *(["--store", mask_tokens(address)] if address else [])])


class Store(Protocol):
    """Keeps runs. Whatever fails raises a `StoreError`."""

    @property
    def uri(self) -> str:
        """Where it is, without a password."""
        ...

    @property
    def address(self) -> str:
        """With which another process in any folder opens it; it may hold a password."""
        ...

    def begin(self, experiment: str | None, name: str | None, tags: Mapping[str, str], time_s: float) -> str:
        """A new run's id; None for the experiment and the name that the store chooses."""
        ...

    def log_params(self, run: str, params: Mapping[str, str]) -> None:
        """Add to what a run was made of."""
        ...

    def log_metrics(self, run: str, values: Mapping[str, float], step: int, time_s: float) -> None:
        """Add a point to each of these."""
        ...

    def log_file(self, run: str, path: str, content: bytes) -> None:
        """Keep a file beside a run, by a relative path with slashes."""
        ...

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Add to what else is known, or change it."""
        ...

    def end(self, run: str, status: Status, time_s: float | None = None) -> None:
        """It is over, since then; None for now."""
        ...

    def runs(self, most: int, status: Status | None = None) -> Sequence[Run]:
        """The latest, newest first."""
        ...

    def matching(self, prefix: str) -> Sequence[Run]:
        """Those whose id begins so, or whose name is this."""
        ...

    def history(self, run: str, metric: str) -> Sequence[Point]:
        """All values of a metric, by step."""
        ...

    def read_file(self, run: str, path: str) -> bytes | None:
        """What `log_file` kept; None for nothing."""
        ...
