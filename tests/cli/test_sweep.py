"""`penstock sweep`."""

from __future__ import annotations

import io
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import penstock.cli._sweep_app
from penstock.cli._app import app
from penstock.cli._child import Child, Launch
from penstock.cli._curves import show_epochs
from penstock.cli._endings import CommandError, StoppedInOrder
from penstock.cli._sweep import ALL_FINISHED, PENSTOCK, SOME_FAILED, SweepOptions, ThisMachine, run_sweep
from penstock.cli._sweep_files import SweepFolder
from penstock.cli._sweep_grid import Point, read_grid
from penstock.cli._sweep_report import SweepReport
from sweeps import write_run

KNOWN = ("seed", "workers", "augment", "epochs", "size")


class FakeTrain:
    """Stands for a run of `penstock train`, and ends as it is told.

    Attributes:
        begun: all that were, in turn.
        most: so many ran side by side.
    """

    begun: list[FakeTrain]
    alive: int
    most: int
    codes: dict[str, int]  # by the folder's name; 0 for others
    interrupts: str  # the name of the one during which Ctrl-C comes

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.out = Path(launch.command[list(launch.command).index("--out") + 1])
        self.asked: list[int] = []
        self.killed = False
        self.looks = 0
        FakeTrain.begun.append(self)
        FakeTrain.alive += 1
        FakeTrain.most = max(FakeTrain.most, FakeTrain.alive)

    def wait(self, timeout_s: float) -> int | None:
        self.looks += 1
        if self.out.name == FakeTrain.interrupts and self.looks == 1:
            signal.raise_signal(signal.SIGINT)
        if self.looks < 2 or (FakeTrain.interrupts and not self.asked and FakeTrain.alive > 1):
            return None
        FakeTrain.alive -= 1
        code = 130 if self.asked else FakeTrain.codes.get(self.out.name, 0)
        accuracy = 0.5 + 0.1 * len(FakeTrain.begun)
        if code != 2:
            write_run(self.out, epoch=1 if code else 2, accuracy=accuracy)
        elif launch_log := self.launch.log:
            launch_log.write_text("Loading Keras\npenstock: it will not do\n")
        return code

    def ask(self, number: int) -> None:
        self.asked.append(number)

    def hurry(self) -> None:
        pass

    def kill(self) -> None:
        self.killed = True


@pytest.fixture(autouse=True)
def _fresh() -> None:
    FakeTrain.begun, FakeTrain.alive, FakeTrain.most = [], 0, 0
    FakeTrain.codes, FakeTrain.interrupts = {}, ""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(np.full((24, 24, 3), 20 * k, "uint8")).save(folder / name / f"{k}.png")
    return folder


def swept(images: Path, out: Path, *words: str, start: Any = FakeTrain, **options: Any) -> tuple[int, str]:
    """Its exit code, and what it says."""
    said = io.StringIO()
    jobs = options.pop("jobs", 1)
    chosen = SweepOptions(images, read_grid(words, KNOWN), words, out, **options)
    report = SweepReport(Console(file=said, width=200, markup=False, highlight=False))
    return run_sweep(chosen, report, ThisMachine(jobs, start), lambda _: None), said.getvalue()


def test_options_are_combined_and_repeated_where_values_hold_commas() -> None:
    words = ["--workers", "0,2", "--augment=zoom_range=.2,shear_range=3", "--augment", "", "--seed=1, 2,1"]
    points = read_grid(words, KNOWN)
    assert len(points) == 8
    assert points[1].arguments == ["--workers=0", "--augment=zoom_range=.2,shear_range=3", "--seed=2"]
    assert len({point.name for point in points}) == 8
    assert read_grid([], KNOWN) == (Point({}),)
    assert Point({"augment": "a/b"}).name != Point({"augment": "a_b"}).name
    assert Point({"augment": "../../x" * 90}).name.count("/") == 0
    assert len(Point({"augment": "x" * 900}).name) < 120
    for bad, match in (
        (["--sede", "1"], "Received: '--sede'"),
        (["7"], "Received: '7'"),
        (["--seed"], "--seed needs a value"),
        (["--seed", "1,,2"], "--seed should be values with commas between them"),
        (["--seed", ",".join(map(str, range(10_001)))], "That makes 10,001 runs"),
    ):
        with pytest.raises(CommandError, match=match):
            read_grid(bad, KNOWN)


