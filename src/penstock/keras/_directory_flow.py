"""Batches from a folder of class folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from penstock._types import Array
from penstock.batches._columns import BatchColumn, ClassNumbers, OneHot, SameImages
from penstock.batches._images import ImageBatches
from penstock.image._decode import CHANNELS, Loading, largest_value
from penstock.keras._feeding import Feeding, check_batch_size
from penstock.keras._flow import Flow
from penstock.keras._notice import notice
from penstock.keras._settings import Generator, check_save_to_dir, choose_seed, image_batches
from penstock.sources._files import EXTENSIONS, FileSource, list_class_folders


class DirectoryIterator(Flow):
    """Batches from image files in class folders; see `ImageDataGenerator.flow_from_directory` for the arguments.

    Attributes:
        samples, n: images found.
        class_indices: class name to number. num_classes: how many. classes, labels: int32, one number per sample.
        filenames: relative to `directory`. filepaths: as they are opened.
        image_shape: of one finished image.
    """

    white_list_formats = EXTENSIONS
    allowed_class_modes = frozenset({"categorical", "binary", "sparse", "input", None})

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: Generator,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
        *,
        workers: int | str = "auto",
        max_queue_size: int = 10,
        max_queue_bytes: int | str | None = None,
    ) -> None:
        feeding = Feeding.parse(workers, max_queue_size, max_queue_bytes)
        check_batch_size(batch_size)
        check_save_to_dir(save_to_dir)
        semantics = image_data_generator.semantics
        seed = choose_seed(seed, semantics)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        self.dtype = keras.config.floatx() if dtype is None else dtype
        self.target_size: Any = tuple(target_size) if isinstance(target_size, Iterable) else target_size
        self._loading = Loading(self.target_size, color_mode, interpolation, keep_aspect_ratio)
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"Invalid class_mode: {class_mode}; expected one of: 'categorical', 'binary', 'sparse', 'input', None"
            )
        self.split = _split(image_data_generator._validation_split, subset)
        self.color_mode, self.interpolation, self.keep_aspect_ratio = color_mode, interpolation, keep_aspect_ratio
        channels = CHANNELS[color_mode]
        self.image_shape = (
            (channels, *self.target_size) if self.data_format == "channels_first" else (*self.target_size, channels)
        )
        found = list_class_folders(
            directory, classes=classes, split=self.split, follow_links=follow_links, hidden=semantics == "keras"
        )
        self.directory = directory
        self.class_mode = class_mode
        self.subset = subset
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.class_indices, self.num_classes = found.class_indices, len(found.class_indices)
        self.filenames, self.classes = list(found.filenames), found.classes
        self.samples = len(found.filenames)
        self._filepaths = found.filepaths
        notice(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed, feeding)

    @property
    def filepaths(self) -> list[str]:
        """Paths as they are opened."""
        return self._filepaths

    @property
    def labels(self) -> Array:
        """Class number of each sample."""
        return self.classes

    @property
    def sample_weight(self) -> None:
        """None: a folder holds no weights."""
        return None

    def _make_batches(self) -> ImageBatches:
        dtype = np.dtype(self.dtype)
        columns: dict[str | None, tuple[BatchColumn, ...]] = {
            "categorical": (OneHot(self.classes, self.num_classes, dtype),),
            "binary": (ClassNumbers(self.classes, dtype),),
            "sparse": (ClassNumbers(self.classes, dtype),),
            "input": (SameImages(),),
            None: (),
        }
        return image_batches(
            self,
            FileSource(tuple(self._filepaths)),
            self.image_shape,
            columns[self.class_mode],
            (0.0, self._largest_value()),
            loading=self._loading,
        )

    def _largest_value(self) -> float:
        """What brightness is clipped to; the first file speaks for all."""
        if self.color_mode != "grayscale" or self.image_data_generator.brightness_range is None:
            return 255.0
        return largest_value(self._filepaths[0])

    def _identity(self) -> tuple[Any, ...]:
        return "directory", *self.filenames

    def _packed(self, arrays: list[Array]) -> Any:
        return arrays[0] if self.class_mode is None else tuple(arrays)


def _split(validation_split: float, subset: str | None) -> tuple[float, float] | None:
    """The share of each class that a subset is: the first one for validation, the rest for training."""
    if subset is None:
        return None
    if subset == "validation":
        return 0, validation_split
    if subset == "training":
        return validation_split, 1
    raise ValueError(f'Invalid subset name: {subset}; expected "training" or "validation"')
