"""`penstock check` as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from command_line import NO_KERAS, files_below, interrupted, penstock, penstock_here
from penstock.batches._scan import MAX_PIXELS
from penstock.cli._check import CheckOptions, run_check
from penstock.cli._check_report import CheckReport
from penstock.cli._terminal import printable
from photographs import write_photographs


def write_problems(folder: Path) -> list[tuple[str, str]]:
    """One file for each problem; returns their names and problems in the order of the list."""
    write_photographs(folder, cats=5, dogs=3)
    cats, dogs = folder / "cats", folder / "dogs"
    whole = (cats / "1.jpg").read_bytes()
    (cats / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (cats / "2.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    (cats / "3.jpg").write_bytes(b"")
    (cats / "4.jpg").write_bytes(b"this is no image")
    Image.new("RGB", (9, 9)).save(dogs / "1.jpg", "PNG")
    Image.new("L", (100, 200)).save(dogs / "2.jpg")
    Image.new("RGB", (9, 9)).save(dogs / "3.webp")
    (folder / "labels.csv").write_text("file,label\n")
    return [
        (os.path.join("cats", "1.jpg"), "truncated"),
        (os.path.join("cats", "2.jpg"), "damaged"),
        (os.path.join("cats", "3.jpg"), "empty"),
        (os.path.join("cats", "4.jpg"), "unreadable"),
        (os.path.join("dogs", "1.jpg"), "mislabelled"),
        (os.path.join("dogs", "2.jpg"), "large"),
        (os.path.join("dogs", "3.webp"), "ignored"),
    ]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def test_a_sound_folder_ends_with_0_and_without_keras(tmp_path):
    write_photographs(tmp_path / "photos", cats=3, dogs=2)
    done = penstock("check", "photos", "--workers", "2", cwd=tmp_path, missing=NO_KERAS)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third = done.stdout.splitlines()
    assert first == "Checking 5 images of photos with 2 threads"
    assert re.fullmatch(r"Checked in \d+\.\d s \([\d,]+ images and [\d,.]+ MB per second\)", second)
    assert third == "No problems found."


def test_what_is_large_unless_the_user_says_so(tmp_path):
    """The command's help is there before what reads images is loaded, hence the number twice."""
    done = penstock("check", "--help", cwd=tmp_path, missing="numpy,rich.progress")
    assert done.returncode == 0, done.stderr
    assert f"[default: {MAX_PIXELS}]" in done.stdout


def test_images_without_class_folders_are_checked_too(tmp_path):
    write_photographs(tmp_path, photos=3)
    done = penstock_here("check", "photos", "--out", "problems.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Checking 3 images of photos with " in done.stdout
    assert (tmp_path / "problems.csv").read_text() == "path,problem,detail\n"


@pytest.mark.parametrize("name", ["problems.csv", "lists/problems.JSON"])
def test_every_kind_of_problem_is_listed(tmp_path, name):
    expected = write_problems(tmp_path / "photos")
    before = files_below(tmp_path / "photos")
    done = penstock_here("check", "photos", "--max-pixels", "10000", "--out", name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    rows = read_csv(tmp_path / name) if name.endswith(".csv") else json.loads((tmp_path / name).read_text())
    assert [(os.path.relpath(row["path"], "photos"), row["problem"]) for row in rows] == expected
    assert all(list(row) == ["path", "problem", "detail"] and row["detail"] for row in rows)
    for _, problem in expected:
        assert re.search(rf"^ *{problem} +1 +\w", done.stdout, re.MULTILINE), done.stdout
    assert "\n6 files with problems.\n" in done.stdout
    assert done.stdout.endswith(f"The whole list: {name}\n")
    assert files_below(tmp_path / "photos") == before


def test_without_a_list_the_first_of_each_kind_are_shown(tmp_path):
    write_photographs(tmp_path / "photos", cats=8)
    for k in range(1, 8):
        (tmp_path / "photos" / "cats" / f"{k}.jpg").write_bytes(b"")
    done = penstock_here("check", "photos", cwd=tmp_path)
    assert done.returncode == 1
    path = os.path.join("photos", "cats", "{}.jpg")
    shown = "".join(f"  {path.format(k)}: it has no bytes\n" for k in range(1, 6))
    assert done.stdout.endswith(
        f"\n7 files with problems.\n\nempty:\n{shown}  and 2 more\n\n"
        "Add --out problems.csv (or .json) for all of them in a file.\n"
    )


def test_images_that_are_left_out_for_their_names_are_said_and_no_problem(tmp_path):
    write_photographs(tmp_path / "photos", cats=1)
    Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "cats" / "a.gif")
    done = penstock_here("check", "photos", cwd=tmp_path)
    assert done.returncode == 0
    assert "No problems found." in done.stdout
    assert "a.gif: it holds GIF; flows do not read that: convert it" in done.stdout


def test_a_list_replaces_an_earlier_one_and_nothing_else(tmp_path):
    write_photographs(tmp_path / "photos", cats=1)
    for name in ("problems.csv", "problems.json"):
        for _ in range(2):
            assert penstock_here("check", "photos", "--out", name, cwd=tmp_path).returncode == 0
    for name in ("labels.csv", "labels.json"):
        (tmp_path / name).write_text("file,label\n")
        done = penstock_here("check", "photos", "--out", name, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == (
            f"penstock: {name} is in the way, and `penstock check` did not make it. Choose another --out.\n"
        )
        assert (tmp_path / name).read_text() == "file,label\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_of_any_bytes_are_written_and_shown(tmp_path, encoding):
    write_photographs(tmp_path / "photos", cats=1)
    name = os.path.join(os.fsencode(tmp_path), b"photos", b"caf\xe9 \xc3\xa9\n\x1b[31m.jpg")
    with open(name, "wb"):
        pass
    done = penstock("check", "photos", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (1, "")
    shown = {"utf-8": "é", "ascii": r"\xe9"}[encoding]
    assert rf"  photos/caf\xe9 {shown}\n\x1b[31m.jpg: it has no bytes" in done.stdout
    for out in ("problems.csv", "problems.json"):
        assert penstock("check", "photos", "--out", out, cwd=tmp_path).returncode == 1
    (row,) = read_csv(tmp_path / "problems.csv")
    assert json.loads((tmp_path / "problems.json").read_text()) == [row]
    assert os.path.join(os.fsencode(tmp_path), os.fsencode(row["path"])) == name


def test_text_that_a_terminal_takes_is_shown_as_it_is():
    assert printable("cats/Käse 1.jpg", "utf-8") == "cats/Käse 1.jpg"
    assert printable("a\u202e\ud800\t.jpg", "utf-8") == r"a\u202e\ud800\t.jpg"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "'nowhere' does not exist"),
        (("a_file",), "'a_file' is a file"),
        ((), "Missing argument 'DIR'"),
        (("photos", "--out", "list.txt"), "should be a file that ends in .csv or .json"),
        (("photos", "--workers", "0"), '"auto" or a number from 1 on'),
        (("photos", "--max-pixels", "0"), "--max-pixels"),
    ],
)
def test_what_cannot_be_checked_ends_with_2(tmp_path, arguments, words):
    write_photographs(tmp_path / "photos", cats=1)
    (tmp_path / "a_file").touch()
    done = penstock_here("check", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("none", r"DIR should hold images, in files whose names end in png, .*\. 'none' holds 1 other file .*"),
        ("photos --out list.csv", r"--out should be a file\. 'list\.csv' is a folder\."),
    ],
)
def test_folders_that_will_not_do_end_with_2_in_one_line(tmp_path, folder, line):
    write_photographs(tmp_path / "photos", cats=1)
    write_photographs(tmp_path / "none", **{".hidden": 1})
    (tmp_path / "none" / "notes.txt").write_text("later")
    (tmp_path / "list.csv").mkdir()
    done = penstock_here("check", *folder.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"penstock: {line}\n", done.stderr), done.stderr


