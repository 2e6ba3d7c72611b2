"""Images in a table of a database, a key for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock._errors import BatchError, ImageError
from penstock._types import Array, Indices
from penstock.sources._database import Database, Table
from penstock.sources._encoded import whole
from penstock.sources._labels import label_rows, name_parameters, wanted_columns
from penstock.sources._listing import Listing
from penstock.sources._urls import is_url

_MANY_ROWS = 10_000  # from here on, a batch that looks through them all takes several times what one by an index does


@dataclass(frozen=True)
class KeyNames(Sequence[str]):
    """What samples are called in messages: "photos[17]".

    Attributes:
        table: where they are. keys: theirs.
    """

    table: str
    keys: Any

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        key = self.keys[index]
        return key_name(self.table, key.item() if isinstance(key, np.generic) else key)


def key_name(table: str, key: Any) -> str:
    """What a row is called in messages."""
    return f"{table}[{key!r}]"


@dataclass(frozen=True)
class SqlSource:
    """Images in a column of a table, fetched by key: one query for a batch.

    Attributes:
        table: the rows.
        key: the column of keys. image: the column of encoded images.
        keys: one per sample: int64, `(samples,)`, or a tuple of whatever else they are.
    """

    table: Table
    key: str
    image: str
    keys: Array | tuple[Any, ...]

    @property
    def names(self) -> KeyNames:
        """See `EncodedSource.names`."""
        return KeyNames(self.table.name, self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """The bytes of each of the samples.

        Raises:
            BatchError: the database does not answer.
            ImageError: a row is gone, or holds no bytes; it names table and key.
        """
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """The bytes of each of the samples, or why there are none.

        Raises:
            BatchError: the database does not answer, which no sample is to blame for.
        """
        numbers = indices.tolist()
        keys = [self._key(number) for number in numbers]
        try:
            rows = self.table.by_key(self.key, self.image, list(dict.fromkeys(keys)))
        except ConnectionError as error:
            raise BatchError(f"{error} The next call asks again.") from error
        found: dict[Any, list[Any]] = {}
        for key, blob in rows:
            found.setdefault(key, []).append(blob)
        return [self._checked(number, found.get(key, [])) for number, key in zip(numbers, keys, strict=True)]

    def interrupt(self) -> None:
        """Let queries that other threads wait for fail at once; takes no lock, and can be used on."""
        self.table.database.interrupt()

    def close(self) -> None:
        """Close this process's connections; may be called twice."""
        self.table.database.close()

    def _key(self, number: int) -> Any:
        key = self.keys[number]
        return key.item() if isinstance(key, np.generic) else key

    def _checked(self, number: int, blobs: list[Any]) -> bytes | memoryview | ImageError:
        if len(blobs) == 1 and isinstance(blobs[0], bytes | memoryview):
            return blobs[0]
        if len(blobs) == 1 and isinstance(blobs[0], bytearray):
            return bytes(blobs[0])
        if not blobs:
            reason = "is gone from the table. Put it there, or make a new flow of what is there"
        elif len(blobs) > 1:
            reason = f"is there {len(blobs)} times. Each key should be there once"
        elif blobs[0] is None:
            reason = f"holds no image: {self.image!r} is NULL. Fill it in, or select rows that have one"
        else:
            reason = f"holds no image: {self.image!r} should be bytes, and is of type {type(blobs[0]).__name__}"
        name = self.names[number]
        return ImageError(f"{name} {reason}.", index=number, path=name)


