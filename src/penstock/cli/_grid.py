"""A picture of augmented images: a row for each photograph, a column for each epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from penstock._types import Array
from penstock.cli._endings import CommandError
from penstock.cli._feeds import AUGMENTATION
from penstock.cli._training_images import TrainingImages
from penstock.keras._image_data_generator import ImageDataGenerator

ROWS = COLUMNS = 6
TILE_SIDE_PX = 200
_SIGNATURE = "penstock demo"


def check_picture(path: Path) -> None:
    """Make sure that writing there destroys nothing but an earlier picture.

    Raises:
        CommandError: there is a file that `draw_grid` has not written.
    """
    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            if picture.info.get("Software") == _SIGNATURE:
                return
    except OSError:
        pass
    raise CommandError(f"{path} is in the way, and `penstock demo` did not make it. Choose another --out.")


def draw_grid(images: TrainingImages, path: Path, seed: int) -> None:
    """Write six images of the training set, each as the model sees it in six epochs.

    Args:
        images: their training set is shown, from all through it.
        path: of the PNG, 1200 x 1200 pixels; replaced if it is there.
        seed: of the augmentation.
    """
    # A batch is a column, since an epoch is the six images, and the generator draws anew for each epoch.
    with ImageDataGenerator(**AUGMENTATION).flow(
        _originals(images), batch_size=ROWS, shuffle=False, seed=seed, workers=0
    ) as flow:
        columns = [np.concatenate(list(next(flow)), axis=0) for _ in range(COLUMNS)]
    pixels = np.rint(np.concatenate(columns, axis=1) * 255).astype(np.uint8)
    signature = PngImagePlugin.PngInfo()
    signature.add_text("Software", _SIGNATURE)
    Image.fromarray(pixels).save(path, "PNG", pnginfo=signature)


def _originals(images: TrainingImages) -> Array:
    with ImageDataGenerator().flow_from_directory(
        images.training,
        target_size=(TILE_SIDE_PX, TILE_SIDE_PX),
        classes=list(images.classes),
        class_mode=None,
        batch_size=1,
        shuffle=False,
        interpolation="lanczos",
        workers=0,
    ) as flow:
        chosen = [int((row + 0.5) * len(flow) / ROWS) for row in range(ROWS)]
        return np.stack([np.rint(flow[number][0]) for number in chosen]).astype(np.uint8)
