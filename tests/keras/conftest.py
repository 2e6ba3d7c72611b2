"""Files that several tests read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from strategies import pixels


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two and three classes of JPEG and PNG files of different kinds and sizes."""
    made = {}
    for name, classes in (("two", ["b", "a"]), ("three", ["zebra", "Ant", "bee"])):
        made[name] = tmp_path_factory.mktemp(name)
        for number, label in enumerate(classes):
            folder = made[name] / label / "deeper" if number == 1 else made[name] / label
            folder.mkdir(parents=True)
            for k in range(5):
                size = (30 + 7 * k, 61 - 5 * k - number)
                rows, columns = np.mgrid[: size[0], : size[1]]
                noise = pixels(k, (*size, 4), "uint8") // 4
                soft = (96 + 90 * np.sin(rows / (3 + k) + columns / 7))[:, :, None] * [1, 0.8, 0.6, 1] + noise
                picture = Image.fromarray(np.clip(soft, 0, 255).astype(np.uint8))
                if k == 0:
                    picture.convert("RGB").save(folder / f"{k}.jpg", quality=85)
                elif k == 1:
                    picture.save(folder / f"{k}.png")
                elif k == 2:
                    picture.convert("L").save(folder / f"{k}.JPEG")
                elif k == 3:
                    picture.convert("RGB").quantize(64).save(folder / f"{k}.png")
                else:
                    picture.convert("RGB").save(folder / f"{k}.jpg", progressive=True, subsampling="4:4:4")
    return made


@pytest.fixture(scope="session")
def formats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, each with a file of every format and depth that Keras reads."""
    made = tmp_path_factory.mktemp("formats")
    for number, label in enumerate(("one", "two")):
        folder = made / label
        folder.mkdir()
        size = (23 + 6 * number, 31 - 4 * number)
        rows, columns = np.mgrid[: size[0], : size[1]]
        soft = (96 + 60 * np.sin(rows / 5 + number + columns / 7))[:, :, None] * [1, 0.8, 0.6, 1]
        picture = Image.fromarray((soft + pixels(number, (*size, 4), "uint8") // 4).clip(0, 255).astype(np.uint8))
        deep = (soft[:, :, 0] * 257).astype(np.uint16)
        picture.convert("RGB").save(folder / "rgb.bmp")
        picture.convert("L").save(folder / "gray.bmp")
        picture.convert("RGB").save(folder / "rgb.ppm")
        picture.convert("L").save(folder / "gray.ppm")
        picture.save(folder / "rgba.tif", compression="tiff_lzw")
        picture.convert("L").save(folder / "gray.tif")
        picture.convert("RGB").save(folder / "rgb.tif", compression="packbits")
        picture.save(folder / "rgba.png")
        picture.convert("LA").save(folder / "gray-alpha.png")
        picture.convert("1").save(folder / "bits.png")
        picture.convert("RGB").quantize(32).save(folder / "palette.png")
        picture.convert("CMYK").save(folder / "cmyk.jpg", quality=92)
        Image.fromarray(deep).save(folder / "16 bits.png")
        Image.fromarray(deep).save(folder / "16 bits.tif")
        Image.fromarray(deep.astype(np.int32) * 3).save(folder / "32 bits.tif")
    return made