def list_sql(
    database: Any,
    table: Any,
    *,
    key: str = "id",
    image: str = "image",
    label: Any = "label",
    weight: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    schema: str | None = None,
    classes: Iterable[Any] | None = None,
    class_mode: str | None = "categorical",
    split: tuple[float, float] | None = None,
    timeout_s: float | None = None,
) -> tuple[Listing, Table, list[Any]]:
    """List the images of a table: keys and labels are read here, images when they are due.

    Samples are in the order of their keys as Python sorts them, whatever a server's own order of texts is.

    Args:
        database: URL or engine.
        table: a name, or a select statement.
        key: column of keys. image: column of encoded images, or of file names. label: column of labels, or a list of
            columns. weight: column of sample weights; None for none.
        directory: that file names are relative to; None for absolute ones.
        schema: that the table is in; None for the default one.
        classes, class_mode, split: as `label_rows` takes them.
        timeout_s: for a query.

    Returns:
        What was found; the table; and the key of each sample.

    Raises:
        ConnectionError: the database does not answer.
        ImportError: SQLAlchemy, or the driver, is not installed.
        TypeError, ValueError: there is no such table or column, or its values are of no use.
    """
    opened = Database(database, timeout_s)
    try:
        return _listed(
            Table.of(opened, table, schema), key, image, label, weight, directory, classes, class_mode, split
        )
    finally:
        opened.close()  # until the first batch, which may be another process's


def _listed(
    rows: Table,
    key: str,
    image: str,
    label: Any,
    weight: str | None,
    directory: Any,
    classes: Iterable[Any] | None,
    class_mode: str | None,
    split: tuple[float, float] | None,
) -> tuple[Listing, Table, list[Any]]:
    """As `list_sql`."""
    labels = wanted_columns(label, weight, class_mode)
    there = rows.columns()
    asked = [("key_column", key), ("image_column", image), *name_parameters(labels, weight)]
    for parameter, name in asked:
        if name not in there:
            raise ValueError(f"`{parameter}` should be one of the columns {there}. Received: {name!r}")
    are_files = isinstance(rows.first(image), str)
    columns = list(dict.fromkeys([key, *labels, *([image] if are_files else [])]))
    table = rows.values(columns)
    keys = [row[columns.index(key)] for row in table]
    _check_keys(keys, key)
    try:
        order = sorted(range(len(keys)), key=keys.__getitem__)
    except TypeError as error:
        raise TypeError(
            f"The keys in {key!r} should be all of one type, so that they have an order: {error}."
        ) from error
    keys = [keys[row] for row in order]

    def column(name: str) -> list[Any]:
        at = columns.index(name)
        return [table[row][at] for row in order]

    names = KeyNames(rows.name, keys)
    found = label_rows(
        len(keys),
        column,
        names.__getitem__,
        label=label,
        weight=weight,
        classes=classes,
        class_mode=class_mode,
        split=split,
    )
    kept = [keys[row] for row in found.rows.tolist()]
    warnings = found.warnings
    if len(keys) >= _MANY_ROWS and rows.finds_quickly(key) is False:
        warnings += (
            f"No index of {rows.name!r} begins with {key!r}, so each batch looks through all {len(keys):,} rows. Make "
            f"one: CREATE INDEX ... ON {rows.name} ({key})",
        )
    are_numbers = all(type(each) is int and -(2**63) <= each < 2**63 for each in kept)
    source = SqlSource(rows, key, image, np.array(kept, np.int64) if are_numbers else tuple(kept))
    filenames = tuple(key_name(rows.name, each) for each in kept)
    if are_files:
        paths = column(image)
        filenames = tuple(paths[row] for row in found.rows.tolist())
        for number, path in enumerate(filenames):
            if not isinstance(path, str):
                raise TypeError(
                    f"{image!r} of {source.names[number]} should be a file's name, as others are. Received: {path!r}"
                )
            if is_url(path) or is_url(directory):
                raise ValueError(
                    f"{image!r} of {source.names[number]} lies at a URL, which is not fetched here. Give the "
                    "addresses, as `pandas.read_sql` gets them, to `flow_from_dataframe`, which does."
                )
    listing = Listing(
        "" if directory is None else os.fspath(directory),
        filenames,
        found.class_indices,
        found.classes,
        found.targets,
        found.weights,
        warnings,
        None if are_files else source,
    )
    return listing, rows, kept


def _check_keys(keys: Sequence[Any], column: str) -> None:
    """Each is there once, and finds its row again."""
    seen = set()
    for key in keys:
        if key is None or isinstance(key, float):
            what = "is NULL" if key is None else f"is {key!r}: a float may not find its row again"
            raise ValueError(f"Each row should have a key in {column!r}; one {what}.")
        if key in seen:
            raise ValueError(f"Each key in {column!r} should be there once; {key!r} is there several times.")
        seen.add(key)
