"""`save_to_dir`: delivered images as files, to look at."""

from __future__ import annotations

import os

import keras

from penstock._types import Array, Step
from penstock.image._draw import Domain, philox


def save_images(
    folder: str, prefix: str, image_format: str, images: Array, data_format: str, step: Step, seed: int
) -> None:
    """Write a batch as `{prefix}_{sample}_{number}.{format}`, each image stretched to 0...255 as Keras does.

    Args:
        images: the finished batch, rank 4.
        step: who is in it.
        seed: with the epoch and the sample it gives the number, so that a repeated run overwrites its own files.
    """
    for image, index in zip(images, step.indices.tolist(), strict=True):
        mark = int(philox(seed, Domain.file_names, step.epoch, index).random_raw()) % 10**7
        picture = keras.utils.array_to_img(image, data_format, scale=True)
        picture.save(os.path.join(folder, f"{prefix}_{index}_{mark}.{image_format}"))
