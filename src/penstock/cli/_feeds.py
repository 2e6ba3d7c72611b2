"""The feeds: penstock's, and beside it Keras's own with the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from penstock.cli._training_images import TrainingImages
from penstock.keras._directory_flow import DirectoryIterator
from penstock.keras._image_data_generator import ImageDataGenerator

# What the cats-and-dogs example augments with; brightness and colours stay.
AUGMENTATION: Mapping[str, Any] = MappingProxyType(
    {
        "rotation_range": 40,
        "width_shift_range": 0.2,
        "height_shift_range": 0.2,
        "zoom_range": 0.2,
        "horizontal_flip": True,
        "rescale": 1 / 255,
    }
)


def training_flow(
    images: TrainingImages, side_px: int, *, batch_size: int, workers: int | str, seed: int
) -> DirectoryIterator:
    """Augmented batches, shuffled: `(batch, side, side, 3)` from 0 to 1, and one-hot labels."""
    generator = ImageDataGenerator(**AUGMENTATION, validation_split=images.validation_split)
    return generator.flow_from_directory(
        images.training,
        target_size=(side_px, side_px),
        classes=list(images.classes),
        batch_size=batch_size,
        seed=seed,
        subset="training" if images.validation_split else None,
        workers=workers,
    )


def validation_flow(images: TrainingImages, side_px: int, *, batch_size: int, workers: int | str) -> DirectoryIterator:
    """The held-out images, as they are and in order."""
    generator = ImageDataGenerator(rescale=1 / 255, validation_split=images.validation_split)
    return generator.flow_from_directory(
        images.validation,
        target_size=(side_px, side_px),
        classes=list(images.classes),
        batch_size=batch_size,
        shuffle=False,
        subset="validation" if images.validation_split else None,
        workers=workers,
    )


def keras_iterator(images: TrainingImages, side_px: int, *, batch_size: int, seed: int) -> Any:
    """`training_flow`'s twin from Keras's private, deprecated class: one image after the other.

    Raises:
        ImportError: this Keras has no such class any more.
    """
    from keras.src.legacy.preprocessing.image import ImageDataGenerator as KerasGenerator

    generator = KerasGenerator(**AUGMENTATION, validation_split=images.validation_split)
    return generator.flow_from_directory(
        str(images.training),
        target_size=(side_px, side_px),
        classes=list(images.classes),
        batch_size=batch_size,
        seed=seed,
        subset="training" if images.validation_split else None,
    )
