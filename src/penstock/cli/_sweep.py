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
from typing import Literal, Protocol

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
        jobs: how many run side by side.
        store: its address; None for MLflow's default.
    """

    directory: Path
    points: tuple[Point, ...]
    words: tuple[str, ...]
    out: Path
    jobs: int = 1
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
    start: Callable[[Launch], Program] = Child,
    prepare: Callable[[str | None], None] = make_store,
) -> int:
    """Train all that has not been trained, and show what came of it.

    Args:
        options: what the user chose.
        report: says it.
        start: begins a run.
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
    status: dict[str, Status] = {name: "finished" if run.is_finished else "waiting" for name, run in files.items()}
    report.heading(len(files), sum(each == "finished" for each in status.values()), options.jobs)
    with report.live(lambda: [(name, status[name], run) for name, run in files.items()]) as update:
        wish = _run_all(options, points, files, status, start, report, update)
    report.results([(name, status[name], run) for name, run in files.items()])
    if importlib.util.find_spec("matplotlib") is None:
        report.no_plot()
    elif any(run.accuracies for run in files.values()):
        from penstock.cli._sweep_plot import save_plot

        save_plot({name: run.accuracies for name, run in files.items()}, folder.plot)
        report.wrote(folder.plot)
    if wish.signal is not None:
        done = sum(each == "finished" for each in status.values())
        raise StoppedInOrder(
            f"stopped; {done} of {len(files)} runs are finished. Go on with: {_command(options)}", 128 + wish.signal
        )
    return SOME_FAILED if "failed" in status.values() else ALL_FINISHED


def _run_all(
    options: SweepOptions,
    points: Mapping[str, Point],
    files: Mapping[str, RunFiles],
    status: dict[str, Status],
    start: Callable[[Launch], Program],
    report: SweepReport,
    update: Callable[[], None],
) -> StopWish:
    """Until all have ended, or somebody wants an end."""
    waiting = deque(name for name, each in status.items() if each == "waiting")
    running: dict[str, Program] = {}
    with stop_wishes() as wish:
        try:
            while running or (waiting and not wish):
                while waiting and not wish and len(running) < options.jobs:
                    name = waiting.popleft()
                    files[name].path.mkdir(exist_ok=True)
                    running[name], status[name] = start(_launch(options, points[name], files[name])), "running"
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


def _launch(options: SweepOptions, point: Point, files: RunFiles) -> Launch:
    command = [sys.executable, "-P", "-c", PENSTOCK, "train", str(options.directory), *point.arguments]
    command += ["--out", str(files.path), "--track", *(["--store", options.store] if options.store else [])]
    command += ["--resume"] if files.can_resume else []
    return Launch(command, Path.cwd(), dict(os.environ), files.log)


def _command(options: SweepOptions) -> str:
    words: Sequence[str] = ["penstock", "sweep", str(options.directory), *options.words, "--out", str(options.out)]
    jobs = ["--jobs", str(options.jobs)] if options.jobs > 1 else []
    return shlex.join([*words, *jobs, *(["--store", options.store] if options.store else [])])
