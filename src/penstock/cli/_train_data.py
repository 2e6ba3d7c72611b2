"""The images that `penstock train` trains on and validates with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.cli._endings import CommandError
from penstock.cli._training_images import check_two_classes
from penstock.keras._directory_flow import DirectoryIterator
from penstock.keras._image_data_generator import ImageDataGenerator
from penstock.sources._files import list_class_folders
from penstock.sources._listing import Listing


@dataclass(frozen=True)
class TrainData:
    """Two sets of images, checked.

    Attributes:
        directory, validation_dir: hold one folder per class; one and the same if `validation` divides it.
        validation: the share of each class that is held out; 0 for a folder of its own.
        classes: names, in the order of their numbers.
        counts, validation_counts: images of each class.
    """

    directory: Path
    validation_dir: Path
    validation: float
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    validation_counts: tuple[int, ...]

    @property
    def chance(self) -> float:
        """Accuracy on the validation images of always naming the commonest class, a share."""
        return max(self.validation_counts) / sum(self.validation_counts)


def find_data(directory: Path, validation: float, validation_dir: Path | None) -> TrainData:
    """List the images; needs no Keras model, and reads none of them.

    Args:
        directory: class folders to train on.
        validation: the share of each class to hold out, between 0 and 1.
        validation_dir: class folders to validate with instead; None to hold out.

    Raises:
        CommandError: images of fewer than two classes, a class without any, or none to validate with.
    """
    found = _listed(directory, "DIR", None)
    classes = tuple(found.class_indices or ())
    counts = np.bincount(found.classes, minlength=len(classes))
    check_two_classes(directory, "DIR", classes, counts)
    if not counts.all():
        empty = next(name for name, count in zip(classes, counts, strict=True) if not count)
        raise CommandError(
            f"DIR should hold images in each of its folders, which are the classes, and {empty!r} holds none. "
            "Move it away, or put images there."
        )
    if validation_dir is not None:
        held_out = _held_out(validation_dir, classes)
        return TrainData(directory, validation_dir, 0.0, classes, tuple(counts.tolist()), held_out)
    shares = (validation * counts).astype(int)  # as `validation_split` counts them
    if not shares.any() or not (counts - shares).all():
        raise CommandError(
            f"--validation {validation:g} should leave images to train on and to validate with, and of classes with "
            f"{counts.min()} to {counts.max()} images it does not. Choose another share, or a --validation-dir."
        )
    return TrainData(
        directory, directory, validation, classes, tuple((counts - shares).tolist()), tuple(shares.tolist())
    )


def training_flow(
    data: TrainData, augmentation: dict[str, Any], size: tuple[int, int], **feeding: Any
) -> DirectoryIterator:
    """Augmented batches, shuffled, and one-hot labels.

    Args:
        augmentation: keyword arguments of `ImageDataGenerator`.
        size: height and width, in pixels.
        feeding: `batch_size`, `seed`, `workers`, `on_error`.
    """
    generator = ImageDataGenerator(**augmentation, validation_split=data.validation)
    return generator.flow_from_directory(
        data.directory,
        target_size=size,
        classes=list(data.classes),
        subset="training" if data.validation else None,
        **feeding,
    )


def validation_flow(
    data: TrainData, preprocessing: dict[str, Any], size: tuple[int, int], **feeding: Any
) -> DirectoryIterator:
    """The held-out images, in order, with nothing drawn.

    Args:
        preprocessing: keyword arguments of `ImageDataGenerator`: those that draw nothing.
        size: height and width, in pixels.
        feeding: `batch_size`, `workers`, `on_error`.
    """
    generator = ImageDataGenerator(**preprocessing, validation_split=data.validation)
    return generator.flow_from_directory(
        data.validation_dir,
        target_size=size,
        classes=list(data.classes),
        shuffle=False,
        subset="validation" if data.validation else None,
        **feeding,
    )


def _listed(directory: Path, option: str, classes: tuple[str, ...] | None) -> Listing:
    try:
        return list_class_folders(directory, classes=classes)
    except ValueError as error:
        raise CommandError(str(error).replace("`directory`", option)) from None


def _held_out(directory: Path, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Images of each class in a folder of their own."""
    strangers = sorted(set(_listed(directory, "--validation-dir", None).class_indices or ()) - set(classes))
    if strangers:
        raise CommandError(
            f"--validation-dir should hold folders of the classes in DIR: {', '.join(classes[:12])}. "
            f"{str(directory)!r} holds {strangers[0]!r} beside."
        )
    found = _listed(directory, "--validation-dir", classes)
    return tuple(np.bincount(found.classes, minlength=len(classes)).tolist())
