"""`flow.preview`: augmented images to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from penstock import Flow, ImageDataGenerator
from penstock.image._picture import GAP_PX

SIDE = 128  # of a tile that shows an image of 32 pixels
X = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), "uint8")
RANGES: dict[str, Any] = {"rotation_range": 30, "width_shift_range": 0.2, "zoom_range": 0.2, "horizontal_flip": True}


def tiles(picture: Image.Image, rows: int, columns: int, side: int = SIDE) -> np.ndarray:
    """`(rows, columns, side, side, 3)` of a picture without words."""
    pixels = np.asarray(picture)
    assert pixels.shape == (rows * (side + GAP_PX) - GAP_PX, columns * (side + GAP_PX) - GAP_PX, 3)
    step = side + GAP_PX
    return np.array(
        [[pixels[r * step : r * step + side, c * step : c * step + side] for c in range(columns)] for r in range(rows)]
    )


def batches_by_sample(flow: Flow, epochs: int) -> np.ndarray:
    """The images of the next epochs in the order of the samples, `(epochs, samples, ...)`."""
    made = []
    for _ in range(epochs):
        images = np.concatenate([next(flow) for _ in range(len(flow))])
        made.append(images[np.argsort(flow.index_array)])
    return np.array(made)


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_row_is_a_sample_and_a_column_one_of_the_next_epochs(semantics: str, shuffle: bool) -> None:
    generator = ImageDataGenerator(**RANGES, semantics=semantics)
    with generator.flow(X, batch_size=4, seed=1, shuffle=shuffle, workers=2) as flow:
        next(flow)  # an epoch has begun, so the next one is the second
        shown = tiles(flow.preview(3, 2), 3, 2)
        assert flow.batch_index == 1
        flow.reset()
        made = batches_by_sample(flow, 2)
    for row, sample in enumerate((1, 4, 7)):
        for column in range(2):
            large = made[column, sample].repeat(4, axis=0).repeat(4, axis=1)
            np.testing.assert_array_equal(shown[row, column], np.rint(large))


def test_the_picture_saves_itself(tmp_path: Path) -> None:
    with ImageDataGenerator(**RANGES).flow(X) as flow:
        picture = flow.preview(explain=True)
    picture.save(tmp_path / "preview.png")
    with Image.open(tmp_path / "preview.png") as saved:
        assert (saved.mode, saved.size) == ("RGB", picture.size)


@pytest.mark.parametrize(
    "settings",
    [
        {"rescale": 1 / 255},
        {"rescale": 1 / 127.5, "preprocessing_function": lambda image: image - 127.5},
        {"rescale": 2.0},
        {"rescale": 1 / 100},
        {"samplewise_center": True},
        {"featurewise_center": True, "featurewise_std_normalization": True},
    ],
)
def test_whatever_the_values_are_an_eye_can_see_them(settings: dict[str, Any]) -> None:
    """Pictures that differ in the range of their values look alike, but for what a channel is centred on."""
    grey = np.repeat(X[:, :, :, :1], 3, axis=3)
    generator = ImageDataGenerator(**settings)
    generator.fit(grey)
    with ImageDataGenerator().flow(grey) as plain, generator.flow(grey) as flow:
        expected = np.asarray(plain.preview()).astype(float)
        got = np.asarray(flow.preview()).astype(float)
    assert np.corrcoef(expected.ravel(), got.ravel())[0, 1] > 0.99
    assert got.min() < 8
    assert np.abs(got - expected).mean() < 8


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_channels_first_looks_like_channels_last(channels: int, dtype: str) -> None:
    images = (np.random.default_rng(2).integers(0, 256, (4, 32, 32, channels)) * (1 / 256)).astype("float64")
    images = (images if dtype == "float32" else images * 256 ** (1 if dtype == "uint8" else 2)).astype(dtype)
    pictures = []
    for data_format in ("channels_last", "channels_first"):
        x = images if data_format == "channels_last" else np.ascontiguousarray(np.moveaxis(images, 3, 1))
        with ImageDataGenerator(**RANGES, data_format=data_format).flow(x, seed=1) as flow:
            pictures += [np.asarray(flow.preview(2, 2)), np.asarray(flow.preview(2, 2, explain=True))]
    np.testing.assert_array_equal(pictures[0], pictures[2])
    np.testing.assert_array_equal(pictures[1], pictures[3])
    if channels == 1:
        assert (pictures[0] == pictures[0][:, :, :1]).all()


def test_explained_the_original_comes_first_and_words_stand_under_each() -> None:
    with ImageDataGenerator(**RANGES).flow(X, np.arange(9), seed=1) as flow:
        picture = np.asarray(flow.preview(2, 3, explain=True))
    side = 192  # six times 32: wide enough for words
    assert picture.shape[1] == 4 * (side + GAP_PX) - GAP_PX
    np.testing.assert_array_equal(picture[:side, :side], X[2].repeat(6, axis=0).repeat(6, axis=1))
    for column in range(4):
        below = picture[side : side + 14, column * (side + GAP_PX) : column * (side + GAP_PX) + side]
        assert (below < 128).any()


def test_more_rows_than_samples_are_as_many_as_there_are() -> None:
    with ImageDataGenerator().flow(X[:2]) as flow:
        tiles(flow.preview(5, 1), 2, 1)


def test_a_picture_has_at_least_one_image() -> None:
    with ImageDataGenerator().flow(X) as flow:
        for rows, columns in ((0, 3), (3, 0)):
            with pytest.raises(ValueError, match=rf"`rows` and `columns` should be .* Received: {rows} and {columns}"):
                flow.preview(rows, columns)


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_another_image_is_shown_for_one_that_cannot_be_made(tmp_path: Path, on_error: str, semantics: str) -> None:
    (tmp_path / "cats").mkdir()
    for k in range(3):
        Image.new("RGB", (32, 32), (80 * k + 40, 0, 0)).save(tmp_path / "cats" / f"{k}.png")
    (tmp_path / "cats" / "1.png").write_bytes(b"damaged")
    generator = ImageDataGenerator(semantics=semantics)
    with generator.flow_from_directory(tmp_path, (32, 32), on_error=on_error) as flow:
        shown = tiles(flow.preview(3, 2), 3, 2)
        flow.preview(3, 2, explain=True)
    assert shown[:, :, 0, 0, 0].tolist() == [[40, 40], [200, 200], [200, 200]]
