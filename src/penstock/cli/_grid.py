"""Augmented images side by side: a row for each photograph, a column for each epoch."""

from __future__ import annotations

import numpy as np

from penstock._types import Array
from penstock.cli._feeds import AUGMENTATION
from penstock.cli._training_images import TrainingImages
from penstock.keras._image_data_generator import ImageDataGenerator

ROWS = COLUMNS = 6
TILE_SIDE_PX = 200


def augmented_grid(images: TrainingImages, seed: int) -> Array:
    """Six images of the training set, each as the model sees it in six epochs.

    Args:
        images: six of their training set are shown, from all through it.
        seed: of the augmentation.

    Returns:
        uint8, `(1200, 1200, 3)`.
    """
    # A batch is a column, since an epoch is the six images, and the generator draws anew for each epoch.
    with ImageDataGenerator(**AUGMENTATION).flow(
        _originals(images), batch_size=ROWS, shuffle=False, seed=seed, workers=0
    ) as flow:
        columns = [np.concatenate(list(next(flow)), axis=0) for _ in range(COLUMNS)]
    pixels: Array = np.rint(np.concatenate(columns, axis=1) * 255).astype(np.uint8)
    return pixels


def _originals(images: TrainingImages) -> Array:
    """uint8, `(6, 200, 200, 3)`."""
    with ImageDataGenerator(validation_split=images.validation_split).flow_from_directory(
        images.training,
        target_size=(TILE_SIDE_PX, TILE_SIDE_PX),
        classes=list(images.classes),
        class_mode=None,
        batch_size=1,
        shuffle=False,
        subset="training" if images.validation_split else None,
        interpolation="lanczos",
        workers=0,
    ) as flow:
        chosen = [int((row + 0.5) * len(flow) / ROWS) for row in range(ROWS)]
        return np.stack([np.rint(flow[number][0]) for number in chosen]).astype(np.uint8)
