"""`penstock train --track` and `penstock reproduce`."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from penstock.cli._app import app
from penstock.cli._child import Ended, Launch
from penstock.cli._endings import CommandError, StoppedInOrder
from penstock.cli._recipe import filled_in
from penstock.cli._reproduce import DIFFERENT, SAME, ReproduceOptions, run_reproduce
from penstock.cli._reproduce_report import ReproduceReport
from penstock.cli._then_and_now import match_streams
from penstock.cli._train import run_train
from penstock.cli._train_options import TrainOptions
from penstock.cli._train_report import TrainReport
from penstock.tracking._processes import Process
from penstock.tracking._store import Run
from photographs import write_light_and_dark
from stores import FakeStore, WrittenHere

SCRIPT = b"import penstock\n"
PID = 4321  # of the program that a fake runs


def console(out: io.StringIO) -> Console:
    return Console(file=out, width=240, markup=False, highlight=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A working folder with a script and its images, by a relative path."""
    folder = tmp_path / "project"
    (folder / "photos" / "cats").mkdir(parents=True)
    (folder / "train.py").write_bytes(SCRIPT)
    return folder


@pytest.fixture
def store(project: Path) -> FakeStore:
    """A run of the script."""
    made = FakeStore()
    record(made, project, ("train.py", "--epochs", "2"))
    return made


def record(store: FakeStore, folder: Path, argv: tuple[str, ...], pid: int = 1, **params: str) -> str:
    """A finished run, as a tracker records it."""
    program = replace(Process.this(), pid=pid, began_s=float(pid))
    run = store.begin(None, None, program.as_tags(), 1000.0 + len(store.kept))
    known = {
        "version": 1,
        "argv": argv,
        "script": str(folder / "train.py"),
        "folder": str(folder),
        "environment": {"KERAS_BACKEND": "jax", "KERAS_SECRET": "***"},
    }
    store.log_file(run, "penstock/run.json", json.dumps(known).encode())
    store.log_file(run, "penstock/script/train.py", SCRIPT)
    store.log_file(run, "penstock/packages.txt", b"numpy==0.1\nnot-here-any-more==1\n")
    stream = {"stream.digest": "b" * 32, "stream.digest_batches": "2", "stream.digest_epoch": "0"}
    data = {"data.directory": "photos", "data.fingerprint_without_times": "f", "data.fingerprint": str(pid)}
    store.log_params(run, {**stream, "stream.digests": f"{'a' * 32} {'b' * 32}", **data, **params})
    for epoch, loss in enumerate((0.5, 0.25)):
        store.log_metrics(run, {"loss": loss, "images_per_s": 10.0 * pid}, epoch, 0.0)
    store.end(run, "FINISHED", 2000.0)
    return run


class Program:
    """Stands for the script: records a run, as far as it comes."""

    def __init__(self, store: FakeStore, project: Path, ended: Ended | None = None, **params: str) -> None:
        self.launches: list[Launch] = []
        self.links: dict[str, str] = {}
        self.texts: dict[str, bytes] = {}
        self.store, self.project, self.params = store, project, params
        self.ended = ended or Ended(0, PID)
        self.runs = 1

    def __call__(self, launch: Launch) -> Ended:
        self.launches.append(launch)
        for path in launch.folder.parent.rglob("*"):
            name = str(path.relative_to(launch.folder.parent))
            if path.is_symlink():
                self.links[name] = os.readlink(path)
            elif path.is_file():
                self.texts[name] = path.read_bytes()
        for _ in range(self.runs):
            record(self.store, self.project, ("train.py",), PID, **self.params)
        return self.ended


def reproduced(store: FakeStore, program: Callable[[Launch], Ended], run: str = "00000001", **options: Any) -> Any:
    """Its exit code, and what it says."""
    said = io.StringIO()
    chosen = ReproduceOptions(run, **options)
    code = run_reproduce(chosen, ReproduceReport(console(said)), lambda _: store, program)
    return code, said.getvalue()


def test_what_was_recorded_runs_in_a_folder_of_its_own(store: FakeStore, project: Path) -> None:
    program = Program(store, project)
    code, said = reproduced(store, program)
    assert code == SAME
    (launch,) = program.launches
    assert launch.command == (sys.executable, str(launch.folder / "train.py"), "--epochs", "2")
    assert program.texts == {"work/train.py": SCRIPT}
    assert program.links == {"work/photos": str(project / "photos")}
    assert launch.environment["MLFLOW_TRACKING_URI"] == store.address
    assert launch.environment["PYTHONPATH"].split(os.pathsep)[0] == str(project)
    assert not launch.folder.exists()  # it was temporary
    assert f"This runs the recorded text of {project / 'train.py'}, in {launch.folder}:" in said
    assert f"{launch.folder / 'train.py'} --epochs 2" in said
    assert "password" not in said
    assert "KERAS_SECRET of the environment" in said
    assert store.kept["00000002"].tags["penstock.reproduces"] == "00000001"


