"""`penstock train`: what it trains on, what it saves, and that it goes on as if it had never been stopped."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import penstock.cli._train_app
from command_line import command, environment, files_below, penstock
from penstock.cli._app import app
from penstock.cli._augment_option import parse_augment
from penstock.cli._confusion import Confusion, save_confusion
from penstock.cli._endings import CommandError, StoppedInOrder
from penstock.cli._models import build_model, load_weights, model_names, preprocessing
from penstock.cli._stop_signals import stop_wishes
from penstock.cli._train import run_train
from penstock.cli._train_options import TrainOptions
from penstock.cli._train_report import TrainReport
from penstock.cli._train_state import RunState
from penstock.legacy import load_img
from photographs import write_light_and_dark

BATCHES = 5  # of an epoch: 18 images in batches of 4


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 images of each of two classes, light ones and dark ones."""
    folder = tmp_path_factory.mktemp("photographs")
    write_light_and_dark(folder, 12)
    return folder


@pytest.fixture(scope="module")
def finished(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of the small model's, and what it said. For reading."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    return out, trained(options(photographs, out, epochs=4))


def options(photographs: Path, out: Path, **others: Any) -> TrainOptions:
    defaults = {"epochs": 2, "batch_size": 4, "size": (24, 24), "workers": 1, "validation": 0.25}
    return TrainOptions(photographs, out, **{**defaults, "augment": "rotation_range=30,zoom_range=.2", **others})


def trained(chosen: TrainOptions) -> str:
    """What a run says."""
    text = io.StringIO()
    run_train(chosen, TrainReport(Console(file=text, width=200, highlight=False, markup=False, soft_wrap=True)))
    return text.getvalue()


def rows_of(out: Path) -> list[dict[str, float]]:
    text = (out / "history.csv").read_text()
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]


def arrays_of(out: Path) -> list[np.ndarray]:
    return list(RunState.load(out / "checkpoint.zip").arrays)


