"""What the program that trains tells the process that writes, and what that answers; all of it pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.tracking._processes import Process
from penstock.tracking._store import Status


@dataclass(frozen=True)
class Begin:
    """A run begins.

    Attributes:
        store: address of the store; None for what MLflow uses by default, `MLFLOW_TRACKING_URI` included.
        experiment, name: None for what the store chooses.
        params: what it is made of, by a name whose first part says of what: "generator", "flow", "model", "optimizer",
            "fit", "data", "stream".
        tags: what else is known.
        files: small ones to keep, by relative path.
        argv: the program's command line. script: the file that it runs; None for none, as in a notebook.
        folder: that it works in.
        environment: what of it makes a difference.
        process: the program itself.
        time_s: now, since 1970.
        paths: of the data's files as they are opened, and names: as they are listed.
        listed: of files that are asked nothing more, since they lie elsewhere, names, bytes, -1 for what is not known,
            and what changes with each, "" for what is not known.
    """

    store: str | None
    experiment: str | None
    name: str | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    files: Mapping[str, bytes]
    argv: tuple[str, ...]
    script: str | None
    folder: str
    environment: Mapping[str, str]
    process: Process
    time_s: float
    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    listed: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True)
class More:
    """What became known later.

    Attributes:
        params, tags, files: as in `Begin`.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Epoch:
    """An epoch is over.

    Attributes:
        number: from 0.
        metrics: its figures.
        time_s: since 1970.
    """

    number: int
    metrics: Mapping[str, float]
    time_s: float


@dataclass(frozen=True)
class End:
    """The run is over.

    Attributes:
        status: how.
        time_s: since 1970.
        reason: in words, where it is not "FINISHED".
    """

    status: Status
    time_s: float
    reason: str = ""


Message = Begin | More | Epoch | End


@dataclass(frozen=True)
class Began:
    """The store has a run.

    Attributes:
        run: its id.
        store: the store's address, without a password.
    """

    run: str
    store: str


@dataclass(frozen=True)
class Trouble:
    """Something could not be recorded.

    Attributes:
        what: in words.
    """

    what: str


Answer = Began | Trouble
