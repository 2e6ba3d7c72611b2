"""The images that the demo trains on: where they are, and which of them it is tested with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from penstock._types import Indices
from penstock.cli._endings import CommandError
from penstock.cli._photographs import CropFolder
from penstock.sources._files import list_class_folders

_VALIDATION_SPLIT = 0.2


@dataclass(frozen=True)
class TrainingImages:
    """Two sets of images in class folders.

    Attributes:
        training, validation: hold one folder per class; one and the same folder if `validation_split` divides it.
        validation_split: the share of each class that is held out; 0 if validation has a folder of its own.
        classes: names, in the order of their numbers.
        training_images, validation_images: how many.
        chance: accuracy on the validation images of always naming the commonest class.
    """

    training: Path
    validation: Path
    validation_split: float
    classes: tuple[str, ...]
    training_images: int
    validation_images: int
    chance: float


def crops_to_train_on(crops: CropFolder) -> TrainingImages:
    """The demo's own photographs, which have a folder for each set."""
    held_out = np.bincount(list_class_folders(crops.validation, classes=crops.classes).classes)
    return TrainingImages(
        training=crops.training,
        validation=crops.validation,
        validation_split=0.0,
        classes=crops.classes,
        training_images=crops.training_crops,
        validation_images=crops.validation_crops,
        chance=float(held_out.max() / held_out.sum()),
    )


def folder_to_train_on(directory: Path) -> TrainingImages:
    """The user's own images, of which a fifth of each class is held out.

    Raises:
        CommandError: no such folder, images of fewer than two classes in it, or too few to hold any out.
    """
    try:
        found = list_class_folders(directory)
    except ValueError as error:
        raise CommandError(str(error).replace("`directory`", "--data")) from None
    classes = tuple(found.class_indices or ())
    counts = np.bincount(found.classes, minlength=len(classes))
    check_two_classes(directory, "--data", classes, counts)
    held_out = (_VALIDATION_SPLIT * counts).astype(int)  # as `validation_split` counts them
    if not held_out.any():
        raise CommandError(
            f"--data should hold five images or more of a class, since a fifth is held out to test with. "
            f"{str(directory)!r} holds at most {counts.max()}."
        )
    return TrainingImages(
        training=directory,
        validation=directory,
        validation_split=_VALIDATION_SPLIT,
        classes=classes,
        training_images=int((counts - held_out).sum()),
        validation_images=int(held_out.sum()),
        chance=float(held_out.max() / held_out.sum()),
    )


def check_two_classes(directory: Path, option: str, classes: tuple[str, ...], counts: Indices) -> None:
    """Refuse a folder whose images are all of one class.

    Args:
        option: by which the user has given it.
        classes: names of its folders. counts: images in each, not all 0.

    Raises:
        CommandError: it is such a one.
    """
    filled = [name for name, count in zip(classes, counts, strict=True) if count]
    if len(filled) < 2:
        raise CommandError(
            f"{option} should hold images of two classes or more, each in a folder of its own. {str(directory)!r} "
            f"holds images of one: {filled[0]!r}."
        )
