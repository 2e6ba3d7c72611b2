"""The demo: its photographs, its checks, and the whole of it as a user runs it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import files_below, interrupted, penstock, penstock_here
from penstock.cli._ctrl_c import remembered_ctrl_c
from penstock.cli._endings import CommandError, plain_endings
from penstock.cli._photographs import MANIFEST, make_crops, shipped_photographs
from penstock.cli._training_images import crops_to_train_on, folder_to_train_on

QUICK = ("--epochs", "1", "--rounds", "1", "--batch-size", "4")


def write_images(folder: Path, **counts: int) -> None:
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = np.random.default_rng([number, k]).integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")


# --- the photographs ---


def test_photographs_are_real_various_and_made_without_a_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("no network")

    monkeypatch.setattr(socket, "socket", refuse)
    crops = make_crops(tmp_path / "photographs", 640, seed=0)

    assert len(crops.classes) >= 4
    assert (crops.training_crops, crops.validation_crops) == (512, 128)
    thumbnails = {}
    for path in sorted((tmp_path / "photographs").rglob("*.jpg")):
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert image.mode == "RGB"
            assert all(300 <= side <= 500 for side in image.size), image.size
            image.draft("RGB", (64, 64))
            thumbnails[path] = np.asarray(image.resize((16, 16)), np.float64)
    assert len(thumbnails) == 640
    assert {path.parent.name for path in thumbnails} == set(crops.classes)
    means = {
        name: np.mean([image for path, image in thumbnails.items() if path.parent.name == name], axis=(0, 1, 2))
        for name in crops.classes
    }
    for name in crops.classes:
        same = np.stack([image for path, image in thumbnails.items() if path.parent.name == name])
        assert same.std(axis=0).mean() > 5, f"the crops of {name} look alike"
        assert len(np.unique(same.reshape(len(same), -1), axis=0)) == len(same)
    colours = np.stack(list(means.values()))
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2)[np.triu_indices(len(colours), 1)]
    assert np.median(apart) > 20, "the photographs look alike"


def test_the_same_seed_cuts_the_same_crops(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        make_crops(tmp_path / name, 40, seed)
    a, b, c = (files_below(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a)


def test_training_and_validation_crops_are_disjoint(tmp_path):
    make_crops(tmp_path, 80, seed=0)
    training, validation = (set(files_below(tmp_path / part).values()) for part in ("training", "validation"))
    assert (len(training), len(validation)) == (64, 16)
    assert not training & validation


def test_photographs_are_used_again_and_made_anew_only_where_they_differ(tmp_path):
    made = []
    assert not make_crops(tmp_path, 40, 0, lambda: made.append(1)).reused
    assert len(made) == 40
    before = files_below(tmp_path)
    assert make_crops(tmp_path, 40, 0, lambda: made.append(1)).reused
    assert len(made) == 40
    assert files_below(tmp_path) == before

    (tmp_path / "mine.txt").write_text("keep me")
    (tmp_path / "training" / "cat" / "mine.jpg").write_bytes(b"keep me")
    assert not make_crops(tmp_path, 32, 0).reused
    after = files_below(tmp_path)
    assert after["mine.txt"] == after["training/cat/mine.jpg"] == b"keep me"
    assert len(after) == 32 + 3


def test_photographs_of_an_interrupted_run_are_made_anew(tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_crops(tmp_path, 40, 0, interrupt)
    first = next(tmp_path.rglob("*.jpg"))
    first.write_bytes(b"cut sho")
    assert not make_crops(tmp_path, 40, 0).reused
    assert len(list(tmp_path.rglob("*.jpg"))) == 40
    assert first.read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize("manifest", [None, "{", '{"files": ["../mine.txt"]}', '{"files": 3}', "[]"])
def test_a_folder_that_the_demo_did_not_make_is_left_alone(tmp_path, manifest):
    (tmp_path / "mine.txt").write_text("keep me")
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"keep me")
    if manifest is not None:
        (folder / MANIFEST).write_text(manifest)
    before = files_below(tmp_path)
    with pytest.raises(CommandError, match=r"did not make it\. Choose another --out\."):
        make_crops(folder, 40, 0)
    assert files_below(tmp_path) == before


def test_a_file_in_the_way_of_a_crop_is_left_alone(tmp_path):
    make_crops(tmp_path, 32, 0)
    mine = tmp_path / "training" / "cat" / "00004.jpg"
    assert not mine.exists()
    mine.write_bytes(b"keep me")
    with pytest.raises(CommandError, match=r"00004\.jpg is in the way"):
        make_crops(tmp_path, 40, 0)
    assert make_crops(tmp_path, 32, 0).reused
    assert not make_crops(tmp_path, 32, 1).reused
    assert mine.read_bytes() == b"keep me"


def test_too_few_photographs_are_an_error(monkeypatch):
    kept = [photograph.name for photograph in shipped_photographs()][:3]
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: is_file(path) and path.stem in kept)
    with pytest.raises(CommandError, match=r"ship \d of the 8 photographs that the demo knows, and it needs 4"):
        shipped_photographs()


# --- whose images ---


def test_chance_is_the_commonest_class(tmp_path):
    write_images(tmp_path, cats=10, dogs=20)
    images = folder_to_train_on(tmp_path)
    assert images.classes == ("cats", "dogs")
    assert (images.training_images, images.validation_images) == (24, 6)
    assert images.chance == pytest.approx(4 / 6)


def test_chance_of_the_crops_is_even(tmp_path):
    assert crops_to_train_on(make_crops(tmp_path, 40, 0)).chance == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cats": 5}, "two classes or more, each in a folder of its own. .* holds images of one: 'cats'"),
        ({"cats": 5, "dogs": 0}, "holds images of one: 'cats'"),
        ({"cats": 0, "dogs": 0}, "No images found in the 2 class folders"),
        ({"cats": 4, "dogs": 3}, "five images or more of a class, .* holds at most 4"),
    ],
)
def test_a_folder_that_cannot_be_trained_on(tmp_path, counts, message):
    write_images(tmp_path, **counts)
    with pytest.raises(CommandError, match=message):
        folder_to_train_on(tmp_path)


# --- endings ---


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CommandError("no\n  such thing"), 1, "penstock: no such thing\n"),
        (KeyboardInterrupt(), 130, "penstock: stopped\n"),
        (PermissionError(13, "Permission denied", "/demo"), 1, "penstock: /demo: Permission denied\n"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch.nn"),
            1,
            'penstock: this needs torch, which is not installed. pip install "penstock[torch]"\n',
        ),
    ],
)
def test_endings(capsys, error, code, line):
    with pytest.raises(SystemExit) as ended, plain_endings():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a bug"), OSError("a bug"), ImportError("a bug", name="penstock._nothing")]
)
def test_bugs_keep_their_traceback(error):
    with pytest.raises(type(error), match="a bug"), plain_endings():
        raise error


@pytest.mark.parametrize("package", ["typer", "rich", "skimage", "sklearn", "jax"])
def test_a_missing_extra_is_named(tmp_path, package):
    done = penstock("demo", cwd=tmp_path, missing=package)
    assert done.returncode == 1
    assert done.stderr == f'penstock: this needs {package}, which is not installed. pip install "penstock[demo]"\n'
    assert not files_below(tmp_path)


# --- the whole of it ---


def test_version(tmp_path):
    import penstock as package

    done = penstock("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"penstock {package.__version__}\n", "")


def check_output(done: subprocess.CompletedProcess[str], picture: str, cwd: Path) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "on JAX" in done.stdout
    assert re.search(r"^Validation accuracy: \d+\.\d % \(chance, .*: \d+\.\d %\)$", done.stdout, re.MULTILINE)
    rates = {}
    for name in ("penstock", "Keras's own class"):
        found = re.search(rf"^ *{name} +\d+ +([\d,]+) ", done.stdout, re.MULTILINE)
        assert found, done.stdout
        rates[name] = int(found[1].replace(",", ""))
    assert all(rate > 0 for rate in rates.values())
    assert re.search(r"^penstock feeds \d+\.\d times as fast\.$", done.stdout, re.MULTILINE)
    assert re.search(rf": {re.escape(picture)}$", done.stdout, re.MULTILINE), done.stdout
    with Image.open(cwd / picture) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (1220, 1220), "RGB")
        pixels = np.asarray(image, np.float64)
    starts = range(0, 1220, 204)
    tiles = np.array([[pixels[top : top + 200, left : left + 200] for left in starts] for top in starts])
    assert (tiles.std(axis=(2, 3, 4)) > 3).all(), "a tile is empty"
    assert not any((tiles[:, a] == tiles[:, b]).all(axis=(1, 2, 3)).any() for a in range(6) for b in range(a))


def test_demo(tmp_path):
    done = penstock("demo", "--photos", "40", *QUICK, cwd=tmp_path)
    check_output(done, os.path.join("demo", "augmented.png"), tmp_path)
    assert "40 crops of 8 photographs cut" in done.stdout
    assert "32 images to train on, 8 to validate with, 8 classes: astronaut, cat" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"]
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["augmented.png", "photographs"]


def test_demo_of_ones_own_images(tmp_path):
    write_images(tmp_path / "animals [old]", cats=5, dogs=5)
    before = files_below(tmp_path / "animals [old]")
    done = penstock_here(
        "demo", "--data", "animals [old]", "--out", "seen [new]", "--workers", "1", *QUICK, cwd=tmp_path
    )
    check_output(done, os.path.join("seen [new]", "augmented.png"), tmp_path)
    assert "8 images to train on, 2 to validate with, 2 classes: cats, dogs" in done.stdout
    assert "50.0 %)" in done.stdout
    assert files_below(tmp_path / "animals [old]") == before
    assert [path.name for path in (tmp_path / "seen [new]").iterdir()] == ["augmented.png"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--data", "nowhere"), r"--data should be a folder .* 'nowhere' does not exist\."),
        (("--data", "a_file"), r"--data should be a folder .* 'a_file' is a file\."),
        (("--data", "one"), r"--data should hold images of two classes or more, .* holds images of one: 'cats'\."),
        (("--data", "two", "--out", "two/demo"), r"--out should not lie in --data, and 'two/demo' does\..*"),
        (("--out", "a_file"), r"--out should be a folder\. 'a_file' is a file\."),
        (("--data", "two", "--out", "pictures"), r".*augmented\.png is in the way, .* Choose another --out\."),
    ],
)
def test_folders_that_will_not_do(tmp_path, arguments, line):
    write_images(tmp_path / "one", cats=5)
    write_images(tmp_path / "two", cats=5, dogs=5)
    write_images(tmp_path, pictures=1)
    (tmp_path / "pictures" / "0.png").rename(tmp_path / "pictures" / "augmented.png")
    (tmp_path / "a_file").write_text("keep me")
    before = files_below(tmp_path)
    done = penstock_here("demo", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"penstock: {line}\n", done.stderr), done.stderr
    assert files_below(tmp_path) == before


def test_a_back_end_that_keras_does_not_have(tmp_path):
    done = penstock("demo", cwd=tmp_path, KERAS_BACKEND="caffe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "penstock: KERAS_BACKEND should be a back end that Keras has. Received: 'caffe'\n"
    assert not files_below(tmp_path)


def test_a_broken_image_ends_in_one_line_that_names_it(tmp_path):
    write_images(tmp_path / "animals", cats=5, dogs=5)
    (tmp_path / "animals" / "dogs" / "3.png").write_bytes(b"this is no image")
    done = penstock_here("demo", "--data", "animals", *QUICK, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("penstock: ")
    assert "3.png" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"), [("--workers", "many"), ("--epochs", "0"), ("--batch-size", "0"), ("--seed", "-1")]
)
def test_options_out_of_range(tmp_path, option, value):
    done = penstock_here("demo", option, value, cwd=tmp_path)
    assert done.returncode == 2
    assert option in done.stderr
    assert not files_below(tmp_path)


def test_training_ends_with_a_ctrl_c_that_keras_swallows():
    from penstock.cli._training import train

    class Model:
        steps = 0

        def fit(self, *args, callbacks, **kwargs):
            while self.steps < 5:
                with contextlib.suppress(BaseException):
                    if self.steps == 2:
                        signal.raise_signal(signal.SIGINT)
                self.steps += 1
                callbacks[0].on_train_batch_end(self.steps)

    model = Model()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(model, None, None, 1)
    assert model.steps == 3
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("error", [None, TypeError("what the interrupt was turned into")])
def test_a_ctrl_c_in_the_last_step_is_not_lost(error):
    def last_step():
        with remembered_ctrl_c():
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
            if error is not None:
                raise error

    with pytest.raises(KeyboardInterrupt):
        last_step()


def test_without_ctrl_c_errors_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), remembered_ctrl_c():
        raise ZeroDivisionError


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_ends_it_in_one_line(tmp_path):
    # The photographs come next, and are many.
    done = interrupted("demo", "--photos", "100000", cwd=tmp_path, after="penstock ")
    assert done.returncode == 130
    assert done.stderr == "penstock: stopped\n"
