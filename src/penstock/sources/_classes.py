"""Labels, and the numbers of their classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WITH_CLASSES = ("categorical", "binary", "sparse")


def sorted_classes(labels: Iterable[Any]) -> tuple[Any, ...]:
    """The classes of all labels, each of which may be a list of several."""
    found: set[Any] = set()
    for label in labels:
        found.update(label if isinstance(label, list | tuple) else (label,))
    return tuple(sorted(found))


def without_others(label: Any, class_indices: dict[Any, int]) -> Any:
    """What is left of a label if only these classes count; None for nothing."""
    if isinstance(label, list | tuple):
        return [name for name in label if name in class_indices] or None
    return label if label in class_indices else None


def class_numbers(label: Any, class_indices: dict[Any, int]) -> int | list[int]:
    """The number of a label's class, or of each of its classes."""
    if isinstance(label, list | tuple):
        return [class_indices[name] for name in label]
    return class_indices[label]
