"""Folders of small image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_photographs(folder: Path, **counts: int) -> None:
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = np.random.default_rng([number, k]).integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.jpg")


def write_light_and_dark(folder: Path, count: int) -> None:
    """Two classes, which a model learns to tell apart at once."""
    for number, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = np.random.default_rng([number, k]).integers(0, 128, (40, 50, 3)) + 100 * number
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{k:02}.png")
