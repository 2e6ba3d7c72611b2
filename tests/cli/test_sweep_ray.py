"""`penstock sweep --ray`, on a cluster of two machines, both of them this one."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import penstock.cli._sweep_app  # noqa: F401, it adds the command
from clusters import local_cluster
from penstock.cli._app import app
from penstock.cli._child import Launch
from penstock.cli._endings import CommandError, StoppedInOrder
from penstock.cli._sweep import ALL_FINISHED, SOME_FAILED, SweepOptions, run_sweep
from penstock.cli._sweep_cluster import Cluster
from penstock.cli._sweep_files import RunFiles
from penstock.cli._sweep_grid import read_grid
from penstock.cli._sweep_ray import RayRun, RaySweep
from penstock.cli._sweep_report import SweepReport
from sweeps import write_run

ray = pytest.importorskip("ray")

# Tells its number, and saves when it is asked to end.
PROGRAM = """
import os, signal, sys, threading
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
print(os.getpid(), flush=True)
asked.wait(100)
print("saved")
sys.exit(143)
"""


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def sweep(machines: Any) -> RaySweep:
    return RaySweep(None, cpus=1, gpus=0)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(np.full((24, 24, 3), 20 * k, "uint8")).save(tmp_path / "photos" / name / f"{k}.png")
    return tmp_path / "photos"


def begin(sweep: RaySweep, folder: Path, program: str = PROGRAM) -> tuple[RayRun, RunFiles]:
    folder.mkdir(exist_ok=True)
    files = RunFiles(folder)
    launch = Launch([sys.executable, "-c", program], folder, dict(os.environ), files.log)
    return sweep.begin(folder, launch, files.ended), files


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what the cluster does in its own time."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pid_in(files: RunFiles) -> int:
    until(lambda: files.log.exists() and files.log.read_text().endswith("\n"))
    return int(files.log.read_text().split()[0])


def test_a_run_goes_on_without_who_began_it_and_ends_in_order(sweep: RaySweep, tmp_path: Path) -> None:
    run, files = begin(sweep, tmp_path / "run")
    pid = pid_in(files)
    del run
    found = sweep.find(tmp_path / "run")
    assert found is not None
    until(lambda: found.state() == "running")
    found.stop()
    until(lambda: found.state() == "over")
    assert files.code == 143
    assert files.last_line == "saved"
    assert not psutil.pid_exists(pid)
    assert sweep.find(tmp_path / "run") is None


def test_what_waits_for_room_is_waiting_and_never_begins_once_it_is_stopped(sweep: RaySweep, tmp_path: Path) -> None:
    busy = [begin(sweep, tmp_path / f"busy{k}") for k in range(2)]
    until(lambda: all(run.state() == "running" for run, _ in busy))
    waiting, files = begin(sweep, tmp_path / "waiting")
    assert waiting.state() == "waiting"
    waiting.stop()
    for run, _ in busy:
        run.stop()
    until(lambda: all(run.state() == "over" for run, _ in (*busy, (waiting, files))))
    assert files.code is None
    assert not files.log.exists()


def test_a_run_whose_machine_is_lost_saves_and_ends(sweep: RaySweep, tmp_path: Path) -> None:
    run, files = begin(sweep, tmp_path / "run")
    parent = psutil.Process(pid_in(files)).ppid()
    os.kill(parent, signal.SIGKILL)  # the actor's process, as with its machine
    until(lambda: run.state() == "over")
    until(lambda: files.last_line == "saved")
    assert files.code is None


def test_runs_that_no_machine_has_room_for_are_refused(machines: Any) -> None:
    with pytest.raises(CommandError, match=r"takes 2 CPUs .* more than 1\. Give --run-cpus"):
        RaySweep(None, cpus=2, gpus=0).check_room()
    with pytest.raises(CommandError, match="--run-gpus"):
        RaySweep(None, cpus=1, gpus=1).check_room()


def test_a_grid_is_trained_on_the_cluster_and_recorded_in_one_store(
    sweep: RaySweep, images: Path, tmp_path: Path, mlflow_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    words = (
        "sweep",
        str(images),
        "--seed",
        "0,1",
        "--epochs",
        "1",
        "--size",
        "24x24",
        "--store",
        mlflow_store,
        "--ray",
    )
    done = CliRunner().invoke(app, [*words, "--workers", "0"])
    assert done.exit_code == ALL_FINISHED, done.output
    names = ["epochs=1,seed=0,size=24x24,workers=0", "epochs=1,seed=1,size=24x24,workers=0"]
    client = mlflow.MlflowClient(mlflow_store)
    for name in names:
        files = RunFiles(tmp_path / "sweep" / name)
        assert files.is_finished
        assert client.get_run(files.run).info.status == "FINISHED"
    # Begun again, there is nothing to do.
    assert "2 of them finished before" in CliRunner().invoke(app, [*words, "--workers", "0", "--ray"]).output


class FakeRun:
    def __init__(self, cluster: FakeCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.looks = 0

    def state(self) -> str:
        self.looks += 1
        if self.folder.name == self.cluster.interrupts and self.looks == 2:
            signal.raise_signal(signal.SIGINT)
        if self.looks < 3 and self.folder not in self.cluster.stopped:
            return "running"
        code = 143 if self.folder in self.cluster.stopped else self.cluster.codes.get(self.folder.name, 0)
        if code == 0:
            write_run(self.folder, epoch=2, accuracy=0.5)
        if code is not None:
            RunFiles(self.folder).ended.write_text(json.dumps({"code": code}))
        return "over"

    def stop(self) -> None:
        self.cluster.stopped.append(self.folder)


class FakeCluster:
    """Stands for one, whose runs end as it is told: with the codes of their folders' names, None for a lost machine."""

    def __init__(self, *, interrupts: str = "", **codes: int | None) -> None:
        self.interrupts, self.codes = interrupts, codes
        self.known: dict[Path, FakeRun] = {}
        self.begun: list[str] = []
        self.stopped: list[Path] = []

    def check_room(self) -> None:
        pass

    def find(self, folder: Path) -> Any:
        return self.known.get(folder)

    def begin(self, folder: Path, launch: Launch, ended: Path) -> Any:
        assert "--track" in launch.command
        self.begun.append(folder.name)
        self.known[folder] = FakeRun(self, folder)
        return self.known[folder]


