"""What is fed: data and settings from which all sides are made.

Keras and our flows are imported where they are used: a peer's process reads the same data and loads neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock._types import Array

if TYPE_CHECKING:
    from penstock import Flow

WORKERS = 2
QUEUE_BATCHES = 10  # `max_queue_size`, Keras's default and ours


@dataclass(frozen=True)
class Ranges:
    """What happens to each image at random, as both generators take it."""

    rotation_range: float = 0.0
    width_shift_range: float = 0.0
    height_shift_range: float = 0.0
    zoom_range: tuple[float, float] = (1.0, 1.0)
    channel_shift_range: float = 0.0
    horizontal_flip: bool = False

    def keywords(self) -> dict[str, Any]:
        """For either generator."""
        return {**vars(self)}


SMALL = Ranges(rotation_range=45, width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True)
LARGE = Ranges(
    rotation_range=45,
    width_shift_range=0.1,
    height_shift_range=0.1,
    zoom_range=(0.8, 1.0),
    channel_shift_range=20,
    horizontal_flip=True,
)


def to_unit_range(image: Array) -> Array:
    """0 to 255 becomes -1 to 1: what a user's `preprocessing_function` does."""
    result: Array = image / 127.5 - 1
    return result


@dataclass(frozen=True)
class InMemory:
    """Images in one array, with labels.

    Attributes:
        images, side_px, channels, batch_size: how many, how large, how many at a time.
        dtype: "uint8" images of 0 to 255 become float32 in -1 to 1; "float32" images of 0 to 1 stay as they are.
        ranges: augmentation.
    """

    images: int = 50_000
    side_px: int = 32
    batch_size: int = 256
    dtype: str = "uint8"
    ranges: Ranges = field(default=SMALL)
    channels: int = 3

    @cached_property
    def x(self) -> Array:
        """`(images, side, side, channels)`; noise, since no kernel's time depends on the values."""
        shape = (self.images, self.side_px, self.side_px, self.channels)
        pixels: Array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        return pixels if self.dtype == "uint8" else pixels * np.float32(1 / 255)

    @cached_property
    def y(self) -> Array:
        """Labels of ten classes, int64, `(images,)`."""
        return np.arange(self.images) % 10

    def keras_flow(self) -> Any:
        """Keras's iterator; it makes a float32 copy of uint8 images first, outside what is measured."""
        generator_class = _keras_generator()
        function = to_unit_range if self.dtype == "uint8" else None
        generator = generator_class(**self.ranges.keywords(), preprocessing_function=function)
        return generator.flow(self.x, self.y, batch_size=self.batch_size)

    def penstock_flow(self, workers: int | str, *, processes: bool = False, python_function: bool = False) -> Flow:
        """The same from penstock.

        Args:
            workers: threads.
            processes: instead of threads. Otherwise "auto" workers may be either.
            python_function: scale by Keras's Python function instead of by `rescale` and `featurewise_center`.
        """
        from penstock import ImageDataGenerator

        if self.dtype != "uint8":
            generator = ImageDataGenerator(**self.ranges.keywords())
        elif python_function:
            generator = ImageDataGenerator(**self.ranges.keywords(), preprocessing_function=to_unit_range)
        else:
            generator = ImageDataGenerator(**self.ranges.keywords(), rescale=1 / 127.5, featurewise_center=True)
            generator.mean = np.ones(1, np.float32)
        return generator.flow(
            self.x,
            self.y,
            batch_size=self.batch_size,
            workers=workers,
            use_multiprocessing=processes or None,
            max_queue_size=QUEUE_BATCHES,
        )


@dataclass(frozen=True)
class InFiles:
    """JPEG files in class folders.

    Attributes:
        folder: holds the class folders.
        target_px: side of the square that each image is resized to.
        batch_size, ranges: as for `InMemory`.
        decode, cache: for penstock, as its flows take them.
    """

    folder: Path
    target_px: int = 299
    batch_size: int = 64
    ranges: Ranges = field(default=LARGE)
    decode: str = "exact"
    cache: str | None = None

    def listed(self) -> tuple[list[str], Array]:
        """Paths in order, and the number of each one's class folder: what a peer's pipeline starts from."""
        paths = sorted(path for path in self.folder.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg"))
        classes = sorted({path.parent.name for path in paths})
        return [str(path) for path in paths], np.array([classes.index(path.parent.name) for path in paths])

    def keras_flow(self) -> Any:
        """Keras's iterator."""
        return _keras_generator()(**self.ranges.keywords()).flow_from_directory(
            str(self.folder), target_size=(self.target_px, self.target_px), batch_size=self.batch_size
        )

    def penstock_flow(self, workers: int | str, *, processes: bool = False) -> Flow:
        """The same from penstock."""
        from penstock import ImageDataGenerator

        return ImageDataGenerator(**self.ranges.keywords()).flow_from_directory(
            str(self.folder),
            target_size=(self.target_px, self.target_px),
            batch_size=self.batch_size,
            decode=self.decode,
            cache=self.cache,
            workers=workers,
            use_multiprocessing=processes or None,
            max_queue_size=QUEUE_BATCHES,
        )


def _keras_generator() -> Any:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator
