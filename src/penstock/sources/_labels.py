"""What is to be learnt of each sample, from columns of plain values."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from penstock._types import Array, Indices
from penstock.sources._classes import WITH_CLASSES, class_numbers, sorted_classes, without_others

Column = Callable[[str], Sequence[Any] | Array]
"""Looks the values of all samples up, by a column's name; as an array where the source knows their dtype."""


@dataclass(frozen=True)
class Labelled:
    """The samples that count, and what is known of each.

    Attributes:
        rows: their numbers among all, int64, `(samples,)`.
        class_indices, classes, targets, weights: as in `Listing`.
        warnings: what the user should be told.
    """

    rows: Indices
    class_indices: dict[Any, int] | None
    classes: Any
    targets: Array | list[Array] | None
    weights: Array | None
    warnings: tuple[str, ...]


def wanted_columns(label: Any, weight: str | None, class_mode: str | None) -> list[str]:
    """The columns that `label_rows` asks for.

    Raises:
        TypeError: `label` is not what `class_mode` needs.
    """
    if class_mode is None or class_mode == "input":
        names = []
    elif class_mode == "multi_output" and not isinstance(label, list | tuple):
        raise TypeError(f'class_mode="multi_output" needs a list of columns. Received: {label!r}')
    else:
        names = list(label) if isinstance(label, list | tuple) else [label]
    if class_mode in WITH_CLASSES and len(names) != 1:
        raise TypeError(f'class_mode="{class_mode}" needs one column of labels. Received: {label!r}')
    return names if weight is None else [*names, weight]


def name_parameters(columns: Sequence[Any], weight: str | None) -> list[tuple[str, Any]]:
    """By which parameter a user has named each of the columns that `wanted_columns` gave."""
    last = len(columns) - 1
    return [
        ("weight_column" if weight is not None and number == last else "label_column", name)
        for number, name in enumerate(columns)
    ]


def label_rows(
    count: int,
    column: Column,
    name_of: Callable[[int], str],
    *,
    label: Any,
    weight: str | None = None,
    classes: Iterable[Any] | None = None,
    known: Sequence[Any] | None = None,
    class_mode: str | None = "categorical",
    split: tuple[float, float] | None = None,
) -> Labelled:
    """Choose samples by class and share, and number their classes, as dataframes do it.

    Labels may be text, integers or booleans; for "categorical" a sample may have a list of them.

    Args:
        count: samples.
        column: gives the columns that `wanted_columns` names.
        name_of: what a sample is called in messages, by its number.
        label: the column of labels or values; a list of columns for several.
        weight: the column of sample weights; None for none.
        classes: those to keep, in the order of their numbers; None for all.
        known: all that there are, in the order of their numbers, where the source knows; None to sort what is there.
        class_mode: "categorical", "binary", "sparse", "multi_output", "raw", "input" or None.
        split: the part of the rows to take, as two shares; None for all.

    Raises:
        TypeError: values of a type that `class_mode` has no use for, or `classes` that are a text.
        ValueError: other than two classes for "binary", or no sample is of any of `classes`.
    """
    if isinstance(classes, str | bytes):
        raise TypeError(f"`classes` should be a list of classes, as [{classes!r}]. Received: {classes!r}")
    classes = None if classes is None else tuple(classes)
    rows, class_indices, warnings = np.arange(count), None, list[str]()
    labels: list[Any] = []
    if class_mode in WITH_CLASSES:
        values = column(label)
        labels = values.tolist() if isinstance(values, np.ndarray) else list(values)
        _check_labels(labels, name_of, label, class_mode)
        kept = tuple(dict.fromkeys(classes or known or ())) or sorted_classes(labels)
        if class_mode == "binary" and len(kept) != 2:
            raise ValueError(f'class_mode="binary" needs 2 classes. Found {len(kept)} in {label!r}: {_few(kept)}')
        class_indices = {name: number for number, name in enumerate(kept)}
        if classes:
            column_labels = labels
            labels = [without_others(each, class_indices) for each in labels]
            rows = rows[[each is not None for each in labels]]
            if labels and not len(rows):
                there = _few(tuple(known) if known else sorted_classes(column_labels))
                raise ValueError(f"`classes` should be some of those in {label!r}: {there}. Received: {_few(kept)}")
    elif classes:
        warnings.append(f'`classes` will be ignored given the class_mode="{class_mode}"')
    if split is not None:
        rows = rows[int(split[0] * len(rows)) : int(split[1] * len(rows))]
    numbers = None
    if class_indices is not None:
        numbers = [class_numbers(labels[row], class_indices) for row in rows]
    targets: Array | list[Array] | None = None
    if class_mode in ("raw", "multi_output"):
        several = [_numbers(column(name), name, name_of)[rows] for name in wanted_columns(label, None, class_mode)]
        targets = several if class_mode == "multi_output" else several[0]
        if class_mode == "raw" and isinstance(label, list | tuple):
            targets = np.stack(several, axis=1)
    weights = None
    if weight is not None:
        weights = _numbers(column(weight), weight, name_of)[rows]
        if weights.dtype.kind not in "iuf" or weights.ndim != 1:
            raise TypeError(f"The weights in {weight!r} should be numbers. Received: {weights.dtype}")
    return Labelled(rows, class_indices, numbers, targets, weights, tuple(warnings))


def _check_labels(labels: Sequence[Any], name_of: Callable[[int], str], column: Any, class_mode: str) -> None:
    """Refuse what is no class: the first such one is named. Text beside numbers has no order, so nor are they."""
    kinds = set()
    for number, label in enumerate(labels):
        several = isinstance(label, list | tuple)
        for each in label if several else (label,):
            if not isinstance(each, str | int) or (several and class_mode != "categorical"):
                what = "text or integers, or lists of such" if class_mode == "categorical" else "text or integers"
                raise TypeError(
                    f'class_mode="{class_mode}" needs labels that are {what}. {column!r} of {name_of(number)} is '
                    f"{reprlib.repr(label)}. Leave such samples out, or use another `class_mode`."
                )
            kinds.add(isinstance(each, str))
    if len(kinds) > 1:
        raise TypeError(f"The labels in {column!r} should be all text or all integers. Received: both")


def _numbers(values: Sequence[Any] | Array, column: str, name_of: Callable[[int], str]) -> Array:
    """A column as an array; missing values are refused, and databases' decimals become floats."""
    if isinstance(values, np.ndarray):
        return values
    for number, value in enumerate(values):
        if value is None:
            raise TypeError(f"{column!r} of {name_of(number)} is missing. Leave such samples out.")
    try:
        return np.array([float(value) if isinstance(value, Decimal) else value for value in values])
    except ValueError as error:
        raise TypeError(f"The values in {column!r} should be all of one shape: {error}") from error


def _few(values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, values[:5]))
    return f"{shown}, …" if len(values) > 5 else shown