def test_all_are_trained_and_the_best_comes_first(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    code, said = swept(images, out, "--seed", "0,1,2", "--workers", "2", store="sqlite:///x.db")
    assert code == ALL_FINISHED
    commands = [list(train.launch.command) for train in FakeTrain.begun]
    assert [command[4:8] for command in commands] == [
        ["train", str(images), f"--seed={seed}", "--workers=2"] for seed in (0, 1, 2)
    ]
    assert commands[0][8:] == ["--out", str(out / "seed=0,workers=2"), "--track", "--store", "sqlite:///x.db"]
    assert FakeTrain.most == 1
    table = said.partition("Results")[2]
    assert table.index("seed=2") < table.index("seed=1") < table.index("seed=0")
    assert "80.0 %" in table
    assert "12345678" in table
    with Image.open(out / "sweep.png") as picture:
        assert picture.width > 500


def test_so_many_run_side_by_side(images: Path, tmp_path: Path) -> None:
    swept(images, tmp_path / "sweep", "--seed", "0,1,2,3,4", jobs=3)
    assert FakeTrain.most == 3
    assert len(FakeTrain.begun) == 5


def test_one_that_fails_is_marked_and_the_rest_go_on(images: Path, tmp_path: Path) -> None:
    FakeTrain.codes = {"seed=0": 2}
    code, said = swept(images, tmp_path / "sweep", "--seed", "0,1")
    assert code == SOME_FAILED
    assert "seed=0: failed: penstock: it will not do" in said
    assert "seed=1: finished" in said
    assert said.rindex("seed=1   finished") < said.rindex("seed=0   failed")
    assert f"what it said is in {tmp_path / 'sweep' / 'seed=0' / 'train.log'}" in said


def test_the_same_line_again_leaves_out_what_is_finished_and_resumes_the_rest(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    FakeTrain.codes = {"seed=1": 1}  # after an epoch
    swept(images, out, "--seed", "0,1")
    FakeTrain.codes = {}
    FakeTrain.begun = []
    code, said = swept(images, out, "--seed", "0,1,2")
    assert code == ALL_FINISHED
    assert "3 runs of penstock train, 1 of them finished before" in said
    assert [(train.out.name, "--resume" in train.launch.command) for train in FakeTrain.begun] == [
        ("seed=1", True),
        ("seed=2", False),
    ]


def test_ctrl_c_stops_all_in_order_and_says_how_to_go_on(images: Path, tmp_path: Path) -> None:
    FakeTrain.interrupts = "seed=1"
    with pytest.raises(StoppedInOrder, match=r"stopped; 0 of 4 runs are finished. Go on with: penstock sweep ") as stop:
        swept(images, tmp_path / "sweep", "--seed", "0,1,2,3", jobs=2)
    assert stop.value.code == 130
    assert str(stop.value).endswith(f"--seed 0,1,2,3 --out {tmp_path / 'sweep'} --jobs 2")
    assert [train.out.name for train in FakeTrain.begun] == ["seed=0", "seed=1"]  # no other began
    assert all(train.asked and set(train.asked) == {signal.SIGINT} for train in FakeTrain.begun)
    assert not any(train.killed for train in FakeTrain.begun)


def test_none_is_left_when_a_second_ctrl_c_comes(images: Path, tmp_path: Path) -> None:
    class Stubborn(FakeTrain):
        def wait(self, timeout_s: float) -> int | None:
            signal.raise_signal(signal.SIGINT)
            return None

    with pytest.raises(KeyboardInterrupt):
        swept(images, tmp_path / "sweep", "--seed", "0", start=Stubborn)
    assert [train.killed for train in FakeTrain.begun] == [True]


def test_nothing_of_the_users_is_overwritten(images: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("mine")
    with pytest.raises(CommandError, match="--out should be a new folder, or that of a sweep"):
        swept(images, tmp_path / "mine", "--seed", "0")
    with pytest.raises(CommandError, match="--out should not lie among the images"):
        swept(images, images / "sweep", "--seed", "0")
    swept(images, tmp_path / "sweep", "--seed", "0")
    with pytest.raises(CommandError, match=r"holds a sweep over \S+/photos \(format 1\)"):
        swept(images / "cats", tmp_path / "sweep", "--seed", "0")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["x"]
    assert len(FakeTrain.begun) == 1


def test_without_matplotlib_it_says_what_to_install(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, said = swept(images, tmp_path / "sweep", "--seed", "0")
    assert code == ALL_FINISHED
    assert 'pip install "penstock[plot]"' in said
    assert not (tmp_path / "sweep" / "sweep.png").exists()


@pytest.mark.parametrize(
    "words", [["--sede", "0"], ["--seed", "0,x"], ["--workers", "-1"], ["--out", "x", "--resume", "1"], ["--jobs", "0"]]
)
def test_bad_input_is_2_before_anything_runs(words: list[str], images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penstock.cli._sweep, "run_sweep", lambda *_: pytest.fail("it ran"))
    assert CliRunner().invoke(app, ["sweep", str(images), *words]).exit_code == 2


class TrainHere:
    """A real `penstock train`, in this process."""

    def __init__(self, launch: Launch) -> None:
        interpreter, *begin = launch.command[:4]
        assert (interpreter, begin) == (sys.executable, ["-P", "-c", PENSTOCK])
        self.result = CliRunner().invoke(app, list(launch.command[4:]))
        assert launch.log is not None
        launch.log.write_text(self.result.output)

    def wait(self, timeout_s: float) -> int | None:
        return self.result.exit_code


def test_penstock_train_understands_what_it_is_given(images: Path, tmp_path: Path) -> None:
    words = ("--size", "8", "--epochs", "1", "--augment", "zoom_range=.2")
    code, said = swept(images, tmp_path / "sweep", *words, start=TrainHere, store="sqlite:///no.db")
    assert code == SOME_FAILED
    assert "failed: penstock: --size should be at least 22x22 for the model small. Received: 8x8" in said


def test_runs_are_processes_that_write_a_log(images: Path, tmp_path: Path) -> None:
    def start(launch: Launch) -> Child:
        return Child(replace(launch, command=[*launch.command[:4], "--version"]))  # which needs no Keras

    code, _ = swept(images, tmp_path / "sweep", "--seed", "0", start=start)
    assert code == ALL_FINISHED
    assert (tmp_path / "sweep" / "seed=0" / "train.log").read_text().startswith("penstock ")


def test_a_single_epoch_is_one_tick() -> None:
    axes = Figure().subplots()
    axes.plot([1], [0.5])
    show_epochs(axes, [1, 1])
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


@pytest.mark.parametrize("width", [80, 120])
def test_runs_can_be_told_apart_on_a_narrow_terminal(images: Path, tmp_path: Path, width: int) -> None:
    said = io.StringIO()
    points = read_grid(["--seed", "0,1", "--augment", "rotation_range=20,zoom_range=.2"], KNOWN)
    report = SweepReport(Console(file=said, width=width, markup=False, highlight=False))
    report.results([(point.name, "failed", SweepFolder(tmp_path).of(point)) for point in points])
    table = said.getvalue().partition("failed; what it said")[0]
    assert "…" not in table
    assert "seed=0" in table.replace("\n", "")
    assert "seed=1" in table.replace("\n", "")