def swept(cluster: FakeCluster, images: Path, out: Path, **how: Any) -> tuple[int, str]:
    said = io.StringIO()
    words = ("--seed", "0,1,2")
    report = SweepReport(Console(file=said, width=200, markup=False, highlight=False))
    options = SweepOptions(images, read_grid(words, ["seed"]), words, out)
    return run_sweep(options, report, Cluster(cluster, ("--ray",), **how), lambda _: None), said.getvalue()


def test_failed_and_lost_runs_are_marked_and_the_others_go_on(images: Path, tmp_path: Path) -> None:
    cluster = FakeCluster(**{"seed=0": 1, "seed=1": None})
    code, said = swept(cluster, images, tmp_path / "sweep")
    assert code == SOME_FAILED
    assert cluster.begun == ["seed=0", "seed=1", "seed=2"]
    for line in ("seed=0: failed", "seed=1: failed", "seed=2: finished"):
        assert line in said


def test_ctrl_c_leaves_runs_to_the_cluster_and_the_same_line_finds_them(images: Path, tmp_path: Path) -> None:
    cluster = FakeCluster(interrupts="seed=1")
    with pytest.raises(StoppedInOrder, match=r"go on in the cluster\. .*--ray\. End them: .* --ray --stop"):
        swept(cluster, images, tmp_path / "sweep")
    assert cluster.stopped == []
    cluster.interrupts = ""
    assert swept(cluster, images, tmp_path / "sweep")[0] == ALL_FINISHED
    assert len(cluster.begun) == 3


def test_stop_ends_what_goes_on_and_begins_nothing(images: Path, tmp_path: Path) -> None:
    cluster = FakeCluster(interrupts="seed=1")
    with pytest.raises(StoppedInOrder):
        swept(cluster, images, tmp_path / "sweep")
    begun = len(cluster.begun)
    code, said = swept(cluster, images, tmp_path / "sweep", stops=True)
    assert code == ALL_FINISHED  # none has failed
    assert said.count(": stopped") == len(cluster.stopped) == 3
    assert len(cluster.begun) == begun


def test_what_belongs_to_a_cluster_needs_one(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, told in (
        (["--stop"], "Give --ray, too"),
        (["--address", "localhost:1"], "Give --ray, too"),
        (["--ray", "--address", "nowhere"], "--address should be HOST:PORT"),
        (["--ray", "--run-cpus", "0"], "all runs would begin at once"),
        (["--ray", "--run-gpus", "1.5"], "--run-gpus should be a whole number, or below 1"),
    ):
        done = CliRunner().invoke(app, ["sweep", str(images), "--seed", "0", *words])
        assert done.exit_code == 2
        assert told in done.stderr
    assert list(tmp_path.iterdir()) == [images]
