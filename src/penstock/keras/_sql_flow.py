"""Batches from images in a database."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Unpack

from penstock.keras._file_flow import ALL_CLASS_MODES, FileFlow
from penstock.keras._image_keywords import FlowKeywords
from penstock.keras._settings import Generator
from penstock.sources._listing import Listing
from penstock.sources._sql import list_sql


class SqlIterator(FileFlow):
    """Batches from images in a database; made by `ImageDataGenerator.flow_from_sql`, which has the arguments.

    Attributes:
        samples, n: rows that count.
        keys: theirs, in the order of the samples: row i of a prediction belongs to `keys[i]`.
        database: its address, without user and password. table: that the rows are in.
        class_indices: class name to number. classes: a number per sample, or a list of numbers. Both only where
            `class_mode` has classes.
        labels: `classes`, or for "raw" and "multi_output" the values. sample_weight: the weights, or None.
        filenames, filepaths: what messages call the samples; for a column of file names, those.
        image_shape: of one finished image.
    """

    allowed_class_modes = ALL_CLASS_MODES

    def __init__(
        self,
        database: Any,
        table: Any,
        image_data_generator: Generator,
        *,
        image_column: str,
        label_column: Any,
        key_column: str,
        weight_column: str | None,
        directory: str | os.PathLike[str] | None,
        schema: str | None,
        classes: Iterable[Any] | None,
        class_mode: str | None,
        **keywords: Unpack[FlowKeywords],
    ) -> None:
        def find(split: tuple[float, float] | None) -> Listing:
            listing, rows, self.keys = list_sql(
                database,
                table,
                key=key_column,
                image=image_column,
                label=label_column,
                weight=weight_column,
                directory=directory,
                schema=schema,
                classes=classes,
                class_mode=class_mode,
                split=split,
                timeout_s=keywords["feeding"].timeout_s,
            )
            self.database, self.table = rows.database.name, rows.name
            return listing

        super().__init__(find, image_data_generator, class_mode=class_mode, **keywords)
        self._tell_found(f"images in {self.table!r}")

    def _identity(self) -> tuple[Any, ...]:
        return "sql", *self.filenames