def test_what_differs_is_said_and_metrics_stand_side_by_side(store: FakeStore, project: Path) -> None:
    code, said = reproduced(store, Program(store, project, **{"data.fingerprint_without_times": "g"}))
    assert code == SAME
    assert re.search(rf"package +numpy +0\.1 +{re.escape(np.__version__)}", said)
    assert re.search(r"package +not-here-any-more +1 +-", said)
    assert re.search(r"data +fingerprint_without_times +f +g", said)
    assert not re.search(r"data +fingerprint ", said)  # times of a copy are no difference
    assert re.search(r"loss +2 +0\.25 +0\.25 +none", said)
    assert "images_per_s" not in said
    assert f"The same stream: the first 2 batches of epoch 0: digest {'b' * 32}" in said


def test_metrics_are_compared_after_the_last_epoch_that_both_have(store: FakeStore, project: Path) -> None:
    def program(launch: Launch) -> Ended:
        ended = Program(store, project)(launch)
        store.points["00000002", "loss"] = store.points["00000002", "loss"][:1]
        return ended

    assert re.search(r"loss +1 +0\.5 +0\.5 +none", reproduced(store, program)[1])


def test_another_stream_is_1(store: FakeStore, project: Path) -> None:
    other = {"stream.digest": "c" * 32, "stream.digests": f"{'a' * 32} {'c' * 32}"}
    code, said = reproduced(store, Program(store, project, **other))
    assert code == DIFFERENT
    assert f"Another stream: the first 2 batches of epoch 0: digest {'b' * 32} then, {'c' * 32} now" in said
    assert "batch 1 is the first that differs" in said


def test_a_script_that_fails_is_1_and_says_so(store: FakeStore, project: Path) -> None:
    assert reproduced(store, Program(store, project, Ended(3, PID)))[0] == DIFFERENT
    code, said = reproduced(store, lambda _: Ended(-signal.SIGKILL, 99))
    assert code == DIFFERENT
    assert "it ended by SIGKILL" in said
    assert "It has recorded no run in fake://" in said


def test_of_several_runs_of_a_script_the_same_one_is_compared(store: FakeStore, project: Path) -> None:
    record(store, project, ("train.py",))  # the first script's second `fit`
    program = Program(store, project)
    program.runs = 2
    assert reproduced(store, program, "00000002")[0] == SAME
    assert "penstock.reproduces" not in store.kept["00000003"].tags
    assert store.kept["00000004"].tags["penstock.reproduces"] == "00000002"


def test_the_recorded_script_runs_where_it_was_edited(store: FakeStore, project: Path) -> None:
    (project / "train.py").write_text("raise SystemExit('edited')")
    program = Program(store, project)
    said = reproduced(store, program)[1]
    assert re.search(r"code +train\.py +as recorded, which runs +edited since", said)
    assert program.texts["work/train.py"] == SCRIPT
    assert (project / "train.py").read_text() == "raise SystemExit('edited')"


