"""`penstock verify` as a user runs it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from command_line import interrupted
from penstock import ImageDataGenerator
from penstock.cli._app import app
from penstock.cli._verify import VerifyOptions, Way, open_flow, run_verify
from penstock.cli._verify_report import VerifyReport


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("photos")
    for k in range(14):
        path = made / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return made


def run(options: VerifyOptions, **keywords: Any) -> tuple[int, str]:
    out = io.StringIO()
    code = run_verify(options, VerifyReport(Console(file=out, markup=False, soft_wrap=True)), **keywords)
    return code, out.getvalue()


def test_the_digest_is_the_flows_own(photos: Path) -> None:
    code, said = run(VerifyOptions(photos, (16, 18), 4, 7, {"rotation_range": 20}, 2))
    generator = ImageDataGenerator(rotation_range=20)
    with generator.flow_from_directory(photos, (16, 18), batch_size=4, seed=7, workers=0) as flow:
        assert said.endswith(f"The same bytes in every way.\ndigest {flow.digest()}\n")
    assert code == 0
    assert "Verifying 14 images in" in said
    assert "4 batches of 4, seed 7, rotation_range=20" in said
    for way in ("one after the other", "2 threads", "2 processes"):
        assert f"  {way}: 4 batches in" in said


def test_the_first_batch_that_differs_is_named(photos: Path) -> None:
    class Off:
        """A flow, of which one batch has another last bit."""

        def __init__(self, flow: Any) -> None:
            self.flow, self.n, self.taken = flow, flow.n, 0

        def __len__(self) -> int:
            return len(self.flow)

        def __next__(self) -> Any:
            images, labels = next(self.flow)
            if self.taken in (2, 3):
                images[0, 0, 0, 0] = np.nextafter(images[0, 0, 0, 0], np.float32(1e9))
            self.taken += 1
            return images, labels

    @contextmanager
    def opened(options: VerifyOptions, directory: Path, way: Way) -> Iterator[Any]:
        with open_flow(options, directory, Way(way.name, {"workers": 0})) as flow:
            yield Off(flow) if "threads" in way.name else flow

    code, said = run(VerifyOptions(photos, (16, 16), 4, 7, {}, 2), opened=opened)
    assert code == 1
    assert "2 threads made 2 of 4 batches otherwise than one after the other; the first is batch 2 of" in said
    assert "processes made" not in said
    assert "The same bytes" not in said


def test_images_are_made_where_there_are_none_of_the_users() -> None:
    code, said = run(VerifyOptions(None, (8, 8), 48, 0, {}, 1, batches=1))
    assert code == 0
    assert "Verifying 96 images that were made for this: to 8x8, in 1 batch of 48" in said


def test_images_without_class_folders_are_verified_too(photos: Path) -> None:
    code, said = run(VerifyOptions(photos / "a", (8, 8), 4, 0, {}, 1))
    assert code == 0
    assert "7 images" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--augment", "rotation_rage=4"], "Did you mean"),
        (["--augment", "__import__('os').system('true')"], "should be names and values"),
        (["--augment", "zoom_range=(1,2,3)"], "--augment: "),
        (["--size", "0", "4"], "pixels from 1"),
        (["nowhere"], "does not exist"),
    ],
)
def test_bad_input_is_2(arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    result = CliRunner().invoke(app, ["verify", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_folder_without_images_is_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 2
    assert "DIR should hold images" in result.stderr


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 2
    assert "broken.png" in result.stderr


def test_ctrl_c_ends_it_with_a_word(photos: Path, tmp_path: Path) -> None:
    done = interrupted(
        "verify", str(photos), "--batch-size", "1", "--size", "9999", "9999", cwd=tmp_path, after="Verifying"
    )
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "penstock: stopped"
