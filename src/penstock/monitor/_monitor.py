"""`Monitor`: starts and stops, and keeps what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from penstock._types import WorkerId
from penstock.feeding._running import Feeding, running
from penstock.monitor._feed_probe import FeedProbe
from penstock.monitor._gpu_probe import gpu_probe
from penstock.monitor._probes import DiskProbe, MachineProbe, MemoryProbe, Probe, WorkerProbe
from penstock.monitor._records import Mark, Recorder, Records
from penstock.monitor._sampler import Sampler

if TYPE_CHECKING:
    from penstock.monitor._plot import Figure


_LEAST_S, _MOST_S = 0.001, 86_400


class Monitor:
    """Measures the machine and every running flow, ten times a second; `penstock.Monitor` with Keras.

    Args:
        interval: seconds between two measurements.
        feeds: those that run; None for all of the program's.
    """

    def __init__(self, interval: float = 0.1, *, feeds: Callable[[], Sequence[Feeding]] = running) -> None:
        is_number = isinstance(interval, Real) and not isinstance(interval, bool)
        if not is_number or not _LEAST_S <= interval <= _MOST_S:
            raise ValueError(
                f"`interval` should be a number of seconds from {_LEAST_S} to {_MOST_S}. Received: {interval!r}"
            )
        self.interval = float(interval)
        self._feeds = feeds
        self._recorder = Recorder()
        self._sampler: Sampler | None = None
        self._began_s = 0.0
        self._duration_s = 0.0

    def start(self) -> Self:
        """Begin to measure, from nothing; what was measured before is forgotten.

        Raises:
            RuntimeError: it is at it.
        """
        if self._sampler is not None:
            raise RuntimeError("This monitor has been started; `stop()` it first, or make another one.")
        self._recorder = Recorder()
        self._sampler = Sampler(self._probes(), self.interval, self._recorder.add)
        self._began_s = self._sampler.began_s
        return self

    def stop(self) -> Self:
        """End it, and keep what was measured; without a `start()`, nothing."""
        sampler = self._sampler
        if sampler is not None:
            sampler.stop()
            self._duration_s = perf_counter() - self._began_s
            self._sampler = None
        return self

    def abandon(self) -> None:
        """As `stop`, without a last measurement, and without waiting for the thread: for finalizers."""
        sampler, self._sampler = self._sampler, None
        if sampler is not None:  # whose thread ends as nothing refers to it any more
            self._duration_s = perf_counter() - self._began_s

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and not stopped."""
        return self._sampler is not None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def duration(self) -> float:
        """Seconds from the start to the stop, or to now."""
        return self._duration_s if self._sampler is None else perf_counter() - self._began_s

    @property
    def records(self) -> Records:
        """What has been measured so far."""
        return self._recorder.records()

    def mark(self, name: str, *, is_end: bool = False) -> None:
        """Note that something begins, or ends, now; a border in the plot.

        Args:
            name: what; "validation" and "callbacks" are shaded.
            is_end: whether it ends.
        """
        if self._sampler is not None:
            self._recorder.mark(Mark(perf_counter() - self._began_s, name, is_end))

    def plot(self, title: str | None = None, vert: bool = False) -> Figure:
        """Draw what was measured.

        Args:
            title: above it.
            vert: panels one above the other, with one axis of time; else side by side.

        Returns:
            A matplotlib figure in the style that is set, which a notebook shows, and `savefig` writes.

        Raises:
            ImportError: matplotlib is not installed; `pip install penstock[plot]`.
            ValueError: nothing has been measured.
        """
        from penstock.monitor._plot import plot

        return plot(self.records, title, vert=vert)

    def save(self, path: str | Path) -> Path:
        """Write what was measured.

        Args:
            path: ends with ".csv" (a line for each time), ".json", or what matplotlib writes: ".png", ".svg", ".pdf".

        Returns:
            The path.

        Raises:
            ValueError: another ending.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending == ".csv":
            self.records.write_csv(path)
        elif ending == ".json":
            self.records.write_json(path)
        elif ending in (".png", ".svg", ".pdf"):
            self.plot(vert=True).savefig(path, dpi=150)
        else:
            raise ValueError(f"`path` should end with .csv, .json, .png, .svg or .pdf. Received: {str(path)!r}")
        return path

    def _probes(self) -> dict[str, Probe]:
        feeds = self._feeds

        def workers() -> list[WorkerId]:
            return [worker for feed in feeds() for worker in feed.worker_ids]

        probes: dict[str, Probe] = {
            "the machine's CPU": MachineProbe(),
            "the workers' CPU": WorkerProbe(workers),
            "memory": MemoryProbe(workers),
            "disks": DiskProbe(),
            "flows": FeedProbe(feeds),
        }
        gpus = gpu_probe()
        return probes if gpus is None else {**probes, "GPUs": gpus}

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("A monitor measures this process, and cannot be pickled; `records` can.")