def test_a_missing_extra_is_named(tmp_path):
    write_photographs(tmp_path / "photos", cats=1)
    done = penstock("check", "photos", cwd=tmp_path, missing="rich")
    assert done.returncode == 2
    assert done.stderr == 'penstock: this needs rich, which is not installed. pip install "penstock[demo]"\n'


def test_decoders_do_not_talk_into_it(tmp_path):
    """libtiff writes to standard error from C, and Pillow warns of metadata."""
    write_photographs(tmp_path / "photos", cats=1)
    path = tmp_path / "photos" / "cats" / "a.tif"
    Image.new("L", (50, 40)).save(path, compression="tiff_lzw")
    path.write_bytes(path.read_bytes()[:-40])
    done = penstock("check", "photos", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "truncated" in done.stdout


# --- Ctrl-C ---


class StoppedReport(CheckReport):
    """Its user presses Ctrl-C after some files."""

    def __init__(self, console: Console, files: int) -> None:
        super().__init__(console)
        self.files = files

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        def advance() -> None:
            self.files -= 1
            if self.files == 0:
                signal.raise_signal(signal.SIGINT)

        yield advance


def test_what_was_found_before_ctrl_c_is_written(tmp_path, capsys):
    expected = write_problems(tmp_path / "photos")
    options = CheckOptions(tmp_path / "photos", tmp_path / "problems.csv", workers=2, max_pixels=10_000)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_check(options, StoppedReport(Console(soft_wrap=True), 5))
    assert signal.getsignal(signal.SIGINT) is handler
    names = [os.path.relpath(row["path"], tmp_path / "photos") for row in read_csv(tmp_path / "problems.csv")]
    assert names == [name for name, _ in expected[:3]]  # the first files are labels.csv and cats/0.jpg
    said = capsys.readouterr().out
    assert "Stopped after 4 images and 0." in said
    assert "3 files with problems so far." in said


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_ends_it_in_one_line(tmp_path):
    write_photographs(tmp_path / "photos", cats=1)
    large = tmp_path / "photos" / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)).save(large)
    for k in range(5000):
        os.link(large, tmp_path / "photos" / f"{k}.png")
    done = interrupted("check", "photos", "--out", "problems.csv", cwd=tmp_path, after="Checking 5,002 images")
    assert done.returncode == 130
    assert done.stderr == "penstock: stopped\n"
    assert "Stopped after " in done.stdout
    assert (tmp_path / "problems.csv").read_text() == "path,problem,detail\n"
