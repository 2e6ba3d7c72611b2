"""Batches from a folder of class folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from penstock.keras._caching import parse_cache
from penstock.keras._feeding import Feeding, FeedingKeywords
from penstock.keras._file_flow import FileFlow
from penstock.keras._notice import notice
from penstock.keras._settings import AsTheyAre, Generator
from penstock.sources._remote_folders import list_folders
from penstock.sources._urls import is_url


class DirectoryIterator(FileFlow):
    """Batches from image files in class folders; see `ImageDataGenerator.flow_from_directory` for the arguments.

    Attributes:
        samples, n: images found.
        class_indices: class name to number. num_classes: how many. classes, labels: int32, one number per sample.
        filenames: relative to `directory`. filepaths: as they are opened.
        image_shape: of one finished image.
    """

    allowed_class_modes = frozenset({"categorical", "binary", "sparse", "input", None})

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: Generator | None,
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
        decode: str = "exact",
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        **feeding: Unpack[FeedingKeywords],
    ) -> None:
        generator = AsTheyAre() if image_data_generator is None else image_data_generator
        hidden = generator.semantics == "keras"
        caching = parse_cache(cache, cache_bytes, None if classes or is_url(directory) else directory)
        parsed = Feeding.parse(**feeding)
        super().__init__(
            lambda split: list_folders(
                directory,
                classes=classes,
                split=split,
                follow_links=follow_links,
                hidden=hidden,
                storage_options=storage_options,
                timeout_s=parsed.timeout_s,
            ),
            generator,
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
            caching=caching,
            feeding=parsed,
        )
        if not is_url(directory):
            self.directory = directory
        notice(f"Found {self.samples} images belonging to {self.num_classes} classes.")

    def _identity(self) -> tuple[Any, ...]:
        return "directory", *self.filenames
