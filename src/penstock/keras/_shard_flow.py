"""Batches from images in tar archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from penstock.keras._file_flow import ALL_CLASS_MODES, FileFlow
from penstock.keras._image_keywords import FlowKeywords
from penstock.keras._settings import Generator
from penstock.sources._shards import ShardSource, list_shards


class ShardIterator(FileFlow):
    """Batches from images in archives; made by `ImageDataGenerator.flow_from_shards`, which has the arguments.

    Attributes:
        samples, n: images that count.
        shards: paths of the archives, or URLs without what is secret in them. archives: what reads them.
        class_indices: class name to number. classes: a number per sample, or a list of numbers. Both only where
            `class_mode` has classes.
        labels: `classes`, or for "raw" and "multi_output" the values.
        filenames: "train-0003.tar/00017.jpg", relative to `directory`. filepaths: with it.
        image_shape: of one finished image.
    """

    allowed_class_modes = ALL_CLASS_MODES

    def __init__(
        self,
        shards: Any,
        image_data_generator: Generator,
        *,
        image: str,
        label: str,
        label_field: Any,
        classes: Iterable[Any] | None,
        class_mode: str | None,
        storage_options: Mapping[str, Any] | None = None,
        **keywords: Unpack[FlowKeywords],
    ) -> None:
        super().__init__(
            lambda split: list_shards(
                shards,
                image=image,
                label=label,
                label_field=label_field,
                classes=classes,
                class_mode=class_mode,
                split=split,
                storage_options=storage_options,
                timeout_s=keywords["feeding"].timeout_s,
            ),
            image_data_generator,
            class_mode=class_mode,
            **keywords,
        )
        assert isinstance(self._found.encoded, ShardSource)
        self.archives = self._found.encoded.archives
        self.shards = list(self.archives.names)
        self._tell_found(f"images in {len(self.shards)} archives")

    def _identity(self) -> tuple[Any, ...]:
        return "shards", *self.filenames
