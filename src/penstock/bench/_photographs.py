"""Folders of photographs to read, made of those that scikit-image and scikit-learn bring along."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from penstock.bench._errors import BenchError

_PHOTOGRAPHS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/ihc.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
_SHAPES_PX = ((458, 343), (343, 458), (396, 396))  # (width, height) of about 157,000 pixels each
_QUALITY = 89  # 44 kB per file on average, 2 MB per large one
_LARGE_PX = (4000, 3000)


@dataclass(frozen=True)
class Contents:
    """What a folder of photographs holds.

    Attributes:
        files: how many.
        mean_px, mean_bytes: pixels of an image and size of its file, on average.
    """

    files: int
    mean_px: float
    mean_bytes: float

    @classmethod
    def of(cls, folder: Path) -> Contents:
        """Look at every JPEG in a folder of class folders."""
        paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg"))
        if not paths:
            raise BenchError(f"{folder} should hold class folders with JPEG files, or be empty. Found: no such file")
        pixels = []
        for path in paths:
            with Image.open(path) as image:
                pixels.append(image.width * image.height)
        return cls(len(paths), float(np.mean(pixels)), float(np.mean([path.stat().st_size for path in paths])))


def ensure_photographs(folder: Path, count: int, *, large: bool = False) -> Contents:
    """Fill a folder with class folders of JPEG files, unless something is in it.

    Args:
        folder: made if it is not there; what it holds already is left as it is, and used.
        count: files to make; the same ones every time.
        large: of 12 million pixels, with the detail of a telephone's, instead of 157,000.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Made beside it and moved when complete: an interrupted run leaves no half of a data set behind.
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _make(unfinished, count, _mosaic if large else _crop)
            if folder.is_dir():
                folder.rmdir()
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return Contents.of(folder)


def _make(folder: Path, count: int, make: Callable[[Sequence[Any], int, np.random.Generator], Any]) -> None:
    random = np.random.default_rng(0)
    photographs = [_opened(package, name) for package, name in _PHOTOGRAPHS]
    for number in range(count):
        _, name = _PHOTOGRAPHS[number % len(_PHOTOGRAPHS)]
        class_folder = folder / Path(name).stem
        class_folder.mkdir(exist_ok=True)
        make(photographs, number, random).save(class_folder / f"{number:05}.jpg", quality=_QUALITY)


def _opened(package: str, name: str) -> Any:
    try:
        source = files(package).joinpath(name)
    except ModuleNotFoundError as error:
        raise BenchError(
            f"the photographs come from {error.name}, which is not installed: pip install 'penstock[demo]', "
            "or give a folder of your own by --data"
        ) from error
    with source.open("rb") as file:
        return Image.open(file).convert("RGB")


def _crop(photographs: Sequence[Any], number: int, random: np.random.Generator) -> Any:
    """A part of 60 to 100 % of the largest that fits, resized."""
    photograph, (width, height) = photographs[number % len(photographs)], _SHAPES_PX[number % len(_SHAPES_PX)]
    scale = min(photograph.width / width, photograph.height / height) * random.uniform(0.6, 1.0)
    across, down = int(width * scale), int(height * scale)
    left, top = random.integers(photograph.width - across + 1), random.integers(photograph.height - down + 1)
    box = (int(left), int(top), int(left) + across, int(top) + down)
    return photograph.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _mosaic(photographs: Sequence[Any], _number: int, random: np.random.Generator) -> Any:
    """Photographs at twice their size side by side: enlarged to fill it alone, one would be softer than any lens."""
    enlarged = [photograph.resize((2 * photograph.width, 2 * photograph.height)) for photograph in photographs]
    mosaic = Image.new("RGB", _LARGE_PX)
    top = 0
    while top < mosaic.height:
        left, row = 0, []
        while left < mosaic.width:
            row.append(enlarged[random.integers(len(enlarged))])
            mosaic.paste(row[-1], (left, top))
            left += row[-1].width
        top += min(photograph.height for photograph in row)
    return mosaic