def test_it_runs_in_the_recorded_environment_and_says_what_else_is_set(
    store: FakeStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("JAX_")]:
        monkeypatch.delenv(name)  # what the tests set for themselves
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # as `penstock` itself does, and the script has not
    monkeypatch.setenv("XLA_FLAGS", "--xla_x=1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    program = Program(store, project)
    said = reproduced(store, program)[1]
    found = program.launches[0].environment
    assert [found.get(name) for name in ("KERAS_BACKEND", "XLA_FLAGS")] == ["jax", "--xla_x=1"]
    assert "TF_ENABLE_ONEDNN_OPTS" not in found
    assert "With KERAS_BACKEND=jax\n" in said
    line = next(line for line in said.splitlines() if line.startswith("Set here, and not when it was recorded: "))
    assert "XLA_FLAGS=--xla_x=1" in line
    assert "CUDA_VISIBLE_DEVICES" not in line


def test_a_secret_in_the_script_is_said_to_be_masked_only_where_that_text_runs(store: FakeStore, project: Path) -> None:
    store.log_file("00000001", "penstock/script/train.py", b'TOKEN = "***"\n')
    (project / "train.py").write_text('TOKEN = "hunter2"\n')
    program = Program(store, project)
    assert "was masked" not in reproduced(store, program)[1].replace("KERAS_SECRET", "")
    assert program.texts["work/train.py"] == b'TOKEN = "hunter2"\n'
    (project / "train.py").write_text('TOKEN = "hunter2"  # edited\n')
    assert 'The script as it was recorded holds "***"' in reproduced(store, program)[1]


def test_data_beside_the_working_folder_are_linked_where_the_script_looks(
    store: FakeStore, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.csv").write_text("1")
    (project / "photos").rename(tmp_path / "photos")
    store.log_params("00000001", {"data.directory": "../photos"})
    program = Program(store, project)
    assert reproduced(store, program, links=("../elsewhere/x.csv",), out=tmp_path / "out")[0] == SAME
    (launch,) = program.launches
    assert launch.folder == tmp_path / "out" / "work" / "project"
    assert (launch.folder / "../photos").resolve() == tmp_path / "photos"
    assert (launch.folder / "../elsewhere/x.csv").read_text() == "1"
    assert (launch.folder / "train.py").read_bytes() == SCRIPT


def test_bad_input_is_said_and_nothing_runs_or_is_written(store: FakeStore, project: Path, tmp_path: Path) -> None:
    def refused(match: str, run: str = "00000001", **options: Any) -> None:
        with pytest.raises(CommandError, match=match):
            reproduced(store, lambda _: pytest.fail("it ran"), run, **options)

    refused("fake:// has no run 'abc'", "abc")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("mine")
    refused("--out should be a new folder or an empty one", out=tmp_path / "mine")
    refused(r"The run read 'labels.csv', and '\S+/project/labels.csv' is not there", links=("labels.csv",))
    refused("--arg names token, and no argument of that name was masked", arguments=("token=x",))
    (project / "photos").rename(project / "gone")
    refused(r"The run read 'photos', and '\S+/project/photos' is not there", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    store.log_params("00000001", {"data.directory": str(tmp_path)})
    refused("--data cannot replace .* the script gives the whole path", data=project)
    known = json.loads(store.files["00000001", "penstock/run.json"])
    store.log_file("00000001", "penstock/run.json", json.dumps({**known, "script": None}).encode())
    refused("was no script's")
    store.log_file("00000001", "penstock/script/notebook.py", b"# %%")
    refused("is a notebook's.*among its files, as penstock/script/notebook.py")
    store.files["00000001", "penstock/run.json"] = b'{"version": 2}'
    refused("recorded by another version of penstock, as format 2")
    store.files["00000001", "penstock/run.json"] = b"{"
    refused("tells of how it was run is damaged")
    del store.files["00000001", "penstock/run.json"]
    refused("does not tell how it was run")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["x"]


def test_masked_arguments_have_to_be_given() -> None:
    recorded = ("--token", "***", "--api-key=***", "s3://***@host", "--epochs", "3")
    with pytest.raises(
        CommandError, match=r"masked when the run was recorded: --token, --api-key, 4\. Give .*--arg 4=VALUE"
    ):
        filled_in(recorded, [])
    given = ["token=a=b", "--api-key=c", "4=s3://me@host"]
    assert filled_in(recorded, given) == ("--token", "a=b", "--api-key=c", "s3://me@host", "--epochs", "3")
    with pytest.raises(CommandError, match="--arg should be NAME=VALUE"):
        filled_in(recorded, ["token"])


def test_streams_are_compared_as_far_as_both_have_digests() -> None:
    def run(**stream: str) -> Run:
        return Run("1", "", "FINISHED", 0.0, 1.0, {f"stream.{name}": value for name, value in stream.items()})

    three = run(digest="c", digest_batches="3", digest_epoch="0", digests="a b c")
    two = run(digest="b", digest_batches="2", digest_epoch="0", digests="a b")
    assert match_streams(three, two).verdict == match_streams(two, three).verdict == "same"
    assert match_streams(three, run(digest="x", digest_batches="2", digest_epoch="0")).verdict == "different"
    assert match_streams(three, run(digest="x", digest_batches="4", digest_epoch="0")).verdict == "unknown"
    assert match_streams(three, run(digest="c", digest_batches="3", digest_epoch="1")).verdict == "unknown"
    assert match_streams(run(), three).verdict == "unknown"


def test_ctrl_c_ends_the_program_and_says_so(store: FakeStore, project: Path) -> None:
    with pytest.raises(StoppedInOrder, match="the script has ended, too") as stopped:
        reproduced(store, Program(store, project, Ended(130, PID, signal.SIGINT)))
    assert stopped.value.code == 130


def test_the_command_line_says_2_where_there_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    import penstock.cli._reproduce_app  # noqa: F401, it adds its command

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = CliRunner().invoke(app, ["reproduce", "abc"])
    assert result.exit_code == 2
    assert "should be a store of MLflow's, and there is none" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# --- penstock train --track ---


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_light_and_dark(folder, 6)
    return folder


class Raise(keras.callbacks.Callback):
    """Sends Ctrl-C after so many batches."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)


def small_model(name: str, size_px: tuple[int, int], classes: int, weights: Any = None) -> Any:
    """Which is compiled sooner."""
    layers = [keras.Input((*size_px, 3)), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")]
    model = keras.Sequential(layers)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def trained(chosen: TrainOptions) -> str:
    said = io.StringIO()
    run_train(chosen, TrainReport(console(said)))
    return said.getvalue()


def test_a_tracked_run_stops_goes_on_and_is_reproduced(
    photographs: Path,
    tmp_path: Path,
    mlflow_store: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real ones, in a real store and, at last, in real processes: one that trains and one that writes."""
    from penstock.tracking._mlflow import MlflowStore

    monkeypatch.setattr("penstock.cli._models.build_model", small_model)
    monkeypatch.setattr("penstock.keras._tracker.Recorder", WrittenHere)
    store = MlflowStore(mlflow_store, make=False)
    settings = {"epochs": 2, "batch_size": 4, "size": (24, 24), "workers": 0, "augment": "rotation_range=30"}
    tracking = {"track": True, "store": mlflow_store, "out": tmp_path / "run"}
    first = TrainOptions(photographs, **tracking, **settings, callbacks=lambda _: [Raise(4)])
    with pytest.raises(StoppedInOrder, match=f"--resume --track --store {re.escape(mlflow_store)}"):
        trained(first)
    stopped = json.loads((tmp_path / "run" / "tracked.json").read_text())["run"]
    said = trained(TrainOptions(photographs, **tracking, resume=True, workers=0, given=()))
    went_on = json.loads((tmp_path / "run" / "tracked.json").read_text())["run"]
    assert f"Recorded as run {went_on[:8]}; see it with `penstock runs --store {mlflow_store}`" in said

    (old,), (new,) = store.matching(stopped), store.matching(went_on)
    assert (old.status, old.tags["penstock.end"]) == ("KILLED", "Ctrl-C")
    assert (new.status, new.tags["penstock.continues"]) == ("FINISHED", stopped)
    assert new.params["settings.augment"] == "rotation_range=30"
    assert new.params["settings.epochs"] == "2"
    assert new.tags["mlflow.source.name"] == "penstock train"
    assert [point.step for point in store.history(went_on, "val_loss")] == [1]
    assert [point.step for point in store.history(stopped, "val_loss")] == [0]

    report = io.StringIO()
    chosen = ReproduceOptions(went_on, mlflow_store)
    assert run_reproduce(chosen, ReproduceReport(console(report))) == SAME
    assert "epoch 2 of 2" in capfd.readouterr().out  # what the program says comes through
    assert f"It went on with run {stopped[:8]}" in report.getvalue()
    assert re.search(r"\bloss +2 +\d", report.getvalue())
    again = next(run for run in store.runs(10) if run.tags.get("penstock.reproduces") == went_on)
    # Of as many batches as there was time for.
    assert again.params["stream.digests"].split()[0] == old.params["stream.digests"].split()[0]


def test_without_mlflow_nothing_is_begun(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.cli import _train_track

    monkeypatch.setattr(_train_track, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError) as refused:
        trained(TrainOptions(photographs, tmp_path / "run", track=True))
    assert refused.value.name == "mlflow"  # of which `plain_endings` makes a line that names the extra
    assert not (tmp_path / "run").exists()


def test_a_store_without_track_is_bad_input(photographs: Path) -> None:
    import penstock.cli._train_app  # noqa: F401, it adds its command

    result = CliRunner().invoke(app, ["train", str(photographs), "--store", "sqlite:///x.db"])
    assert result.exit_code == 2
    assert "add --track" in result.stderr


def test_the_command_line_of_a_run_makes_the_same_options(photographs: Path, tmp_path: Path) -> None:
    from penstock.cli._train_app import train

    chosen = TrainOptions(photographs, tmp_path, size=(16, 24), validation_dir=photographs, workers=3, seed=9)
    directory, *words = chosen.command_line()
    assert directory == str(photographs)
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given["--size"] == "16x24"
    assert given["--workers"] == "3"
    assert "--validation" not in given  # which --validation-dir stands for
    known = {f"--{name.replace('_', '-')}" for name in train.__annotations__}
    assert given.keys() <= known


def test_help_is_there() -> None:
    code = "import sys; from penstock.cli import main; sys.argv = ['penstock', '--help']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "reproduce" in done.stdout
