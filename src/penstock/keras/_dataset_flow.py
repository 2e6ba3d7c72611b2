"""Batches from images in a data set of Hugging Face's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

from penstock.keras._file_flow import ALL_CLASS_MODES, FileFlow
from penstock.keras._image_keywords import FlowKeywords
from penstock.keras._settings import Generator
from penstock.sources._arrow import list_dataset


class DatasetIterator(FileFlow):
    """Batches from images in a `Dataset`; made by `ImageDataGenerator.flow_from_dataset`, which has the arguments.

    Attributes:
        samples, n: rows that count.
        class_indices: class name to number. classes: a number per sample, or a list of numbers. Both only where
            `class_mode` has classes.
        labels: `classes`, or for "raw" and "multi_output" the values. sample_weight: the weights, or None.
        filenames, filepaths: what messages call the samples: "train[17]" for row 17.
        image_shape: of one finished image.
    """

    allowed_class_modes = ALL_CLASS_MODES

    def __init__(
        self,
        dataset: Any,
        image_data_generator: Generator,
        *,
        image_column: str,
        label_column: Any,
        weight_column: str | None,
        classes: Iterable[Any] | None,
        class_mode: str | None,
        **keywords: Unpack[FlowKeywords],
    ) -> None:
        super().__init__(
            lambda split: list_dataset(
                dataset,
                image=image_column,
                label=label_column,
                weight=weight_column,
                classes=classes,
                class_mode=class_mode,
                split=split,
            ),
            image_data_generator,
            class_mode=class_mode,
            **keywords,
        )
        self._tell_found("images")

    def _identity(self) -> tuple[Any, ...]:
        # Rows in another order have the same numbers, but hardly the same classes.
        return "dataset", *self.filenames, getattr(self, "classes", None)
