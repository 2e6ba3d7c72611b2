"""Runs of a sweep on a Ray cluster, where they go on whoever looks."""

from __future__ import annotations

import importlib
import os
import signal
from pathlib import Path
from typing import Any, Literal, final

from penstock.cli._child import Launch
from penstock.cli._endings import CommandError
from penstock.cli._sweep_run import Runner

_NAMESPACE = "penstock"
_PASSED_ON = ("KERAS_", "MLFLOW_", "PENSTOCK_")  # variables; what else a machine needs it has itself
_LOOK_S = 0.05
_PATIENCE_S = 10.0  # for an answer to something asked for

State = Literal["waiting", "running", "over"]


@final
class RaySweep:
    """A cluster that runs are handed to, all at once: it begins as many as it has room for.

    Args:
        address: of its head; None for RAY_ADDRESS, or the cluster on this machine.
        cpus, gpus: that a run takes of its machine.

    Raises:
        CommandError: that is no address.
        ModuleNotFoundError: Ray is not installed.
        WorkerError: the cluster does not answer.
    """

    def __init__(self, address: str | None, cpus: float, gpus: float) -> None:
        from penstock.feeding.executors._ray_cluster import RayCluster

        try:
            RayCluster("auto" if address is None else address)
        except ValueError as error:
            if address is None:
                raise
            raise CommandError(f"--address should be HOST:PORT or ray://HOST:PORT. Received: {address!r}") from error
        self._ray = importlib.import_module("ray")
        self._cpus, self._gpus = cpus, gpus

    def check_room(self) -> None:
        """Refuse runs that no machine has room for: they would wait for ever.

        Raises:
            CommandError: there is none.
        """
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for what, wanted in (("CPU", self._cpus), ("GPU", self._gpus)):
            most = max((machine.get(what, 0) for machine in machines), default=0)
            if wanted > most:
                raise CommandError(
                    f"A run takes {wanted:g} {what}s of its machine, and none of the cluster has more than {most:g}. "
                    f"Give --run-{what.lower()}s that one has."
                )

    def find(self, folder: Path) -> RayRun | None:
        """The run of a folder that has been handed over, and is not over."""
        try:
            return RayRun(self._ray, self._ray.get_actor(_name(folder), namespace=_NAMESPACE))
        except ValueError:
            return None

    def begin(self, folder: Path, launch: Launch, ended: Path) -> RayRun:
        """Hand a run over.

        Args:
            folder: its own. ended: gets its exit code.
        """
        assert launch.log is not None
        ended.unlink(missing_ok=True)
        passed_on = {name: value for name, value in launch.environment.items() if name.startswith(_PASSED_ON)}
        kind = self._ray.remote(Runner).options(
            name=_name(folder),
            namespace=_NAMESPACE,
            lifetime="detached",
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_restarts=0,
            max_concurrency=3,  # its run, a look, and a signal
        )
        paths = [path.resolve() for path in (launch.folder, launch.log, ended)]
        actor = kind.remote(list(launch.command[1:]), paths[0], passed_on, paths[1], paths[2])
        actor.run.remote()
        return RayRun(self._ray, actor)


@final
class RayRun:
    """A run that was handed over; how it ended stands in its folder."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self._look = actor.look.remote()
        self._has_begun = False

    def state(self) -> State:
        """Where it is; a short while may pass until it is told."""
        ray = self._ray
        try:
            if ray.wait([self._look], timeout=_LOOK_S)[0]:
                ray.get(self._look)
                self._has_begun = True
                self._look = self._actor.look.remote()
        except ray.exceptions.RayActorError:
            return "over"
        return "running" if self._has_begun else "waiting"

    def stop(self) -> None:
        """Let it save what it has, and end; one that waits for room is never begun."""
        ray = self._ray
        try:
            if self.state() == "waiting":
                ray.kill(self._actor)
            else:
                ray.get(self._actor.ask.remote(int(signal.SIGTERM)), timeout=_PATIENCE_S)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            pass


def _name(folder: Path) -> str:
    return f"sweep {os.fspath(folder.resolve())}"
