"""Image files that a dataframe lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from penstock._types import Array, Indices
from penstock.sources._classes import WITH_CLASSES, class_numbers, sorted_classes, without_others
from penstock.sources._files import EXTENSIONS
from penstock.sources._listing import Listing
from penstock.sources._remote_tables import remote_table
from penstock.sources._urls import local_path, shown


def list_table(
    dataframe: Any,
    *,
    directory: str | os.PathLike[str] | None = None,
    x_col: Any = "filename",
    y_col: Any = "class",
    weight_col: Any = None,
    classes: Iterable[Any] | None = None,
    class_mode: str | None = "categorical",
    split: tuple[float, float] | None = None,
    validate_filenames: bool = True,
    storage_options: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
) -> Listing:
    """List the images in a dataframe: what Keras's `DataFrameIterator` finds, with its checks.

    Args:
        dataframe: of pandas, Polars, PyArrow or any other library that narwhals reads.
        directory: that file names are relative to; None for absolute ones. Both may be URLs.
        x_col: column of file names.
        y_col: column of labels or values; a list of columns for several.
        weight_col: column of sample weights; None for none.
        classes: the classes to keep, in the order of their numbers; None for all, sorted.
        class_mode: "categorical", "binary", "sparse", "multi_output", "raw", "input" or None.
        split: the part of the rows to take, as two shares; None for all.
        validate_filenames: leave out names that are no image files, with one warning for all.
        storage_options: as fsspec takes them, for URLs.
        timeout_s: for a request, with all tries; None for no limit.

    Raises:
        ImportError: narwhals is not installed, or what URLs need.
        OSError: a URL cannot be looked at.
        TypeError: not a dataframe, or values of a type that `class_mode` has no use for.
        ValueError: no such column, or other than two classes for "binary".
    """
    column = _columns(dataframe)
    if not isinstance(y_col, str | list | Hashable):  # an index or an array of column names
        y_col = list(y_col)
    names = column(x_col, "x_col").to_list()
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"All values in column x_col={x_col} must be strings.")
    labels: list[Any] = []
    warnings: list[str] = []
    if class_mode in WITH_CLASSES:
        labels = column(y_col, "y_col").to_list()
        _check_labels(labels, y_col, class_mode, classes)
    if class_mode == "multi_output" and not isinstance(y_col, list):
        raise TypeError(f'If class_mode="multi_output", y_col must be a list. Received {type(y_col).__name__}.')
    if classes and class_mode not in WITH_CLASSES:
        warnings.append(f'`classes` will be ignored given the class_mode="{class_mode}"')
    weights = None
    if weight_col is not None:
        if not column(weight_col, "weight_col").dtype.is_numeric():
            raise TypeError(f"Column weight_col={weight_col} must be numeric.")
        weights = column(weight_col, "weight_col").to_numpy()

    directory = local_path(directory)
    remote = remote_table(names, directory, storage_options, timeout_s)
    directory = "" if directory is None else os.fspath(directory)
    if remote is None:
        names = [local_path(name) for name in names]
    rows = np.arange(len(names))
    if validate_filenames:
        rows = _images_among(names, directory) if remote is None else remote.images()
        if len(rows) < len(names):
            warnings.append(
                f'Found {len(names) - len(rows)} invalid image filename(s) in x_col="{x_col}". '
                "These filename(s) will be ignored."
            )
    class_indices = None
    if class_mode in WITH_CLASSES:
        kept = tuple(dict.fromkeys(classes or ())) or sorted_classes([labels[row] for row in rows])
        class_indices = {name: number for number, name in enumerate(kept)}
        if classes:
            labels = [without_others(label, class_indices) for label in labels]
            rows = rows[[labels[row] is not None for row in rows]]
    if split is not None:
        rows = rows[int(split[0] * len(rows)) : int(split[1] * len(rows))]
    encoded, known = (None, None) if remote is None else remote.source(rows)
    return Listing(
        directory if remote is None else shown(directory),
        tuple((names if remote is None else remote.filenames)[row] for row in rows),
        class_indices,
        None if class_indices is None else [class_numbers(labels[row], class_indices) for row in rows],
        _targets(column, y_col, class_mode, rows),
        None if weights is None else weights[rows],
        tuple(warnings),
        encoded,
        known,
    )


def _columns(dataframe: Any) -> Callable[[Any, str], Any]:
    """Looks a column up by its name and the parameter that named it."""
    try:
        import narwhals.stable.v2 as narwhals
    except ImportError as error:
        raise ImportError(
            'Dataframes are read by narwhals. Install it with `pip install "penstock[dataframe]"`.'
        ) from error
    try:
        frame = narwhals.from_native(dataframe)
    except TypeError as error:
        raise TypeError(
            "`dataframe` should be a dataframe of pandas, Polars, PyArrow or another library that narwhals reads. "
            f"Received: {type(dataframe).__name__}"
        ) from error
    if isinstance(frame, narwhals.LazyFrame):
        frame = frame.collect()

    def column(name: Any, parameter: str) -> Any:
        if name not in frame.columns:
            raise ValueError(f"`{parameter}` should be one of the columns {frame.columns}. Received: {name!r}")
        return frame.get_column(name)

    return column


def _check_labels(labels: Sequence[Any], y_col: Any, class_mode: str | None, classes: Any) -> None:
    if class_mode in ("binary", "sparse") and not all(isinstance(label, str) for label in labels):
        raise TypeError(f'If class_mode="{class_mode}", y_col="{y_col}" column values must be strings.')
    if class_mode == "categorical" and not all(isinstance(label, str | list | tuple) for label in labels):
        raise TypeError(
            f'If class_mode="categorical", y_col="{y_col}" column values must be type string, list or tuple.'
        )
    if class_mode != "binary":
        return
    if classes:
        if len(set(classes)) != 2:
            raise ValueError(
                f'If class_mode="binary" there must be 2 classes. {len(set(classes))} class/es were given.'
            )
    elif len(set(labels)) != 2:
        raise ValueError(f'If class_mode="binary" there must be 2 classes. Found {len(set(labels))} classes.')


def _images_among(names: Sequence[str], directory: str) -> Indices:
    """The rows whose files are there and have an image's extension."""

    def is_image(name: str) -> bool:
        return name.lower().endswith(EXTENSIONS) and os.path.isfile(os.path.join(directory, name))

    # Asking waits for the disk, and the more so on a network drive.
    with ThreadPoolExecutor(max_workers=16) as pool:
        return np.flatnonzero(list(pool.map(is_image, names, chunksize=256)))


def _targets(
    column: Callable[[Any, str], Any], y_col: Any, class_mode: str | None, rows: Indices
) -> Array | list[Array] | None:
    if class_mode == "multi_output":
        return [np.array(column(name, "y_col").to_list())[rows] for name in y_col]
    if class_mode != "raw":
        return None
    if not isinstance(y_col, list):
        values: Array = column(y_col, "y_col").to_numpy()[rows]
        return values
    parts = [column(name, "y_col").to_numpy()[rows] for name in y_col]
    # One dtype for all columns, as a dataframe's own `values` has: numbers of different kinds become the widest of
    # them, anything else Python objects.
    if all(part.dtype.kind in "biuf" for part in parts) and len({part.dtype.kind == "b" for part in parts}) == 1:
        return np.stack(parts, axis=1)
    return np.stack([part.astype(object) for part in parts], axis=1)
