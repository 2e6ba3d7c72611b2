"""`penstock bench` as a user runs it."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from command_line import files_below, penstock
from penstock.bench._errors import BenchError
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._record import StudyRecord
from penstock.bench.study._setting import Setting, usual_workers
from penstock.bench.study._study import Study
from penstock.cli import _bench_data
from penstock.cli._app import app
from penstock.cli._bench import BenchOptions, run_bench
from penstock.cli._bench_files import _replace
from penstock.cli._bench_report import BenchReport
from penstock.cli._devices import training_devices
from penstock.cli._endings import CommandError
from penstock.feeding._cpus import usable_cpus
from photographs import write_photographs
from studies import reading, write_cifar10

WRITTEN = ["study-dark.png", "study-light.png", "study.html", "study.json"]


def options(**chosen: Any) -> BenchOptions:
    usual: dict[str, Any] = {
        "experiment": "images",
        "directory": None,
        "dataset": "cifar10",
        "workers": (0, 2),
        "executors": ("threads",),
        "batch_sizes": (8,),
        "rounds": 1,
        "images": 32,
        "seconds": 1.0,
        "peers": (),
        "model": None,
        "side_px": 32,
        "cold": False,
        "latency_s": None,
        "is_flat": False,
        "out": Path("study.json"),
    }
    return BenchOptions(**usual | chosen)


def report(*, is_terminal: bool = False, width: int = 120, seconds_a_look: float = 0.0) -> BenchReport:
    console = Console(
        highlight=False, markup=False, soft_wrap=True, force_terminal=is_terminal, width=width, color_system=None
    )
    looks = itertools.count()
    return BenchReport(console, clock=lambda: next(looks) * seconds_a_look)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))  # where no CIFAR-10 is


Fake = Callable[[Setting, int], PieceReading]


@pytest.fixture
def instead_of_measuring(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fake], None]:
    def put(measure: Fake) -> None:
        monkeypatch.setattr(Study, "measure", lambda self, check: lambda *words: (check(), measure(*words))[1])

    return put


def by_workers(setting: Setting, images: int) -> PieceReading:
    return reading(100 * (1 + setting.workers))


def measured(path: str = "study.json") -> list[tuple[str, int]]:
    found = StudyRecord.load(Path(path)).findings.measured
    return [(each.setting.label, len(each.readings)) for each in found]


# --- really ---


def test_images_are_measured_with_threads_and_processes(capsys: pytest.CaptureFixture[str]) -> None:
    run_bench(options(executors=("threads", "processes"), workers=(2,)), report())
    said = capsys.readouterr().out
    first, second, *_ = said.splitlines()
    assert first.startswith("Measuring made data of CIFAR-10's shape, 32 images of 32x32 in memory, on ")
    assert re.fullmatch(r"3 pieces of 32 images each, in turns: about .*", second)
    rows = re.findall(
        r"^ *(?:> )?(no workers|threads|processes) +(\d+) +[\d.,]+ +[\d.,]+ +[\d.,]+ +[\d.,]+ \*",
        said,
        re.MULTILINE,
    )
    assert rows == [("no workers", "0"), ("threads", "2"), ("processes", "2")]
    assert "Fewer than three rounds: this shows that it runs, and no speed." in said
    assert re.search(r"^Best speed-up: ", said, re.MULTILINE)
    assert sorted(files_below(Path())) == WRITTEN
    assert measured() == [("no workers", 1), ("2 threads", 1), ("2 processes", 1)]
    record = StudyRecord.load(Path("study.json"))
    assert record.is_complete
    assert record.settings["command"] == (
        "penstock bench images --dataset cifar10 --workers 2 --executor threads,processes --batch-size 8 --rounds 1 "
        "--images 32 --size 32"
    )


def test_a_network_is_trained_on_a_flat_folder(capsys: pytest.CaptureFixture[str]) -> None:
    write_photographs(Path("given"), all=12)
    Path("pets").mkdir()
    for number, path in enumerate(sorted(Path("given", "all").iterdir())):
        path.rename(Path("pets", f"{'cat' if number % 2 else 'dog'}.{number}.jpg"))
    chosen = options(
        experiment="train", directory=Path("pets"), dataset=None, is_flat=True, out=Path("out", "study.json"), images=8
    )
    run_bench(chosen, report())
    said = capsys.readouterr().out
    assert "Linked 11 images to train on, 1 for validation: " in said
    assert "Measuring 11 files of 2 classes in pets-classes, to 32x32" in said
    assert "Training on the CPU (no GPU is present" in said
    found = StudyRecord.load(Path("out", "study.json")).findings.measured
    assert [each.setting.label for each in found] == ["no workers", "2 threads", "model alone"]
    assert all(each.wait_share is not None for each in found)
    assert sorted(files_below(Path("out"))) == WRITTEN


def test_a_sequence_that_sleeps_is_made_by_several(capsys: pytest.CaptureFixture[str]) -> None:
    run_bench(options(dataset=None, latency_s=0.1, workers=(4,), images=64), report())
    assert "Measuring a sequence that sleeps 0.1 s for a batch" in capsys.readouterr().out
    none, four = StudyRecord.load(Path("study.json")).findings.measured
    assert none.summary.median <= 8 / 0.1
    assert four.summary.median > 1.5 * none.summary.median


# --- with fakes ---


def test_the_closing_line_names_the_best_count(
    instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str]
) -> None:
    instead_of_measuring(by_workers)
    run_bench(options(rounds=3, workers=None, images=None), report(is_terminal=True))
    most = usual_workers(usable_cpus())[-1]
    said = capsys.readouterr().out
    assert f"Best speed-up: {most + 1}.00x with {most} threads.\n" in said
    assert "Round 3 of 3: " in said
    assert " left" in said
    assert measured() == [
        ("no workers", 3),
        *((f"{n} thread{'s' * (n > 1)}", 3) for n in usual_workers(usable_cpus())[1:]),
    ]


@pytest.mark.parametrize(("seconds_a_look", "is_told"), [(40.0, True), (0.01, False)])
def test_a_log_is_told_once_a_minute_how_far_it_is(
    instead_of_measuring: Callable[[Fake], None],
    capsys: pytest.CaptureFixture[str],
    seconds_a_look: float,
    is_told: bool,
) -> None:
    instead_of_measuring(by_workers)
    run_bench(options(rounds=3, workers=None, images=None), report(seconds_a_look=seconds_a_look))
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("Round ")]
    assert bool(told) == is_told
    assert len(told) < 3 * len(usual_workers(usable_cpus()))
    assert all(line.endswith(" left") for line in told)


def test_long_lines_break_between_words_on_a_terminal_and_nowhere_else(
    instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str]
) -> None:
    instead_of_measuring(by_workers)
    run_bench(options(), report(is_terminal=True, width=80))
    _, _, prose = capsys.readouterr().out.partition("Medians of 1 round")
    lines = prose.partition("Best speed-up")[0].splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()).endswith("Fewer than three rounds: this shows that it runs, and no speed.")
    run_bench(options(), report(width=80))
    assert "processes together. * marks rates whose quartiles" in capsys.readouterr().out


def test_each_size_of_batches_has_a_table_that_fits_the_terminal(
    instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str]
) -> None:
    instead_of_measuring(lambda setting, images: replace(by_workers(setting, images), wait_s=0.0, gpu_percent=5.0))
    chosen = options(experiment="train", batch_sizes=(8, 16), peers=("torch", "tfdata"))
    for width, columns in ((80, 6), (140, 10)):
        run_bench(chosen, report(is_terminal=True, width=width))
        _, _, said = capsys.readouterr().out.rpartition("Batches of 8:")
        first, second = said.split("Batches of 16:")
        for table in (first, second.partition("Medians")[0]):
            head, _, *rows = [line for line in table.splitlines() if line.strip()]
            assert len(re.split(r"  +", head.strip())) == columns
            assert [row.split()[0] for row in rows] == ["no", ">", "torch", "tf.data", "model"]
            assert "…" not in table


@pytest.mark.parametrize("after", [0, 3, 5])
def test_ctrl_c_shows_and_keeps_what_was_measured(
    after: int, instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = 0

    def measure(setting: Setting, images: int) -> PieceReading:
        nonlocal pieces
        pieces += 1
        if pieces > 3 + after:  # both settings of ours twice, while they are warmed up
            os.kill(os.getpid(), signal.SIGINT)
        return by_workers(setting, images)

    instead_of_measuring(measure)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_bench(options(rounds=4), report())
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().out
    if after == 0:
        assert "Best" not in said
        assert sorted(files_below(Path())) == []
    else:
        assert "Best speed-up: 3.00x" in said
        assert "Stopped before its end" in said
        assert sum(count for _, count in measured()) == after - 1
        assert not StudyRecord.load(Path("study.json")).is_complete
        assert "Stopped before its end" in Path("study.html").read_text()


def test_a_peer_that_fails_leaves_what_was_measured(
    instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = 0

    def measure(setting: Setting, images: int) -> PieceReading:
        nonlocal pieces
        pieces += 1
        if setting.feed == "Keras" and pieces > 5:
            raise BenchError("Keras failed in its process")
        return by_workers(setting, images)

    instead_of_measuring(measure)
    with pytest.raises(CommandError, match="Keras failed in its process"):
        run_bench(options(peers=("keras",)), report())
    assert "Best speed-up: 3.00x" in capsys.readouterr().out
    assert measured() == [("no workers", 1), ("2 threads", 1)]


@pytest.mark.parametrize(
    ("backend", "names", "words"),
    [
        ("jax", ["cpu"], ("the CPU", False)),
        ("jax", ["NVIDIA H200", "NVIDIA H200"], ("2 x NVIDIA H200 (JAX)", True)),
        ("torch", [], ("the CPU", False)),
        ("torch", ["NVIDIA TITAN X"], ("1 x NVIDIA TITAN X (PyTorch)", True)),
        ("tensorflow", ["gpu:0"], ("1 x GPU (TensorFlow)", True)),
    ],
)
def test_what_it_trains_on_is_said(
    backend: str, names: list[str], words: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [SimpleNamespace(device_kind=name, platform="cpu" if name == "cpu" else "gpu") for name in names]
    cuda = SimpleNamespace(device_count=lambda: len(names), get_device_name=lambda number: names[number])
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: devices))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    config = SimpleNamespace(backend=lambda: backend)
    distribution = SimpleNamespace(list_devices=lambda kind: names)
    assert training_devices(SimpleNamespace(config=config, distribution=distribution)) == words


# --- files ---


def test_an_earlier_study_is_replaced_and_nothing_else(instead_of_measuring: Callable[[Fake], None]) -> None:
    instead_of_measuring(by_workers)
    run_bench(options(), report())
    run_bench(options(rounds=2), report())
    assert measured() == [("no workers", 2), ("2 threads", 2)]
    kept = files_below(Path())
    for name in WRITTEN:
        for foreign in (b"", b"mine", b"\x89PNG\r\n"):
            Path(name).write_bytes(foreign)
            with pytest.raises(CommandError, match=f"{name} is in the way, and `penstock bench` did not make it"):
                run_bench(options(), report())
            assert Path(name).read_bytes() == foreign
        Path(name).write_bytes(kept[name])
    Image.new("RGB", (4, 4)).save("study-light.png")
    with pytest.raises(CommandError, match=r"study-light\.png is in the way"):
        run_bench(options(), report())


def test_what_another_study_is_writing_is_left_to_it(
    instead_of_measuring: Callable[[Fake], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    instead_of_measuring(by_workers)
    real, us = Path.write_bytes, os.getpid()

    def write(self: Path, content: bytes) -> int:
        written = real(self, content)
        if os.getpid() == us and self.name.startswith(".study.json"):
            with monkeypatch.context() as other:  # which is as far, and is the first to put its own in place
                other.setattr(os, "getpid", lambda: us + 1)
                _replace(Path("study.json"), b"{}")
        return written

    monkeypatch.setattr(Path, "write_bytes", write)
    run_bench(options(), report())
    assert measured() == [("no workers", 1), ("2 threads", 1)]
    assert sorted(os.listdir()) == WRITTEN


def test_a_record_among_the_images_is_refused() -> None:
    write_photographs(Path("photos"), cats=2)
    with pytest.raises(CommandError, match="--out should not lie in DIR"):
        run_bench(options(directory=Path("photos"), dataset=None, out=Path("photos", "study.json")), report())


# --- what cannot be done ---


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["images", "nowhere"], "'nowhere' does not exist"),
        (["images", "--workers=-1"], "should be numbers from 0 to 512, separated by commas"),
        (["images", "--workers", "1,,2"], "should be numbers from 0 to 512, separated by commas"),
        (["train", "--batch-size", "0"], "should be numbers from 1 to 65536, separated by commas"),
        (["images", "--executor", "fibres"], "should be of threads, processes, separated by commas"),
        (["images", "--peers", "dali"], "should be of keras, tfdata, torch, grain, separated by commas"),
        (["images", "--dataset", "imagenet"], "should be one of cifar10, cats-dogs"),
        (["train", "--model", "resnet"], "should be one of cifar10, cats-dogs"),
        (["images", "--latency", "nan"], "should be seconds above 0, and 60 at most"),
        (["images", "--out", "study.txt"], "should be a file that ends in .json"),
        (["images", "--cold"], "--cold is for images in files: give DIR, or --dataset cats-dogs."),
        (["images", "--latency", "1", "--dataset", "cifar10"], "Leave DIR, --dataset and --split-flat out."),
        (["images", "--latency", "1", "--peers", "grain"], "--latency is for those that take a sequence"),
        (["images", "--split-flat"], "--split-flat needs DIR"),
        (["images", "photos", "--dataset", "cifar10"], "DIR should hold CIFAR-10's data_batch_1 to data_batch_5"),
        (["images", "photos", "--split-flat"], "--split-flat should be for images named class.number.ext"),
        (["images", "photos/cats"], "named as cat.8000.jpg: add --split-flat."),
        (["images", "photos", "--batch-size", "64"], "--batch-size should be at most the number of images, 3."),
        (
            ["images", "photos", "--batch-size", "2", "--cold", "--images", "4"],
            "at most the number of files with --cold",
        ),
        (["train", "photos", "--batch-size", "2", "--size", "21"], "--size should be from 22 on for the network"),
        (["images", "--out", "file/study.json"], "file"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_measured_is_said_in_one_line(
    words: list[str], line: str, instead_of_measuring: Callable[[Fake], None]
) -> None:
    def never(setting: Setting, images: int) -> PieceReading:
        raise AssertionError("nothing should be measured")

    instead_of_measuring(never)
    write_photographs(Path("photos"), cats=3)
    Path("file").write_text("")
    done = CliRunner().invoke(app, ["bench", *words], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert done.exit_code == 2
    assert line in " ".join(re.sub("[│╭╮╰╯─]", " ", done.output).split())
    assert sorted(files_below(Path())) == ["file", *(f"photos/cats/{k}.jpg" for k in range(3))]


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.bench.study._peer._is_installed", lambda name: name != "grain")
    done = CliRunner().invoke(app, ["bench", "images", "--peers", "keras,grain"])
    assert done.exit_code == 2
    assert "Grain needs grain, which is not installed: pip install 'penstock[peers]'" in done.output


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    done = penstock("bench", "images", cwd=tmp_path, missing="matplotlib")
    assert done.returncode == 2
    assert done.stderr == 'penstock: this needs matplotlib, which is not installed. pip install "penstock[demo]"\n'
    assert done.stdout == ""


# --- data ---


def test_the_users_own_cifar10_is_used_where_it_is(
    tmp_path: Path, instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str]
) -> None:
    instead_of_measuring(by_workers)
    write_cifar10(tmp_path / "keras" / "datasets" / "cifar-10-batches-py")
    run_bench(options(), report())
    assert "Measuring CIFAR-10, 32 images of 32x32 in memory" in capsys.readouterr().out
    write_cifar10(Path("mine"))
    run_bench(options(directory=Path("mine"), dataset=None), report())
    assert "Measuring CIFAR-10, 32 images" in capsys.readouterr().out


def test_photographs_are_cut_where_there_are_none(
    instead_of_measuring: Callable[[Fake], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bench_data, "_CROPS", 40)
    instead_of_measuring(by_workers)
    run_bench(options(dataset="cats-dogs"), report())
    assert "Measuring made data, 32 files of 8 classes in photographs, to 32x32" in capsys.readouterr().out
    assert json.loads(Path("study.json").read_text())["settings"]["place"] == "disk"
    assert "matplotlib" in sys.modules