class Raise(keras.callbacks.Callback):
    """Sends a signal after so many batches, or in so manieth batch of validation; counted from 1."""

    def __init__(self, at: int, number: int = signal.SIGINT, *, testing: bool = False) -> None:
        super().__init__()
        self.left, self.number, self.testing = at, number, testing

    def on_train_batch_end(self, batch, logs=None):
        self.count(not self.testing)

    def on_test_batch_end(self, batch, logs=None):
        self.count(self.testing)

    def count(self, counts: bool) -> None:
        self.left -= counts
        if counts and self.left == 0:
            signal.raise_signal(self.number)


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What models are given from now on, in training: a mark of images and one of labels for each batch."""
    seen: list[tuple[str, str]] = []

    class Watched(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            if training and "Tracer" not in type(x).__name__:
                seen.append(
                    tuple(hashlib.sha256(keras.ops.convert_to_numpy(part).tobytes()).hexdigest() for part in (x, y))
                )
            return super().compute_loss(x, y, y_pred, sample_weight, training)

    def build(name: str, size_px: tuple[int, int], classes: int, weights: Any = None) -> Any:
        model = Watched(
            [
                keras.Input((*size_px, 3)),
                keras.layers.Flatten(),
                keras.layers.Dropout(0.5),  # whose random numbers have to go on, too
                keras.layers.Dense(classes, "softmax"),
            ]
        )
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9), "categorical_crossentropy", metrics=["accuracy"], run_eagerly=True
        )
        return model

    monkeypatch.setattr("penstock.cli._models.build_model", build)
    return seen


# --- going on ---


@pytest.mark.backends
@pytest.mark.parametrize("stops", [(3,), (BATCHES,), (BATCHES + 1, 2), (1, 1, 1)], ids=str)
def test_a_run_that_is_stopped_and_goes_on_is_the_run_that_is_not(photographs, tmp_path, digests, stops):
    trained(options(photographs, tmp_path / "whole"))
    whole = digests.copy()
    assert len(set(whole)) == 2 * BATCHES

    digests.clear()
    for number, stop in enumerate(stops):
        chosen = options(photographs, tmp_path / "parts", callbacks=lambda _, stop=stop: [Raise(stop)])
        with pytest.raises(StoppedInOrder, match=r"Go on with: penstock train .* --resume"):
            trained(options_again(chosen) if number else chosen)
    text = trained(options_again(options(photographs, tmp_path / "parts", workers=2)))

    assert digests == whole
    assert "Going on in epoch" in text
    for one, other in zip(arrays_of(tmp_path / "parts"), arrays_of(tmp_path / "whole"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for row, other in zip(rows_of(tmp_path / "parts"), rows_of(tmp_path / "whole"), strict=True):
        for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy"):
            assert row[name] == pytest.approx(other[name], rel=1e-4), name


def options_again(chosen: TrainOptions) -> TrainOptions:
    """The same, with nothing typed but what may change."""
    return TrainOptions(
        chosen.directory, chosen.out, workers=chosen.workers, callbacks=chosen.callbacks, resume=True, given=()
    )


def test_a_run_stopped_in_validation_trains_nothing_twice(photographs, tmp_path, digests):
    callback = Raise(1, signal.SIGTERM, testing=True)
    with pytest.raises(StoppedInOrder, match="in epoch 1 of 2, after 5 of 5 batches") as stopped:
        trained(options(photographs, tmp_path / "run", callbacks=lambda _: [callback]))
    assert stopped.value.code == 128 + signal.SIGTERM
    assert not (tmp_path / "run" / "best.keras").exists()
    assert len(digests) == BATCHES
    text = trained(options_again(options(photographs, tmp_path / "run")))
    assert len(digests) == len(set(digests)) == 2 * BATCHES
    assert re.search(r"epoch 1 of 2: loss \d", text)


@pytest.mark.backends
def test_a_finished_run_goes_on_for_more_epochs(photographs, tmp_path, digests):
    trained(options(photographs, tmp_path / "whole", epochs=3))
    whole, _ = digests.copy(), digests.clear()
    trained(options(photographs, tmp_path / "run"))
    again = options_again(options(photographs, tmp_path / "run"))
    said = trained(replace(again, track=True))
    assert "Going on after all 2 epochs." in said
    assert "Recorded as run" not in said
    assert not (tmp_path / "run" / "tracked.json").exists()
    assert len(digests) == 2 * BATCHES
    more = TrainOptions(photographs, tmp_path / "run", epochs=3, resume=True, given=("epochs",))
    trained(more)
    assert digests == whole
    for one, other in zip(arrays_of(tmp_path / "run"), arrays_of(tmp_path / "whole"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    fewer = TrainOptions(photographs, tmp_path / "run", epochs=1, resume=True, given=("epochs",))
    with pytest.raises(CommandError, match="--epochs should be at least 3"):
        trained(fewer)


def test_it_saves_in_mid_epoch_when_it_is_time(photographs, tmp_path, digests, monkeypatch):
    """After every batch here; what is read there is what a process that is killed leaves."""
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            state = RunState.load(tmp_path / "run" / "checkpoint.zip")
            seen.append((state.epoch, state.batch, state.flow["samples"]))

    trained(options(photographs, tmp_path / "run", save_minutes=0.0, callbacks=lambda _: [Look()]))
    first = [(0, batch, 4 * batch) for batch in range(BATCHES)]
    assert seen == [*first, *((1, batch, samples) for _, batch, samples in first)]


def test_a_checkpoint_is_replaced_whole_or_not_at_all(photographs, finished, tmp_path, monkeypatch):
    shutil.copytree(finished[0], tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.zip"
    before, state = path.read_bytes(), RunState.load(path)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space"):
        state.save(path)
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["best.keras", "checkpoint.zip", "confusion.png", "history.csv"]
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(CommandError, match=r"checkpoint\.zip should be what `penstock train` saves"):
        trained(options_again(options(photographs, tmp_path / "run")))


def test_going_on_with_other_settings_names_them_and_changes_nothing(photographs, finished, tmp_path):
    out, _ = finished
    before = files_below(out)
    fewer, renamed = tmp_path / "fewer", tmp_path / "renamed"
    for folder, names in ((fewer, ("cats", "dogs")), (renamed, ("cats", "wolves"))):
        for name in names:
            (folder / name).mkdir(parents=True)
            for k in range(8):
                Image.new("RGB", (9, 9)).save(folder / name / f"{k:02}.png")
    for change, expected in (
        ({"model": "cifar", "batch_size": 5}, "--model (was small, is cifar); --batch-size (was 4, is 5)."),
        ({"augment": "zoom_range=.2"}, "--augment (was rotation_range=30,zoom_range=0.2, is zoom_range=0.2)."),
        ({"size": (32, 24), "seed": 1}, "--size (was 24x24, is 32x24); --seed (was 0, is 1)."),
        ({"validation": 0.5}, "--validation (was 0.25, is 0.5)."),
        ({"directory": fewer}, "the images (names or number of the files in DIR)"),
        ({"directory": renamed}, "the classes (dogs gone; wolves new)."),
    ):
        changed = options(
            **{"photographs": photographs, "out": out, "resume": True, "given": tuple(change)} | change_of(change)
        )
        with pytest.raises(CommandError) as error:
            trained(changed)
        assert expected in str(error.value)
        assert files_below(out) == before


def change_of(change: dict[str, Any]) -> dict[str, Any]:
    return {("photographs" if name == "directory" else name): value for name, value in change.items()}


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL to send")
def test_a_killed_process_goes_on_and_so_does_one_that_ctrl_c_ends(photographs, tmp_path, monkeypatch):
    """As a user runs it: killed, then stopped by Ctrl-C."""
    out = tmp_path / "run"
    words = ["--size", "24x24", "--batch-size", "4", "--epochs", "100000", "--model", "small"]
    with subprocess.Popen(
        command("train", str(photographs), "--out", str(out), *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch "):
                break
        process.kill()
        assert process.communicate(timeout=60)[1] == ""
    killed = RunState.load(out / "checkpoint.zip").epoch

    def epoch(report: TrainReport, *_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TrainReport, "epoch", epoch)
    stopped = CliRunner().invoke(app, ["train", str(photographs), "--out", str(out), "--resume"])
    assert stopped.exit_code == 130
    state = RunState.load(out / "checkpoint.zip")
    assert stopped.stderr == (
        f"penstock: stopped in epoch {state.epoch + 1} of 100000, after 0 of 5 batches. "
        f"Go on with: penstock train {photographs} --out {out} --resume\n"
    )
    assert state.epoch == killed + 1 >= 2
    assert [row["epoch"] for row in rows_of(out)] == list(range(1, state.epoch + 1))


def test_a_second_ctrl_c_ends_it_at_once():
    with stop_wishes() as wish:
        signal.raise_signal(signal.SIGINT)
        assert wish.signal == signal.SIGINT
        wish.check_insists()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):  # had Keras swallowed it
            wish.check_insists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- what comes of it ---


def test_it_learns_and_writes_what_it_says(photographs, finished):
    out, text = finished
    assert "18 images to train on, 6 to validate with, 2 classes: cats, dogs" in text
    assert "  input: waited" in text
    assert "0 cats" in text
    model = keras.models.load_model(out / "best.keras")
    best = max(row["val_accuracy"] for row in rows_of(out))
    held_out = [photographs / name / f"{k:02}.png" for name in ("cats", "dogs") for k in range(3)]
    images = np.stack([load_img(path, target_size=(24, 24)) for path in held_out]) / np.float32(255)
    named = np.asarray(model.predict(images, verbose=0)).argmax(axis=1)
    assert np.mean(named == [0, 0, 0, 1, 1, 1]) == pytest.approx(best)
    with Image.open(out / "confusion.png") as picture:
        assert picture.format == "PNG"


def test_without_matplotlib_the_picture_is_left_out(photographs, tmp_path, digests, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = trained(options(photographs, tmp_path / "run", epochs=1))
    assert 'pip install "penstock[plot]"' in text
    assert not (tmp_path / "run" / "confusion.png").exists()


def test_confusions_are_counted_and_drawn(tmp_path):
    counts = np.array([[5, 0, 1], [2, 3, 0], [0, 0, 0]])
    confusion = Confusion(counts, ("a", "b", "never"))
    assert confusion.accuracy == 8 / 11
    assert confusion.recalls[:2].tolist() == [5 / 6, 3 / 5]
    assert np.isnan(confusion.recalls[2])
    assert confusion.most_confused(9) == [("b", "a", 2), ("a", "never", 1)]
    many = Confusion(np.eye(100, dtype=np.int64), tuple(f"$class_{k}" for k in range(100)))
    for shown in (confusion, many):
        save_confusion(shown, tmp_path / "confusion.png")
    text = io.StringIO()
    TrainReport(Console(file=text, width=80))._pairs(many)
    TrainReport(Console(file=text, width=80))._pairs(Confusion(np.fliplr(many.counts), many.classes))
    assert "No image was taken for one of another class." in text.getvalue()
    assert re.search(r"\$class_0 +\$class_99 +1 ", text.getvalue())


# --- what will not do ---


def test_folders_and_options_that_will_not_do_are_refused_before_anything_is_written(photographs, tmp_path):
    def write(folder: str, **counts: int) -> Path:
        for name, count in counts.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for k in range(count):
                Image.new("RGB", (30, 30)).save(tmp_path / folder / name / f"{k}.png")
        return tmp_path / folder

    flat = write("flat")
    flat.mkdir()
    Image.new("RGB", (9, 9)).save(flat / "0.png")
    (tmp_path / "a_file").write_text("keep me")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "history.csv").write_text("keep me")
    strangers = write("strangers", cats=1, wolves=1)
    before = files_below(tmp_path)
    out = tmp_path / "run"
    for change, line in (
        ({"photographs": flat}, r"DIR should hold one folder per class\."),
        ({"photographs": write("empty", cats=0, dogs=0)}, r"No images found in the 2 class folders"),
        ({"photographs": write("one", cats=3)}, r"images of two classes or more, .* images of one: 'cats'"),
        ({"photographs": write("gap", cats=3, dogs=3, other=0)}, r"and 'other' holds none\. Move it away"),
        ({"validation": 0.01}, r"--validation 0\.01 should leave images .* with 12 to 12 images it does not"),
        ({"validation_dir": strangers}, r"--validation-dir should hold folders of the classes .*'wolves' beside"),
        ({"model": "MobilNetV2"}, r"--model should be .* Did you mean MobileNetV2"),
        ({"size": (21, 40)}, r"--size should be at least 22x22 for the model small\. Received: 21x40"),
        ({"model": "ResNet50", "size": (31, 40)}, r"--size 31x40 will not do for ResNet50: .*32"),
        ({"weights": tmp_path / "a_file"}, r"--weights: .*a_file (cannot be read|does not fit)"),
        ({"augment": "rotation=4"}, r"Received: rotation\. Did you mean rotation_range"),
        ({"augment": "validation_split=.2"}, r"--augment cannot give validation_split here\. Use --validation"),
        ({"out": tmp_path / "a_file"}, r"--out should be a folder"),
        ({"out": photographs / "run"}, r"--out should not lie among the images"),
        ({"out": tmp_path / "taken"}, r"history\.csv is in the way, and `penstock train` did not make it"),
        ({"resume": True}, r"--resume should go on with the run in --out, and .* holds none"),
    ):
        before |= files_below(tmp_path)
        with pytest.raises(CommandError, match=line):
            trained(options(**{"photographs": photographs, "out": out, **change}))
        assert files_below(tmp_path) == before
        assert not out.exists()


def test_a_run_is_not_begun_over_another_one(photographs, finished):
    out, _ = finished
    before = files_below(out)
    with pytest.raises(CommandError, match=r"holds a run already\. Add --resume .* or choose another --out"):
        trained(options(photographs, out))
    assert files_below(out) == before


@pytest.mark.backends
@pytest.mark.parametrize("name", ["07.png", "02.png"], ids=["training", "validation"])
def test_a_broken_image_stops_it_or_is_left_out(photographs, tmp_path, digests, name):
    shutil.copytree(photographs, tmp_path / "images")
    (tmp_path / "images" / "dogs" / name).write_bytes(b"this is no image")
    chosen = options(tmp_path / "images", tmp_path / "run", epochs=1)
    with pytest.raises(CommandError, match=rf"{name}.*penstock check .*--on-error skip"):
        trained(chosen)
    text = trained(TrainOptions(chosen.directory, chosen.out, on_error="skip", resume=True, given=("on_error",)))
    assert "Left out 1 image that could not be read:" in text, text
    assert len(digests) == len(set(digests)) == BATCHES


def test_the_command_line_says_what_is_wrong_with_an_option(tmp_path, photographs):
    for arguments, expected in (
        (("--size", "15by15"), "HEIGHTxWIDTH"),
        (("--validation", "1"), "share between 0 and 1"),
    ):
        done = penstock("train", str(photographs), *arguments, cwd=tmp_path, missing="keras")
        assert done.returncode == 2
        assert expected in done.stderr
    assert not files_below(tmp_path)


# --- models ---


def test_the_small_models_are_those_of_the_examples():
    small, cifar = build_model("small", (150, 150), 2), build_model("cifar", (32, 32), 10)
    assert cifar.count_params() == 1_250_858  # as Keras's documentation had it
    assert [type(layer).__name__ for layer in small.layers].count("Conv2D") == 3
    assert preprocessing("small") == preprocessing("cifar") == {"rescale": 1 / 255}
    assert build_model("small", (22, 22), 3).output_shape == (None, 3)
    assert build_model("cifar", (10, 10), 3).output_shape == (None, 3)


def test_models_of_keras_bring_their_preprocessing():
    assert {"small", "cifar", "MobileNetV2", "ResNet50", "EfficientNetB0"} <= set(model_names())
    assert preprocessing("EfficientNetB0") == {}  # it does it itself
    pixels = np.full((1, 1, 3), 255, np.float32)
    assert preprocessing("MobileNetV2")["preprocessing_function"](pixels).ravel().tolist() == [1, 1, 1]


def test_weights_are_loaded_where_they_fit(tmp_path):
    other, model = build_model("cifar", (12, 12), 5), build_model("cifar", (12, 12), 3)
    other.save_weights(tmp_path / "cifar.weights.h5")
    left = load_weights(model, tmp_path / "cifar.weights.h5")
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], other.layers[0].get_weights()[0])
    assert any("dense" in name for name in left)
    assert not any("conv2d" in name and "kernel" in name for name in left)
    keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)]).save_weights(tmp_path / "dense.weights.h5")
    with pytest.raises(CommandError, match=r"nothing in .*dense\.weights\.h5 fits the model"):
        load_weights(model, tmp_path / "dense.weights.h5")


# --- the augmentation option ---


def test_augmentation_is_read_as_python_would_read_it():
    text = "rotation_range=45, zoom_range=[.8,1.2],brightness_range=(0.6, 1.4),fill_mode='reflect',rescale=1/255,"
    assert parse_augment(text) == {
        "rotation_range": 45,
        "zoom_range": [0.8, 1.2],
        "brightness_range": (0.6, 1.4),
        "fill_mode": "reflect",
        "rescale": 1 / 255,
    }
    assert parse_augment("horizontal_flip=True,shear_range=-3") == {"horizontal_flip": True, "shear_range": -3}
    assert parse_augment(" ") == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rotation_rang=45", r"Received: rotation_rang\. Did you mean rotation_range"),
        ("xyzzy=1", r"Received: xyzzy\. It may name featurewise_center, "),
        ("45", r"should be names and values"),
        ("rotation_range", r"should be names and values"),
        ("rotation_range=45), open('x'", r"should be names and values"),
        ("**{'rotation_range': 45}", r"should be names and values"),
        ("rotation_range=" + "(" * 5000, r"should be names and values"),
        ("rotation_range=45,rotation_range=4", r"(once, and gives it twice|should be names and values)"),
        (
            "rotation_range=__import__('os').getpid()",
            r"should give rotation_range a number, .*Received: rotation_range=",
        ),
        ("fill_mode=reflect", r"Text needs quotes: fill_mode='reflect'\."),
        ("rescale=1/0", r"should give rescale a number"),
        ("zoom_range=[1,2,3]", r"--augment: `zoom_range` should"),
        ("fill_mode='mirrored'", r"--augment: .*fill_mode"),
        ("pool=3", r"Received: pool\."),
    ],
)
def test_augmentation_that_will_not_do_is_one_clear_line(text, line):
    with pytest.raises(CommandError, match=line):
        parse_augment(text)
