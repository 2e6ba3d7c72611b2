"""The same model trained on the same files by Keras's own generator and by penstock's, watched by the monitor."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np

import penstock
from penstock._types import WorkerId
from penstock.bench._errors import BenchError
from penstock.bench._machine import Machine
from penstock.bench._workloads import InFiles
from penstock.feeding._running import announce
from penstock.feeding._stats import FeedStats
from penstock.monitor._records import Mark, Records

BEFORE, AFTER = "Keras's own ImageDataGenerator", "penstock"


@dataclass(frozen=True)
class BeforeAfter:
    """Two trainings.

    Attributes:
        machine: where.
        settings: of the files, the model and the training.
        trainings: what was measured, by the name of the feed.
    """

    machine: Machine
    settings: dict[str, Any]
    trainings: dict[str, Records]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        trainings = {name: records.as_dict() for name, records in self.trainings.items()}
        content = {"machine": asdict(self.machine), "settings": self.settings, "trainings": trainings}
        path.write_text(json.dumps(content) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> BeforeAfter:
        """Read it again.

        Raises:
            BenchError: the file holds something else.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            trainings = {name: _records(content["trainings"][name]) for name in (BEFORE, AFTER)}
            return cls(Machine(**content["machine"]), content["settings"], trainings)
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{path} is no record of before and after: {type(error).__name__}: {error}") from None


def train_both(data: InFiles, epochs: int, tell: Callable[[str], None]) -> BeforeAfter:
    """Train, and watch."""
    model = _model(data.target_px, len({path.parent for path in data.folder.glob("*/*")}))
    feeds: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        BEFORE: lambda: Watched(data.keras_flow()),
        AFTER: lambda: data.penstock_flow("auto"),
    }
    trainings = {}
    for name, opened in feeds.items():
        with opened() as flow:
            model.fit(flow, epochs=1, steps_per_epoch=1, verbose=0)  # compiles
        with opened() as flow:
            monitor = penstock.Monitor()
            model.fit(flow, epochs=epochs, verbose=0, callbacks=[monitor])
        trainings[name] = monitor.records
        tell(f"{name}: {epochs} epochs in {monitor.duration:.1f} s")
    settings = {**asdict(data), "folder": data.folder.name, "epochs": epochs, "backend": keras.backend.backend()}
    return BeforeAfter(Machine.here(), settings, trainings)


class Watched(keras.utils.PyDataset):  # type: ignore[misc]
    """A dataset whose batches are made when they are asked for, as a feed that the monitor can look at.

    Args:
        flow: one of Keras's.
    """

    def __init__(self, flow: Any) -> None:
        super().__init__()
        self._flow = flow
        self._stats = FeedStats()
        self._since_s: float | None = None
        self.is_running = True
        self.worker_ids: list[WorkerId] = []
        announce(self)

    def __len__(self) -> int:
        return len(self._flow)

    def __getitem__(self, number: int) -> Any:
        self._since_s = began = perf_counter()
        batch = self._flow[number]
        before, waited_s = self._stats, perf_counter() - began
        self._since_s = None
        self._stats = FeedStats(before.batches + 1, before.samples + len(batch[0]), before.wait_s + waited_s)
        return batch

    def on_epoch_end(self) -> None:
        """Another order."""
        self._flow.on_epoch_end()

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exception: object) -> None:
        self.is_running = False

    @property
    def stats(self) -> FeedStats:
        """See `Feeding.stats`."""
        stats, since_s = self._stats, self._since_s
        if since_s is None:
            return stats
        return FeedStats(stats.batches, stats.samples, stats.wait_s + perf_counter() - since_s)


def _model(side_px: int, classes: int) -> Any:
    """One that takes some 1,000 images a second on a core: training and feeding share the machine."""
    model = keras.Sequential(
        [
            keras.layers.Input((side_px, side_px, 3)),
            keras.layers.AveragePooling2D(2),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    return model


def _records(content: dict[str, Any]) -> Records:
    columns = {name: np.array(values, np.float64) for name, values in content["columns"].items()}
    return Records(columns, tuple(Mark(**mark) for mark in content["marks"]))
