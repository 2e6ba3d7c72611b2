"""What a look at a folder or a dataframe finds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from penstock._types import Array
from penstock.sources._encoded import EncodedSource
from penstock.sources._stamps import KnownFiles


@dataclass(frozen=True)
class Listing:
    """Image files, and what is known of each.

    Attributes:
        directory: as the user gave it; "" for the current one.
        filenames: relative to `directory`, or absolute.
        class_indices: class name to number; None where there are no classes.
        classes: class number of each file, int32, `(samples,)`; or for a dataframe a list of numbers, and of lists of
            numbers where a file may belong to several classes. None where there are no classes.
        targets: what else is to be learnt, `(samples, ...)`; a list of such for several outputs. None for nothing.
        weights: one number per file, `(samples,)`; None for none.
        warnings: what the user should be told about what was left out.
        encoded: what reads the images; None for files under `filepaths`.
        known: what the place where they lie has told of each; None where files are to be asked themselves.
    """

    directory: str
    filenames: tuple[str, ...]
    class_indices: dict[Any, int] | None = None
    classes: Any = None
    targets: Array | list[Array] | None = None
    weights: Array | None = None
    warnings: tuple[str, ...] = ()
    encoded: EncodedSource | None = None
    known: KnownFiles | None = None

    @property
    def filepaths(self) -> list[str]:
        """`filenames` under `directory`."""
        if self.known is not None and self.encoded is not None:
            return list(self.encoded.names)
        return [os.path.join(self.directory, name) for name in self.filenames]
