"""Batches from images in memory."""

from __future__ import annotations

import warnings
from typing import Any, Unpack

import keras
import numpy as np

from penstock._types import Array
from penstock.batches._columns import BatchColumn, Values
from penstock.batches._images import ImageBatches
from penstock.keras._feeding import Feeding, FeedingKeywords, check_batch_size
from penstock.keras._flow import Flow
from penstock.keras._settings import Generator, check_save_to_dir, choose_seed, image_batches, weight_columns
from penstock.sources._arrays import ArraySource


class NumpyArrayIterator(Flow):
    """Batches from an array of images; see `ImageDataGenerator.flow` for the arguments.

    Attributes:
        x: the images of this subset, as given: nothing is copied, and no float copy is made.
        x_misc: the extra arrays.
        y, sample_weight: as given, or None.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Generator,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
        **feeding: Unpack[FeedingKeywords],
    ) -> None:
        how = Feeding.parse(**feeding)
        check_batch_size(batch_size)
        check_save_to_dir(save_to_dir, save_format)
        seed = choose_seed(seed, image_data_generator.semantics, how.shard)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        self.dtype = keras.config.floatx() if dtype is None else dtype
        images, extras = _split_inputs(x)
        y = None if y is None else np.asarray(y)
        sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        _check_lengths(images, y, sample_weight)
        if subset is not None:
            if subset not in ("training", "validation"):
                raise ValueError(f'Invalid subset name: {subset}; expected "training" or "validation".')
            part = _part(image_data_generator, subset, images, y, ignore_class_split)
            images, extras = images[part], [extra[part] for extra in extras]
            y = None if y is None else y[part]
            if sample_weight is not None and image_data_generator.semantics != "keras":
                sample_weight = sample_weight[part]  # Keras forgets to: its weights are those of the first samples
        _check_images(images, self.data_format)
        self.x, self.x_misc, self.y, self.sample_weight = images, extras, y, sample_weight
        self.image_data_generator = image_data_generator
        self.subset = subset
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        super().__init__(len(images), batch_size, shuffle, seed, how)

    def _make_batches(self) -> ImageBatches:
        columns: list[BatchColumn] = [Values(extra) for extra in self.x_misc]
        if self.y is not None:
            columns += [Values(self.y), *weight_columns(self, self.sample_weight)]
        return image_batches(self, ArraySource(self.x), self.x.shape[1:], tuple(columns), self._value_range(), self.y)

    def _value_range(self) -> tuple[float, float]:
        """What brightness is clipped to: an integer dtype's range, else 0 to 1 or 0 to 255 by the largest value."""
        if self.x.dtype.kind in "iu":
            limits = np.iinfo(self.x.dtype)
            return float(limits.min), float(limits.max)
        if self.image_data_generator.brightness_range is None or self.image_data_generator.semantics == "keras":
            return 0.0, 255.0  # not used; looking for the largest value would read all of a memory map
        return 0.0, 1.0 if max(float(np.max(image)) for image in self.x) <= 1 else 255.0

    def _identity(self) -> tuple[Any, ...]:
        return "array", self.x.shape, str(self.x.dtype)

    def _packed(self, arrays: list[Array]) -> Any:
        extras = 1 + len(self.x_misc)
        images = arrays[0] if extras == 1 else arrays[:extras]
        return images if self.y is None else (images, *arrays[extras:])


def _split_inputs(x: Any) -> tuple[Array, list[Array]]:
    """The images, and the extra arrays of `x=(images, [extra, ...])`."""
    if not isinstance(x, tuple | list):
        return np.asanyarray(x), []
    if len(x) != 2:
        raise ValueError(
            f"`x` should be an array of images or a pair (images, [extra arrays]). Received: {len(x)} items"
        )
    images = np.asanyarray(x[0])
    extras = [np.asarray(extra) for extra in (x[1] if isinstance(x[1], list) else [x[1]])]
    for extra in extras:
        if len(images) != len(extra):
            raise ValueError(
                "All of the arrays in `x` should have the same length. "
                f"Found a pair with: len(x[0]) = {len(images)}, len(x[?]) = {len(extra)}"
            )
    return images, extras


def _check_lengths(images: Array, y: Array | None, sample_weight: Array | None) -> None:
    for name, words, other in (("y", "(labels)", y), ("sample_weight", "", sample_weight)):
        if other is not None and (other.ndim == 0 or len(images) != len(other)):
            raise ValueError(
                f"`x` (images tensor) and `{name}` {words}{' ' if words else ''}should have the same length. "
                f"Found: x.shape = {images.shape}, {name}.shape = {other.shape}"
            )


def _part(generator: Generator, subset: str, images: Array, y: Array | None, ignore_class_split: bool) -> slice:
    """The first share of the samples is for validation, the rest for training."""
    border = int(len(images) * generator._validation_split)
    if y is not None and not ignore_class_split and not np.array_equal(np.unique(y[:border]), np.unique(y[border:])):
        raise ValueError(
            "Training and validation subsets have different number of classes after the split. If your numpy arrays "
            "are sorted by the label, you might want to shuffle them."
        )
    return slice(None, border) if subset == "validation" else slice(border, None)


def _check_images(images: Array, data_format: str) -> None:
    if images.ndim != 4:
        raise ValueError(
            f"Input data in `NumpyArrayIterator` should have rank 4. You passed an array with shape {images.shape}"
        )
    if images.dtype.kind not in "iufb":
        raise ValueError(f"Images should be numbers. You passed an array of dtype {images.dtype}")
    if 0 in images.shape:
        raise ValueError(f"There should be at least one image, of at least one pixel. You passed shape {images.shape}")
    axis = 3 if data_format == "channels_last" else 1
    if images.shape[axis] not in (1, 3, 4):
        warnings.warn(
            f'NumpyArrayIterator is set to use the data format convention "{data_format}" (channels on axis {axis}), '
            f"i.e. expected either 1, 3, or 4 channels on axis {axis}. However, it was passed an array with shape "
            f"{images.shape} ({images.shape[axis]} channels).",
            stacklevel=4,
        )
