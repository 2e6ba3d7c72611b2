"""`penstock tune` as a user runs it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from PIL import Image
from rich.console import Console

from command_line import files_below, interrupted, penstock
from penstock.bench._measure import Reading
from penstock.cli._app import INTERPOLATIONS as NAMES
from penstock.cli._endings import CommandError
from penstock.cli._file_reads import FileReads
from penstock.cli._tune import TuneOptions, run_tune
from penstock.cli._tune_choice import choose
from penstock.cli._tune_findings import Done, FirstPass, FoundImages, Ready, TuneJob, WorkersReading, by_workers
from penstock.cli._tune_process import MeasuringProcess
from penstock.cli._tune_report import TuneReport, Tuning, line_to_paste
from penstock.image._decode import INTERPOLATIONS

QUICK = ("--seconds", "2", "--size", "32", "40", "--batch-size", "4")


def write_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for k in range(count):
        pixels = np.random.default_rng(k).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.jpg")


def write_large_images(folder: Path) -> None:
    """Each takes a second to decode."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (750, 750, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(folder / "0.png")
    for k in range(1, 40):
        os.link(folder / "0.png", folder / f"{k}.png")


def pasted(line: str, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first batch of the flow that a line makes."""
    from penstock import ImageDataGenerator

    monkeypatch.chdir(cwd)
    names: dict[str, Any] = {"generator": ImageDataGenerator()}
    exec(line, names)
    with names["flow"] as flow:
        return next(flow), flow


def test_the_line_that_it_prints_makes_a_flow(tmp_path, monkeypatch):
    for name in ("cats", "dogs"):
        write_images(tmp_path / "photos" / name, 8)
    before = files_below(tmp_path)
    done = penstock("tune", "photos", *QUICK, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert files_below(tmp_path) == before
    first, second, *_, line = done.stdout.splitlines()
    assert re.fullmatch(
        r"Measuring 16 images of 2 classes in photos: to 32x40, in batches of 4, for 2 s on \d+ CPUs?", first
    )
    assert re.match(r"First pass, \d+ images?( with \d+ workers?)?: [\d,.]+ images/s", second)
    rows = re.findall(r"^ *(> )?(\d+) +([\d,]+)( \*)? +[\d,.]+ to [\d,.]+ +\d+ % +\S+ MB *$", done.stdout, re.MULTILINE)
    assert [int(row[1]) for row in rows][:3] == [0, 1, 2]
    assert all(int(row[2].replace(",", "")) > 0 for row in rows)
    (chosen,) = [row[1] for row in rows if row[0]]
    assert line == (
        f'flow = generator.flow_from_directory("photos", target_size=(32, 40), batch_size=4, workers={chosen}, '
        "max_queue_size=10)"
    )
    (images, labels), flow = pasted(line, tmp_path, monkeypatch)
    assert images.shape == (4, 32, 40, 3)
    assert labels.shape == (4, 2)
    assert flow.workers == int(chosen)


def test_images_that_lie_in_no_class_folder_are_measured_too(tmp_path, capsys, monkeypatch):
    write_images(tmp_path / 'it\'s "mine"', 1)
    monkeypatch.chdir(tmp_path)
    options = TuneOptions(Path('it\'s "mine"'), (16, 24), 4, "bicubic", seconds=1, step_ms=60_000)
    run_tune(options, TuneReport(Console(highlight=False, markup=False, soft_wrap=True)))
    said = capsys.readouterr().out
    assert 'Measuring 1 image in it\'s "mine": to 16x24' in said
    assert re.search(
        r"^Nothing limits but the model: it takes 0\.067 images/s, and 1 worker feeds ", said, re.MULTILINE
    )
    line = said.splitlines()[-1]
    assert 'interpolation="bicubic", workers=1, max_queue_size=10)' in line
    images, _ = pasted(line, tmp_path, monkeypatch)
    assert images.shape == (1, 16, 24, 3)


def test_without_a_folder_the_photographs_of_the_demo_are_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("penstock.cli._tune._CROPS", 32)
    options = TuneOptions(None, (32, 32), 4, "nearest", seconds=1, step_ms=0)
    run_tune(options, TuneReport(Console(highlight=False, markup=False, soft_wrap=True)))
    photographs = os.path.join("demo", "photographs", "training")
    said = capsys.readouterr().out
    assert f"Measuring 24 images of 8 classes in {photographs}: " in said
    assert f"flow_from_directory({photographs!r}".replace("'", '"') in said


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("none", r"DIR should hold images, in class folders or flat, .* 'none' holds none .*"),
        ("broken", r"'broken/0\.jpg' cannot be read as an image .*"),
    ],
)
def test_folders_that_cannot_be_measured_end_in_one_line(tmp_path, folder, line):
    (tmp_path / "none").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.jpg").write_text("no image")
    done = penstock("tune", folder, *QUICK, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(rf"penstock: {line}\n", done.stderr), done.stderr


def test_a_back_end_that_keras_does_not_have(tmp_path):
    write_images(tmp_path / "photos", 1)
    done = penstock("tune", "photos", *QUICK, cwd=tmp_path, KERAS_BACKEND="caffe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "penstock: KERAS_BACKEND should be a back end that Keras has. Received: 'caffe'\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "'nowhere' does not exist"),
        ((".", "--size", "0", "10"), "two numbers of pixels from 1"),
        ((".", "--interpolation", "none"), "should be one of nearest, bilinear"),
        ((".", "--seconds", "0"), "--seconds"),
        ((".", "--step-ms", "-1"), "--step-ms"),
    ],
)
def test_options_out_of_range(tmp_path, arguments, words):
    done = penstock("tune", *arguments, cwd=tmp_path, missing="numpy,keras")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.replace("│", " ").split())


def test_the_command_knows_every_interpolation():
    assert set(NAMES) == set(INTERPOLATIONS)


# --- the end comes early ---


class EventfulReport(TuneReport):
    """Something happens after some readings."""

    def __init__(self, console: Console, readings: int, event: Callable[[], object]) -> None:
        super().__init__(console)
        self.readings, self.event = readings, event

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        def now(text: str) -> None:
            self.readings -= 1
            if self.readings == 0:
                self.event()

        yield now


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def kill_the_measuring_process() -> None:
    (child,) = [child for child in psutil.Process().children() if "_tune_measure" in " ".join(child.cmdline())]
    child.kill()


def test_the_time_is_kept_with_images_that_take_a_second_each(tmp_path):
    write_large_images(tmp_path / "photos")
    job = TuneJob(str(tmp_path / "photos"), (32, 32), 32, "nearest", seconds=1)
    with MeasuringProcess(job, grace_s=0.5) as process:
        findings = process.findings()
        assert next(findings) == Ready()
        began = perf_counter()
        told = list(findings)
        assert perf_counter() - began < 1.5 + 10  # of a machine that does something else, too; all images take 30 s
        assert Done() not in told
    assert perf_counter() - began < 1.5 + 14


@pytest.mark.skipif(os.name == "nt", reason="processes are not stopped there")
def test_the_time_is_kept_where_nothing_comes_any_more(tmp_path):
    """As from a network drive that does not answer."""
    write_images(tmp_path / "photos", 2)
    with MeasuringProcess(TuneJob(str(tmp_path / "photos"), (32, 32), 2, "nearest", 0.5), grace_s=0.5) as process:
        findings = process.findings()
        assert next(findings) == Ready()
        os.kill(process._process.pid, signal.SIGSTOP)
        began = perf_counter()
        assert Done() not in list(findings)
    assert perf_counter() - began < 1 + 10


def test_images_of_which_none_is_measured_in_time_end_in_one_line(tmp_path, capsys):
    write_large_images(tmp_path / "photos")
    options = TuneOptions(tmp_path / "photos", (32, 32), 32, "nearest", seconds=0.1, step_ms=0)
    with pytest.raises(CommandError, match=r"should be .* Give it more --seconds"):
        run_tune(options, TuneReport(Console(soft_wrap=True)))


def test_a_process_that_is_killed_says_so(tmp_path):
    write_images(tmp_path / "photos", 2)
    with MeasuringProcess(TuneJob(str(tmp_path / "photos"), (32, 32), 2, "nearest", 60)) as process:
        findings = process.findings()
        assert next(findings) == Ready()
        os.kill(process._process.pid, signal.SIGKILL)
        with pytest.raises(CommandError, match="was ended by SIGKILL; it may have run out of memory"):
            list(findings)


def test_what_was_measured_before_the_process_was_killed_is_printed(tmp_path, capsys):
    write_images(tmp_path / "photos", 8)
    options = TuneOptions(tmp_path / "photos", (32, 32), 4, "nearest", seconds=60, step_ms=0)
    with pytest.raises(CommandError, match="SIGKILL"):
        run_tune(options, EventfulReport(Console(soft_wrap=True, width=200), 2, kill_the_measuring_process))
    assert "workers=1, max_queue_size=10)" in capsys.readouterr().out


# --- Ctrl-C ---


def test_what_was_measured_before_ctrl_c_is_printed(tmp_path, capsys):
    write_images(tmp_path / "photos", 8)
    options = TuneOptions(tmp_path / "photos", (32, 32), 4, "nearest", seconds=60, step_ms=0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background begins without
    try:
        with pytest.raises(KeyboardInterrupt):
            run_tune(options, EventfulReport(Console(soft_wrap=True, width=200), 2, press_ctrl_c))
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().out
    assert "Stopped. Medians of 1 round, " in said
    assert re.search(r"^flow = generator\.flow_from_directory\(.*, workers=1, max_queue_size=10\)$", said, re.MULTILINE)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_ends_it_in_one_line(tmp_path):
    write_images(tmp_path / "photos", 8)
    done = interrupted("tune", "photos", cwd=tmp_path, after="Measuring 8 images")
    assert (done.returncode, done.stderr) == (130, "penstock: stopped\n")


# --- what it says ---


def tuning(*rates: tuple[int, float], need: float | None, own: float, reads: FileReads | None = None) -> Tuning:
    readings = tuple(
        WorkersReading(workers, Reading(rate, 1.0, own_cores=own * 1000), reads) for workers, rate in rates
    )
    return Tuning(
        job=TuneJob("photos", (224, 224), 32, "nearest", 60),
        found=FoundImages(640, 8),
        first=FirstPass(480, 400.0, 2, reads, 32, 19_000_000),
        readings=readings,
        measured=by_workers(readings),
        needed_images_per_s=need,
        choice=choose(by_workers(readings), need),
        stopped=False,
    )


@pytest.mark.parametrize(
    ("need", "own", "reads", "words"),
    [
        (None, 1.0, None, r"The CPU limits: [\d.]+ of \d+ CPUs? (is|are) busy\."),
        (None, 0.0, FileReads(99, 100), r"Storage limits: files came from the disk while only 0\.0 of "),
        (
            None,
            0.0,
            FileReads(0, 100),
            r"Neither the CPU \(0\.0 of \d+ busy\) nor, .* workers that wait for one another",
        ),
        (400.0, 0.0, FileReads(99, 100), r"The model takes 400 images/s and would wait 50 % of the time: storage "),
        (195.0, 1.0, None, r"The model takes 195 images/s and leaves the feed less than 10 % to spare: the CPU "),
        (90.0, 1.0, None, r"Nothing limits but the model: it takes 90 images/s, and 1 worker feeds 100\."),
    ],
)
def test_verdicts(capsys, need, own, reads, words):
    report = TuneReport(Console(highlight=False, markup=False, soft_wrap=True, width=120))
    report.result(tuning((0, 99), (1, 100), (2, 200), need=need, own=own, reads=reads))
    said = capsys.readouterr().out
    assert re.search(rf"^{words}", said, re.MULTILINE), said
    assert "19 MB" in said
    assert "190 MB" in said


def test_the_guide_shows_what_it_prints(capsys, monkeypatch):
    page = (Path(__file__).parents[2] / "guide" / "images.md").read_text("utf-8")
    (shown,) = re.findall(r"```console\n\$ penstock tune photos .*?\n(.*?)```", page, re.DOTALL)
    monkeypatch.setattr("penstock.cli._tune_report.usable_cpus", lambda: 2)
    rounds = {  # images per second, and cores in use
        0: ((1050, 1291, 1291, 1291, 1291, 1367), 0.98),
        1: ((1187, 1285, 1285, 1285, 1285, 1405), 1.0),
        2: ((1263, 1300, 1901, 1901, 2400, 2447), 1.38),
        4: ((1174, 2438, 2438, 2438, 2438, 2670), 1.706),
        8: ((1837, 2245, 2245, 2245, 2245, 2759), 1.8),
    }
    readings = tuple(
        WorkersReading(workers, Reading(rate, 1.0, own_cores=cores), FileReads(0, 100))
        for workers, (rates, cores) in rounds.items()
        for rate in rates
    )
    job = TuneJob("photos", (224, 224), 32, "nearest", 25)
    found, first = FoundImages(512, 8), FirstPass(512, 1032.0, 2, FileReads(0, 100), 32, 19_300_000)
    report = TuneReport(Console(highlight=False, markup=False, soft_wrap=True, width=80))
    report.heading(job, found)
    report.first_pass(first, job)
    report.result(
        Tuning(job, found, first, readings, by_workers(readings), None, choose(by_workers(readings)), stopped=False)
    )
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == shown.splitlines()


def test_the_line_holds_nothing_that_needs_no_saying():
    assert line_to_paste(tuning((1, 100), (2, 200), need=None, own=1)) == (
        'flow = generator.flow_from_directory("photos", target_size=(224, 224), batch_size=32, workers=2, '
        "max_queue_size=10)"
    )
