"""The same work fed by another library, in a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from penstock.bench._errors import BenchError
from penstock.bench._measure import Pace
from penstock.bench._workloads import QUEUE_BATCHES
from penstock.bench.peers._catalogue import GRAIN, PEERS, TF_DATA, TORCH
from penstock.bench.peers._in_process import run_module
from penstock.bench.study._data import Photographs, Sleeping, StudyData, data_from_json, data_to_json, in_batches_of
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._opened import Opened
from penstock.bench.study._setting import KERAS, Setting

_LIMIT_S = 1800.0  # the slowest, Keras's own generator under a large network, takes minutes a round
_EXTRA = "pip install 'penstock[peers]'"
NEEDS = {
    KERAS: ("keras",),
    TF_DATA: ("tensorflow|tensorflow-cpu",),
    TORCH: ("torch", "albumentations", "opencv-python-headless|opencv-python"),
    GRAIN: ("grain", "albumentations", "opencv-python-headless|opencv-python"),
}
HOW = {KERAS: "Keras's own generator, a batch when it is asked for, as `fit` does by default"} | {
    name: PEERS[name].how for name in (TF_DATA, TORCH, GRAIN)
}
_WAITS = (KERAS, TORCH)  # those that take anybody's sequence


@dataclass(frozen=True)
class PeerJob:
    """One piece of work.

    Attributes:
        setting: whose feed is a peer's name.
        data: what it feeds.
        images: to measure, at least.
        model: name of the network that trains; None to take batches only.
        backend: Keras's, for that network.
        cold: drop the files' cached pages first.
    """

    setting: Setting
    data: StudyData
    images: int
    model: str | None = None
    backend: str = "jax"
    cold: bool = False

    def to_json(self) -> str:
        """For the command line of the process."""
        fields = {"setting": asdict(self.setting), "data": data_to_json(self.data)}
        return json.dumps({**vars(self), **fields})

    @classmethod
    def from_json(cls, text: str) -> PeerJob:
        """Read one."""
        fields = json.loads(text)
        return cls(**{**fields, "setting": Setting(**fields["setting"]), "data": data_from_json(fields["data"])})


def missing_for(peer: str) -> str | None:
    """The first package that a peer lacks here; None where it has all."""
    for alternatives in NEEDS[peer]:
        if not any(_is_installed(name) for name in alternatives.split("|")):
            return alternatives.partition("|")[0]
    return None


def check_peer(peer: str, data_waits: bool) -> None:
    """Make sure that a peer can do it.

    Raises:
        BenchError: it is not installed, or cannot take a sequence that sleeps.
    """
    missing = missing_for(peer)
    if missing is not None:
        raise BenchError(f"{peer} needs {missing}, which is not installed: {_EXTRA}, or leave it out of --peers.")
    if data_waits and peer not in _WAITS:
        raise BenchError(f"--latency is for those that take a sequence: {' and '.join(_WAITS)}. Leave {peer} out.")


def measure_peer(job: PeerJob, limit_s: float = _LIMIT_S) -> PieceReading:
    """Do it in a fresh process, of which nothing is left when it has ended, however it ends.

    Raises:
        BenchError: it failed, or took too long.
    """
    environment = dict(PEERS[job.setting.feed].environment) if job.setting.feed in PEERS else {}
    environment |= {"KERAS_BACKEND": job.backend, "TF_FORCE_GPU_ALLOW_GROWTH": "true", "TF_CPP_MIN_LOG_LEVEL": "2"}
    answer = run_module(
        "penstock.bench.study", job.to_json(), {**os.environ, **environment}, limit_s, who=job.setting.feed
    )
    return PieceReading(**json.loads(answer))


@contextmanager
def opened_peer(data: StudyData, setting: Setting) -> Iterator[Opened]:
    """A peer's feed, in this process; images channels last, labels as numbers."""
    data = in_batches_of(data, setting.batch_size)
    if setting.feed == KERAS:
        yield Opened(_called(data) if isinstance(data, Sleeping) else iter(data.keras_flow()), Pace())
        return
    module = import_module(f"penstock.bench.peers.{PEERS[setting.feed].module}")
    place = "stored" if isinstance(data, Sleeping) else "files" if isinstance(data, Photographs) else "memory"
    with getattr(module, place)(data, workers=setting.workers) as batches:
        # At most as many are made ahead as our own queue holds.
        yield Opened((_alike(batch) for batch in batches), Pace(max(1, setting.workers), QUEUE_BATCHES))


def _called(data: Sleeping) -> Iterator[Any]:
    for number in range(len(data)):
        yield data[number]


def _alike(batch: Any) -> Any:
    x, y = (np.asarray(part) for part in batch[:2])
    # Torch's users need channels first, and our networks last; a view costs nothing.
    return (np.moveaxis(x, 1, -1) if x.shape[1] == 3 and x.shape[-1] != 3 else x), y


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
