"""Images in a `Dataset` of Hugging Face's, which keeps them in Arrow files or in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock._errors import ImageError
from penstock._types import Array, Indices
from penstock.sources._encoded import whole
from penstock.sources._labels import label_rows, name_parameters, wanted_columns
from penstock.sources._listing import Listing
from penstock.sources._read import read_file
from penstock.sources._urls import is_url, shown


@dataclass(frozen=True)
class RowNames(Sequence[str]):
    """What samples are called in messages: "train[17]".

    Attributes:
        split: of the data set. rows: int64, `(samples,)`, theirs.
    """

    split: str
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        return f"{self.split}[{self.rows[index]}]"


@dataclass(frozen=True)
class PackedColumn:
    """A column of encoded images in memory; as two arrays, so that all worker processes share one copy.

    Attributes:
        data: uint8, one image after the other. ends: int64, `(rows + 1,)`, where each begins and ends.
        paths: of files that hold others, by row. missing: rows without bytes.
    """

    data: Array
    ends: Array
    paths: dict[int, str]
    missing: frozenset[int]

    def take(self, rows: Sequence[int]) -> list[tuple[bytes | memoryview | None, str | None]]:
        """Bytes and path of each of the rows, either of which may be None."""
        memory = memoryview(self.data)  # type: ignore[arg-type]
        return [
            (None if row in self.missing else memory[self.ends[row] : self.ends[row + 1]], self.paths.get(row))
            for row in rows
        ]


@dataclass(frozen=True)
class MappedColumn:
    """A column of encoded images in Arrow files, which a worker process maps for itself.

    Attributes:
        dataset: of this column alone, in the format "arrow", which decodes nothing.
    """

    dataset: Any

    def take(self, rows: Sequence[int]) -> list[tuple[bytes | memoryview | None, str | None]]:
        """Bytes and path of each of the rows, either of which may be None."""
        return list(zip(*(part.to_pylist() for part in _parts(self.dataset[list(rows)].column(0))), strict=True))


@dataclass(frozen=True)
class ArrowSource:
    """Images in a column of a data set.

    Attributes:
        column: of encoded images, or of the paths of files.
        names: one per sample; their rows are the data set's.
    """

    column: PackedColumn | MappedColumn
    names: RowNames

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """The bytes of each of the samples.

        Raises:
            ImageError: there are none, or its file cannot be read; it names the row.
        """
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """The bytes of each of the samples, or why there are none."""
        pairs = self.column.take(self.names.rows[indices].tolist())
        return [self._read(number, *pair) for number, pair in zip(indices.tolist(), pairs, strict=True)]

    def _read(self, number: int, blob: bytes | memoryview | None, path: str | None) -> bytes | memoryview | ImageError:
        if blob is not None:
            return blob
        name, cause = self.names[number], None
        if path is None:
            reason = "holds no image. Leave such rows out: `dataset.filter(...)`"
        elif is_url(path):
            reason = (
                f"lies at {shown(path)!r}, which is not fetched here. Give the addresses to `flow_from_dataframe`, "
                "which does, or have the data set hold the images"
            )
        else:
            try:
                return read_file(path)
            except OSError as error:
                reason, cause = f"lies in {path!r}, which cannot be read: {error.strerror or error}", error
        complaint = ImageError(f"{name} {reason.rstrip('.')}.", index=number, path=name)
        complaint.__cause__ = cause
        return complaint


def list_dataset(
    dataset: Any,
    *,
    image: str = "image",
    label: Any = "label",
    weight: str | None = None,
    classes: Iterable[Any] | None = None,
    class_mode: str | None = "categorical",
    split: tuple[float, float] | None = None,
) -> Listing:
    """List the images of a data set, in the order of its rows: labels are read here, images when they are due.

    Args:
        dataset: a `datasets.Dataset`; it is not changed.
        image: the column of images: `datasets.Image`, encoded (binary), or file names (string).
        label: column of labels, or a list of columns. weight: column of sample weights; None for none.
        classes, class_mode, split: as `label_rows` takes them.

    Raises:
        ImportError: the package `datasets` is not installed.
        TypeError, ValueError: it is something else, or has no such columns, or their values are of no use.
    """
    _check(dataset)
    labels = wanted_columns(label, weight, class_mode)
    for parameter, name in [("image_column", image), *name_parameters(labels, weight)]:
        if name not in dataset.column_names:
            raise ValueError(f"`{parameter}` should be one of the columns {dataset.column_names}. Received: {name!r}")
    names = RowNames(str(dataset.split or "dataset"), np.arange(len(dataset)))
    known = _class_names(dataset.features[label]) if isinstance(label, str) and label in labels else None

    def column(name: str) -> list[Any] | Array:
        values = _arrow(dataset, name)[:].column(0)
        if known is not None and name == label:
            return [_named(value, known) for value in values.to_pylist()]
        plain: list[Any] | Array = values.to_numpy() if _is_plain(values) else values.to_pylist()
        return plain

    found = label_rows(
        len(dataset),
        column,
        names.__getitem__,
        label=label,
        weight=weight,
        classes=classes,
        known=known,
        class_mode=class_mode,
        split=split,
    )
    source = ArrowSource(_images(dataset, image), RowNames(names.split, found.rows))
    return Listing(
        "",
        tuple(source.names),
        found.class_indices,
        found.classes,
        found.targets,
        found.weights,
        found.warnings,
        source,
    )


def _check(dataset: Any) -> None:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            'Data sets of Hugging Face are read by their package. Install it with `pip install "penstock[datasets]"`.'
        ) from error
    if isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        raise TypeError(f"`dataset` should be one of its splits: `dataset[name]`, for name of {list(dataset)}.")
    if isinstance(dataset, datasets.IterableDataset):
        raise TypeError(
            "`dataset` should have random access, which a streamed `IterableDataset` has not. Load it without "
            "`streaming=True`; or feed its batches as they come, with `penstock.feed`; or feed shards of it with "
            "`flow_from_shards`."
        )
    if not isinstance(dataset, datasets.Dataset):
        raise TypeError(f"`dataset` should be a `datasets.Dataset`. Received: {type(dataset).__name__}")


def _arrow(dataset: Any, column: str) -> Any:
    """One column as Arrow has it: nothing is decoded."""
    return dataset.select_columns([column]).with_format("arrow")


def _images(dataset: Any, name: str) -> PackedColumn | MappedColumn:
    import datasets
    from datasets.table import ConcatenationTable, MemoryMappedTable

    feature = dataset.features[name]
    kind = getattr(feature, "dtype", None)
    if not isinstance(feature, datasets.Image) and kind not in ("binary", "large_binary", "string", "large_string"):
        raise TypeError(
            f"`image_column` should hold images: `datasets.Image`, binary, or file names. {name!r} holds {feature}. "
            f"Cast it: `dataset.cast_column({name!r}, datasets.Image())`."
        )

    def is_mapped(table: Any) -> bool:
        if isinstance(table, ConcatenationTable):
            return all(is_mapped(block) for blocks in table.blocks for block in blocks)
        return isinstance(table, MemoryMappedTable)

    column = MappedColumn(_arrow(dataset, name))
    return column if is_mapped(dataset.data) else _packed(column)


def _packed(column: MappedColumn) -> PackedColumn:
    import pyarrow as pa

    blobs, paths = _parts(column.dataset[:].column(0))
    whole = blobs.cast(pa.large_binary()).combine_chunks()
    _, ends, data = whole.buffers()
    missing = frozenset(np.flatnonzero(whole.is_null().to_numpy(zero_copy_only=False)).tolist())
    where = paths.to_pylist() if missing else []
    return PackedColumn(
        np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8),
        np.frombuffer(ends, np.int64)[whole.offset :] if len(whole) else np.zeros(1, np.int64),
        {row: where[row] for row in missing if where[row] is not None},
        missing,
    )


def _parts(column: Any) -> tuple[Any, Any]:
    """The bytes and the paths of a column, which has either or both."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_struct(kind):
        fields = column.flatten()
        return fields[kind.get_field_index("bytes")], fields[kind.get_field_index("path")]
    nothing = pa.chunked_array([pa.nulls(len(column), pa.binary())])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return nothing, column
    return column, nothing


def _is_plain(column: Any) -> bool:
    """Whether it is numbers, and none is missing."""
    import pyarrow as pa

    return not column.null_count and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def _class_names(feature: Any) -> list[str] | None:
    """Of a `ClassLabel`, or of a list of such."""
    names = getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)
    return list(names) if names else None


def _named(value: Any, names: Sequence[str]) -> Any:
    """A class's name by its number; None for what is marked as having none."""
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    return names[value] if value is not None and value >= 0 else None
