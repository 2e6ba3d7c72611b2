"""What `penstock sweep` does, step by step."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, final

from penstock.cli._child import Child, Launch
from penstock.cli._endings import StoppedInOrder
from penstock.cli._stop_signals import StopWish, stop_wishes
from penstock.cli._sweep_files import RunFiles, SweepFolder
from penstock.cli._sweep_grid import Point
from penstock.cli._sweep_report import SweepReport

ALL_FINISHED, SOME_FAILED = 0, 1  # to exit with
PENSTOCK = "from penstock.cli import main; main()"
_TICK_S = 0.25

Status = Literal["waiting", "running", "finished", "failed", "stopped"]


@dataclass(frozen=True)
class Runs:
    """Those of a sweep, by name.

    Attributes:
        points: their settings. files: their folders. status: where they are.
    """

    points: Mapping[str, Point]
    files: Mapping[str, RunFiles]
    status: dict[str, Status]

    @property
    def finished(self) -> int:
        """How many are."""
        return sum(each == "finished" for each in self.status.values())

    def lines(self) -> list[tuple[str, Status, RunFiles]]:
        """For tables."""
        return [(name, self.status[name], run) for name, run in self.files.items()]


class Place(Protocol):
    """Where runs are run."""

    heading: str
    """What to say beforehand."""

    def run(self, options: SweepOptions, runs: Runs, report: SweepReport, update: Callable[[], None]) -> StopWish:
        """Run what waits until all have ended, or somebody wants an end; keeps `runs.status`."""
        ...

    def stopped(self, options: SweepOptions, runs: Runs) -> str:
        """What to say where somebody wanted an end."""
        ...


class Program(Protocol):
    """A run of `penstock train`; see `Child`."""

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None while it runs."""

    def ask(self, number: int) -> None:
        """Pass a signal on."""

    def hurry(self) -> None:
        """End it if it does not end in time."""

    def kill(self) -> None:
        """End it."""


@dataclass(frozen=True)
class SweepOptions:
    """What the user chose.

    Attributes:
        directory: the images.
        points: the runs.
        words: of the command line that `points` came from.
        out: the sweep's folder.
        store: its address; None for MLflow's default.
    """

    directory: Path
    points: tuple[Point, ...]
    words: tuple[str, ...]
    out: Path
    store: str | None = None


def make_store(uri: str | None) -> None:
    """Make the store before runs do it side by side.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
        StoreError: it is of another version, or does not answer.
    """
    from penstock.tracking._mlflow import MlflowStore

    MlflowStore(uri, make=True)


def run_sweep(
    options: SweepOptions,
    report: SweepReport,
    place: Place,
    prepare: Callable[[str | None], None] = make_store,
) -> int:
    """Train all that has not been trained, and show what came of it.

    Args:
        options: what the user chose.
        report: says it.
        place: runs them.
        prepare: makes the store.

    Returns:
        `ALL_FINISHED` or `SOME_FAILED`.

    Raises:
        CommandError: the folder will not do; nothing has been written then.
        StoppedInOrder: on Ctrl-C and SIGTERM; all runs have ended, and saved what they had.
    """
    with report.busy("Opening the store"):
        prepare(options.store)
    folder = SweepFolder(options.out)
    folder.begin(options.directory)
    points = {point.name: point for point in options.points}
    files = {name: folder.of(point) for name, point in points.items()}
    runs = Runs(points, files, {name: "finished" if run.is_finished else "waiting" for name, run in files.items()})
    report.heading(len(files), runs.finished, place.heading)
    with report.live(runs.lines) as update:
        wish = place.run(options, runs, report, update)
    report.results(runs.lines())
    if importlib.util.find_spec("matplotlib") is None:
        report.no_plot()
    elif any(run.accuracies for run in files.values()):
        from penstock.cli._sweep_plot import save_plot

        save_plot({name: run.accuracies for name, run in files.items()}, folder.plot)
        report.wrote(folder.plot)
    if wish.signal is not None:
        raise StoppedInOrder(place.stopped(options, runs), 128 + wish.signal)
    return SOME_FAILED if "failed" in runs.status.values() else ALL_FINISHED


@final
class ThisMachine:
    """Runs are processes of this machine, and end with the command.

    Args:
        jobs: how many side by side.
        start: begins one.
    """

    def __init__(self, jobs: int = 1, start: Callable[[Launch], Program] = Child) -> None:
        self._jobs, self._start = jobs, start
        self.heading = f"{jobs} at a time"

    def run(self, options: SweepOptions, runs: Runs, report: SweepReport, update: Callable[[], None]) -> StopWish:
        """See `Place.run`."""
        files, status = runs.files, runs.status
        waiting = deque(name for name, each in status.items() if each == "waiting")
        running: dict[str, Program] = {}
        with stop_wishes() as wish:
            try:
                while running or (waiting and not wish):
                    while waiting and not wish and len(running) < self._jobs:
                        name = waiting.popleft()
                        running[name] = self._start(launch(options, runs.points[name], files[name]))
                        status[name] = "running"
                        report.began(name)
                    for name, program in list(running.items()):
                        if wish.signal is not None:
                            program.ask(wish.signal)
                            program.hurry()
                        code = program.wait(_TICK_S / len(running))
                        if code is not None:
                            del running[name]
                            stopped = wish and code != 0
                            status[name] = "finished" if code == 0 else "stopped" if stopped else "failed"
                            report.ended(name, status[name], files[name])
                    update()
            finally:
                for program in running.values():
                    program.kill()
            return wish

    def stopped(self, options: SweepOptions, runs: Runs) -> str:
        """See `Place.stopped`."""
        jobs = ["--jobs", str(self._jobs)] if self._jobs > 1 else []
        return f"stopped; {runs.finished} of {len(runs.files)} runs are finished. Go on with: {again(options, *jobs)}"


def launch(options: SweepOptions, point: Point, files: RunFiles) -> Launch:
    """How a run is begun; its folder is there then."""
    files.path.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-c", PENSTOCK, "train", str(options.directory), *point.arguments]
    command += ["--out", str(files.path), "--track", *(["--store", options.store] if options.store else [])]
    command += ["--resume"] if files.can_resume else []
    return Launch(command, Path.cwd(), dict(os.environ), files.log)


def again(options: SweepOptions, *own: str) -> str:
    """The line that goes on with a sweep."""
    words: Sequence[str] = ["penstock", "sweep", str(options.directory), *options.words, "--out", str(options.out)]
    return shlex.join([*words, *own, *(["--store", options.store] if options.store else [])])
