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
        uint8, `(1220, 1220, 3)`.
    """
    with ImageDataGenerator(**AUGMENTATION, validation_split=images.validation_split).flow_from_directory(
        images.training,
        target_size=(TILE_SIDE_PX, TILE_SIDE_PX),
        classes=list(images.classes),
        class_mode=None,
        seed=seed,
        subset="training" if images.validation_split else None,
        interpolation="lanczos",
        workers=0,
    ) as flow:
        return np.asarray(flow.preview(ROWS, COLUMNS))
