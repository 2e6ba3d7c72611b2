"""A sweep on a Ray cluster, which goes on without the command that began it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, final

from penstock.cli._child import Launch
from penstock.cli._stop_signals import StopWish, stop_wishes
from penstock.cli._sweep import Runs, Status, SweepOptions, again, launch
from penstock.cli._sweep_files import RunFiles
from penstock.cli._sweep_report import SweepReport

if TYPE_CHECKING:
    from penstock.cli._sweep_ray import State

_TICK_S = 0.25
_STOPPED_IN_ORDER = 128 + signal.SIGTERM  # what `penstock train` ends with


class ClusterRun(Protocol):
    """A run that was handed over; see `RayRun`."""

    def state(self) -> State:
        """Where it is."""
        ...

    def stop(self) -> None:
        """Let it save what it has, and end."""
        ...


class ClusterRuns(Protocol):
    """A cluster that takes runs; see `RaySweep`."""

    def check_room(self) -> None:
        """Refuse what it never has room for."""
        ...

    def find(self, folder: Path) -> ClusterRun | None:
        """The run of a folder that was handed over, and is not over."""
        ...

    def begin(self, folder: Path, launch: Launch, ended: Path) -> ClusterRun:
        """Hand one over."""
        ...


@final
class Cluster:
    """Runs are handed to a cluster, all at once, and go on there if the command ends. Begun again, it finds them.

    Args:
        cluster: takes them.
        own: options that name it, for the line that goes on.
        stops: end what is under way, rather than begin anything.
    """

    def __init__(self, cluster: ClusterRuns, own: tuple[str, ...], *, stops: bool = False) -> None:
        self._cluster, self._own, self._stops = cluster, own, stops
        self.heading = "ended as soon as they have saved" if stops else "as many at a time as the cluster has room for"

    def run(self, options: SweepOptions, runs: Runs, report: SweepReport, update: Callable[[], None]) -> StopWish:
        """See `Place.run`."""
        with stop_wishes() as wish:
            under_way = self._handed_over(options, runs, wish)
            if self._stops:
                for run in under_way.values():
                    run.stop()
            while under_way and not wish:
                for name, run in list(under_way.items()):
                    state = run.state()
                    if state == "over":
                        del under_way[name]
                        runs.status[name] = _outcome(runs.files[name], stops=self._stops)
                        report.ended(name, runs.status[name], runs.files[name])
                    elif state != runs.status[name]:
                        runs.status[name] = state
                        report.began(name)
                update()
                time.sleep(_TICK_S)
            return wish

    def stopped(self, options: SweepOptions, runs: Runs) -> str:
        """See `Place.stopped`."""
        line = again(options, *self._own)
        return (
            f"{runs.finished} of {len(runs.files)} runs are finished; the others go on in the cluster. "
            f"See what has come of them: {line}. End them: {line} --stop"
        )

    def _handed_over(self, options: SweepOptions, runs: Runs, wish: StopWish) -> dict[str, ClusterRun]:
        found: dict[str, ClusterRun] = {}
        waiting = [name for name, each in runs.status.items() if each == "waiting"]
        for name in waiting:
            run = self._cluster.find(runs.files[name].path)
            if run is not None:
                found[name] = run
            elif runs.files[name].is_finished:  # since it was looked at first
                runs.status[name] = "finished"
        left = [name for name in waiting if name not in found and runs.status[name] == "waiting"]
        if self._stops:
            runs.status.update(dict.fromkeys(left, "stopped"))
            return found
        if left:
            self._cluster.check_room()
        for name in left:
            if not wish:
                files = runs.files[name]
                found[name] = self._cluster.begin(files.path, launch(options, runs.points[name], files), files.ended)
        return found


def _outcome(files: RunFiles, *, stops: bool) -> Status:
    if files.is_finished:
        return "finished"
    return "stopped" if stops or files.code == _STOPPED_IN_ORDER else "failed"
