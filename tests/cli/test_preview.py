"""`penstock preview` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import NO_KERAS, files_below, penstock, penstock_here
from penstock import ImageDataGenerator
from photographs import write_photographs

RANGES = [
    *("--rotation-range", "20", "--width-shift-range", "0.1", "--height-shift-range", "3", "--zoom-range", "0.2"),
    *("--shear-range", "5", "--brightness-range", "0.6", "1.4", "--channel-shift-range", "30"),
    *("--horizontal-flip", "--vertical-flip", "--fill-mode", "reflect"),
]


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        return np.asarray(picture)


def test_the_picture_is_the_one_of_the_flow_with_the_same_settings(tmp_path):
    write_photographs(tmp_path / "photos", **{"cats/old": 3, "cats-too": 2, "dogs": 4})
    before = files_below(tmp_path / "photos")
    options = [*RANGES, "--rows", "3", "--columns", "2", "--seed", "7", "--size", "130", "140", "--out", "here/a.png"]
    done = penstock("preview", "photos", *options, cwd=tmp_path, missing=NO_KERAS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 images of 9, as 2 epochs would show them: here/a.png\n"
    assert files_below(tmp_path / "photos") == before

    generator = ImageDataGenerator(
        rotation_range=20,
        width_shift_range=0.1,
        height_shift_range=3.0,
        zoom_range=0.2,
        shear_range=5,
        brightness_range=(0.6, 1.4),
        channel_shift_range=30,
        horizontal_flip=True,
        vertical_flip=True,
        fill_mode="reflect",
    )
    with generator.flow_from_directory(tmp_path / "photos", (130, 140), seed=7, workers=0) as flow:
        np.testing.assert_array_equal(pixels_of(tmp_path / "here" / "a.png"), np.asarray(flow.preview(3, 2)))


def test_flat_images_are_explained_and_an_earlier_picture_is_replaced(tmp_path):
    write_photographs(tmp_path, photos=3)
    for _ in range(2):
        done = penstock_here("preview", "photos", "--explain", "--columns", "1", "--size", "200", "200", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "3 images of 3, as 1 epoch would show them: preview.png\n"
    picture = pixels_of(tmp_path / "preview.png")
    assert picture.shape[1] == 404
    np.testing.assert_array_equal(picture[:200, :200], picture[:200, 204:])  # nothing happens by default


def test_another_image_is_shown_for_a_damaged_one(tmp_path):
    write_photographs(tmp_path, photos=2)
    (tmp_path / "photos" / "0.jpg").write_bytes(b"no image")
    done = penstock_here("preview", "photos", "--rows", "2", "--columns", "1", "--size", "128", "128", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    picture = pixels_of(tmp_path / "preview.png")
    np.testing.assert_array_equal(picture[:128], picture[132:])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--out", "photos/a.png"], "--out should not lie in DIR, and 'photos/a.png' does. Choose another --out."),
        (
            ["--out", "other.png"],
            "other.png is in the way, and `penstock preview` did not make it. Choose another --out.",
        ),
        (["--rotation-range", "nan"], "--rotation-range should hold finite numbers. Received: nan"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(tmp_path, options, line):
    write_photographs(tmp_path, photos=1)
    Image.new("RGB", (3, 3)).save(tmp_path / "other.png")
    before = files_below(tmp_path)
    done = penstock("preview", "photos", *options, cwd=tmp_path, missing=NO_KERAS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"penstock: {line}\n"
    assert files_below(tmp_path) == before


def test_a_fill_mode_that_there_is_none_of_ends_in_one_line(tmp_path):
    write_photographs(tmp_path, photos=1)
    done = penstock_here("preview", "photos", "--fill-mode", "round", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("penstock: --fill-mode should be one of 'nearest', ")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_an_image_that_can_be_read_ends_in_one_line(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    done = penstock_here("preview", "photos", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("penstock: DIR should hold images, in files whose names end in png, jpg, ")
    assert done.stderr.endswith("'photos' holds 1 other file (hidden folders do not count).\n")
    (tmp_path / "photos" / "a.jpg").write_text("no image")
    done = penstock_here("preview", "photos", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("penstock: 'photos/a.jpg' cannot be read as an image")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("options", ["--size 0 9", "--size 9", "--size 1x2 3", "--out a.jpg", "--rows 0"])
def test_values_that_an_option_does_not_take_are_refused_by_its_name(tmp_path, options):
    (tmp_path / "photos").mkdir()
    done = penstock("preview", "photos", *options.split(), cwd=tmp_path, missing="numpy")
    assert done.returncode == 2
    assert options.split()[0] in done.stderr
