"""Batches from image files that a dataframe lists."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from penstock.keras._caching import parse_cache
from penstock.keras._feeding import Feeding, FeedingKeywords
from penstock.keras._file_flow import ALL_CLASS_MODES, FileFlow
from penstock.keras._settings import AsTheyAre, Generator
from penstock.sources._tables import list_table


class DataFrameIterator(FileFlow):
    """Batches from image files in a dataframe; see `ImageDataGenerator.flow_from_dataframe` for the arguments.

    Attributes:
        samples, n: rows whose files count.
        class_indices: class name to number. classes: a number per sample, or a list of numbers. Both only where
            `class_mode` has classes.
        labels: `classes`, or for "raw" and "multi_output" the values. sample_weight: the weights, or None.
        filenames: as in the dataframe. filepaths: as they are opened.
        image_shape: of one finished image.
    """

    allowed_class_modes = ALL_CLASS_MODES

    def __init__(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        image_data_generator: Generator | None = None,
        x_col: Any = "filename",
        y_col: Any = "class",
        weight_col: Any = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = "float32",
        validate_filenames: bool = True,
        decode: str = "exact",
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        **feeding: Unpack[FeedingKeywords],
    ) -> None:
        parsed = Feeding.parse(**feeding)
        super().__init__(
            lambda split: list_table(
                dataframe,
                directory=directory,
                x_col=x_col,
                y_col=y_col,
                weight_col=weight_col,
                classes=classes,
                class_mode=class_mode,
                split=split,
                validate_filenames=validate_filenames,
                storage_options=storage_options,
                timeout_s=parsed.timeout_s,
            ),
            AsTheyAre() if image_data_generator is None else image_data_generator,
            target_size=target_size,
            color_mode=color_mode,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=dtype,
            decode=decode,
            caching=parse_cache(cache, cache_bytes),
            feeding=parsed,
        )
        validated = "validated" if validate_filenames else "non-validated"
        self._tell_found(f"{validated} image filenames")

    def _identity(self) -> tuple[Any, ...]:
        return "dataframe", *self.filenames
