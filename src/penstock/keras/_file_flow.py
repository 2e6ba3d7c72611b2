"""Batches from image files, wherever they are listed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np

from penstock._errors import ImageError
from penstock._types import Array
from penstock.batches._cache import Caching, ImageCache
from penstock.batches._columns import BatchColumn, ClassNumbers, MultiHot, OneHot, SameImages, Values
from penstock.batches._images import ImageBatches
from penstock.feeding._stats import FeedStats
from penstock.image._decode import CHANNELS, Loading, largest_value
from penstock.keras._feeding import Feeding, check_batch_size
from penstock.keras._flow import Flow
from penstock.keras._notice import notice
from penstock.keras._settings import Generator, check_save_to_dir, choose_seed, image_batches, weight_columns
from penstock.sources._encoded import EncodedSource, Interruptible
from penstock.sources._files import EXTENSIONS, FileSource
from penstock.sources._listing import Listing

ALL_CLASS_MODES: frozenset[str | None] = frozenset(
    {"binary", "categorical", "input", "multi_output", "raw", "sparse", None}
)


class FileFlow(Flow):
    """What flows from folders, from dataframes and from wherever else encoded images lie have in common.

    Args:
        find: lists the files of a part, given as two shares, or of all for None.
        image_data_generator: what happens to each image.

    Attributes:
        samples, n: images found.
        filenames: relative to `directory`. filepaths: as they are opened.
        class_indices: class name to number. num_classes: how many. classes: number, or numbers, of each sample. These
            are there only for class modes that have classes.
        image_shape: of one finished image.
    """

    white_list_formats = EXTENSIONS
    allowed_class_modes: ClassVar[frozenset[str | None]] = frozenset()

    def __init__(
        self,
        find: Callable[[tuple[float, float] | None], Listing],
        image_data_generator: Generator,
        *,
        target_size: tuple[int, int],
        color_mode: str,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        data_format: str | None,
        save_to_dir: str | None,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: Any,
        decode: str,
        caching: Caching | None,
        feeding: Feeding,
    ) -> None:
        check_batch_size(batch_size)
        check_save_to_dir(save_to_dir, save_format)
        seed = choose_seed(seed, image_data_generator.semantics, feeding.shard)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        self.dtype = keras.config.floatx() if dtype is None else dtype
        self.target_size: Any = tuple(target_size) if isinstance(target_size, Iterable) else target_size
        self._loading = Loading(self.target_size, color_mode, interpolation, keep_aspect_ratio, decode)
        if class_mode not in self.allowed_class_modes:
            modes = ", ".join(sorted(repr(mode) for mode in self.allowed_class_modes))
            raise ValueError(f"Invalid class_mode: {class_mode}; expected one of: {modes}")
        self.split = _split(image_data_generator._validation_split, subset)
        self.color_mode, self.interpolation, self.keep_aspect_ratio = color_mode, interpolation, keep_aspect_ratio
        channels = CHANNELS[color_mode]
        self.image_shape = (
            (channels, *self.target_size) if self.data_format == "channels_first" else (*self.target_size, channels)
        )
        self._caching = caching
        self._cache: ImageCache | None = None
        self.class_mode = class_mode
        self.subset = subset
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        found = find(self.split)
        self._found = found
        self.directory: Any = found.directory
        self.filenames = list(found.filenames)
        self.samples = len(found.filenames)
        self._filepaths = found.filepaths
        if found.class_indices is not None:
            self.class_indices, self.num_classes = found.class_indices, len(found.class_indices)
            self.classes = found.classes
        super().__init__(self.samples, batch_size, shuffle, seed, feeding)

    @property
    def filepaths(self) -> list[str]:
        """Paths as they are opened."""
        return self._filepaths

    @property
    def labels(self) -> Any:
        """What is to be learnt of each sample: the class numbers, or for "raw" and "multi_output" the values."""
        return self.classes if self._found.targets is None else self._found.targets

    @property
    def sample_weight(self) -> Array | None:
        """One weight per sample, or None."""
        return self._found.weights

    @property
    def stats(self) -> FeedStats:
        """What feeding has cost so far, and what the cache holds."""
        stats, cache = super().stats, self._cache
        if cache is None:
            return stats
        images, nbytes = cache.store.held
        return replace(stats, cache_images=images, cache_bytes=nbytes)

    def close(self) -> None:
        """End the workers and free the memory, that of the cache included; may be called twice."""
        encoded = self._found.encoded
        if isinstance(encoded, Interruptible):
            encoded.interrupt()  # first: a thread may wait for a server that does not answer
        super().close()
        if isinstance(encoded, Interruptible):
            encoded.close()
        if self._cache is not None:
            self._cache.store.close()

    def _make_batches(self) -> ImageBatches:
        if self._cache is None and self._caching is not None:  # one for all makers of this flow's
            self._cache = self._caching.cache(self._found.known or self._filepaths, self._loading)
        return image_batches(
            self,
            self._source(),
            self.image_shape,
            self._columns(),
            (0.0, self._largest_value()),
            self._found.classes,
            self._loading,
            self._cache,
        )

    def _tell_found(self, what: str) -> None:
        """Warn of what was left out, and say what was found; to be called by constructors that a method calls."""
        for warning in self._found.warnings:
            warnings.warn(warning, stacklevel=4)  # the caller of `flow_from_dataframe` and the like
        belonging = "" if self._found.class_indices is None else f" belonging to {self.num_classes} classes"
        notice(f"Found {self.samples} {what}{belonging}.")

    def _source(self) -> EncodedSource:
        found = self._found
        return FileSource(tuple(self._filepaths)) if found.encoded is None else found.encoded

    def _columns(self) -> tuple[BatchColumn, ...]:
        """What goes beside the images: labels, then weights; nothing at all without a class mode."""
        mode, dtype, targets = self.class_mode, np.dtype(self.dtype), self._found.targets
        if mode is None:
            return ()
        columns: list[BatchColumn]
        if mode == "input":
            columns = [SameImages()]
        elif targets is not None:
            columns = [Values(target) for target in (targets if isinstance(targets, list) else [targets])]
        elif any(isinstance(label, list) for label in self.classes):
            columns = [MultiHot.of(self.classes, self.num_classes, dtype)]
        elif mode == "categorical":
            columns = [OneHot(np.asarray(self.classes, np.int32), self.num_classes, dtype)]
        else:
            columns = [ClassNumbers(np.asarray(self.classes, np.int32), dtype)]
        return (*columns, *self._weight_columns())

    def _weight_columns(self) -> list[BatchColumn]:
        return weight_columns(self, self._found.weights)

    def _largest_value(self) -> float:
        """What brightness is clipped to; the first file speaks for all."""
        if self.color_mode != "grayscale" or self.image_data_generator.brightness_range is None:
            return 255.0
        try:
            (blob,) = self._source().read(np.arange(1))
        except ImageError:  # comes again with its batch
            return 255.0
        return largest_value(blob)

    def _packed(self, arrays: list[Array]) -> Any:
        if self.class_mode is None:
            return arrays[0]
        if self.class_mode != "multi_output":
            return tuple(arrays)
        end = len(arrays) - len(self._weight_columns())
        return (arrays[0], arrays[1:end], *arrays[end:])


def _split(validation_split: float, subset: str | None) -> tuple[float, float] | None:
    """The share of each class that a subset is: the first one for validation, the rest for training."""
    if subset is None:
        return None
    if subset == "validation":
        return 0, validation_split
    if subset == "training":
        return validation_split, 1
    raise ValueError(f'Invalid subset name: {subset}; expected "training" or "validation"')
