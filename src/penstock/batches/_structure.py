"""Batches as users return them: tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock._errors import BatchError
from penstock._types import Array


@dataclass(frozen=True)
class Structure:
    """The shape of a nest of containers.

    Attributes:
        kind: the container's type; None for a leaf.
        keys: of a dict.
        parts: of the container, in order.
    """

    kind: type | None
    keys: tuple[Any, ...] = ()
    parts: tuple[Structure, ...] = ()

    def __str__(self) -> str:
        """As a user would write it, with `x` for an array."""
        if self.kind is None:
            return "x"
        if self.keys:
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(self.keys, self.parts, strict=True)) + "}"
        inner = ", ".join(map(str, self.parts))
        return f"[{inner}]" if issubclass(self.kind, list) else f"({inner}{',' * (len(self.parts) == 1)})"


_LEAF = Structure(None)


def flatten(batch: Any) -> tuple[Structure, list[Any]]:
    """The structure of a batch, and its leaves in order: NumPy arrays, and what is not one of numbers as it is.

    A list without any array in it is a leaf itself.
    """
    leaves: list[Any] = []
    return _taken_apart(batch, leaves), leaves


def unflatten(structure: Structure, leaves: list[Any]) -> Any:
    """The batch again; `leaves` in the order in which `flatten` gave them."""
    return _put_together(structure, iter(leaves))


def check_alike(structure: Structure, first: Structure, what: str, epoch: int, step: int) -> None:
    """Refuse a batch that is put together in another way than the first one.

    Args:
        what: the batch, for the message.

    Raises:
        BatchError: it is.
    """
    if structure != first and _sorted(structure) != _sorted(first):
        raise BatchError(
            f"{what} is {structure}, and the first one was {first} (x stands for an array). Batches should be alike.",
            epoch=epoch,
            step=step,
        )


def _sorted(structure: Structure) -> Structure:
    """The same with the keys of dicts in one order, which says nothing."""
    pairs = list(zip(structure.keys, map(_sorted, structure.parts), strict=True)) if structure.keys else []
    if not pairs:
        return Structure(structure.kind, (), tuple(map(_sorted, structure.parts)))
    pairs.sort(key=lambda pair: repr(pair[0]))
    return Structure(structure.kind, tuple(key for key, _ in pairs), tuple(part for _, part in pairs))


def write(leaves: list[Any], out: list[Array]) -> tuple[int, ...] | None:
    """Write a batch into memory made for one with at least as many rows.

    Returns:
        The rows used of each array; None, with nothing written, if it does not fit.
    """
    if len(leaves) != len(out):
        return None
    for leaf, array in zip(leaves, out, strict=True):
        if not isinstance(leaf, np.ndarray) or leaf.dtype != array.dtype or leaf.ndim != array.ndim or not leaf.ndim:
            return None
        if leaf.shape[1:] != array.shape[1:] or len(leaf) > len(array):
            return None
    for leaf, array in zip(leaves, out, strict=True):
        array[: len(leaf)] = leaf
    return tuple(len(leaf) for leaf in leaves)


def _taken_apart(part: Any, leaves: list[Any]) -> Structure:
    if isinstance(part, Mapping):
        keys = tuple(part)
        return Structure(dict, keys, tuple(_taken_apart(part[key], leaves) for key in keys))
    if isinstance(part, tuple | list) and any(_holds_arrays(item) for item in part):
        kind = list if isinstance(part, list) else tuple
        return Structure(kind, (), tuple(_taken_apart(item, leaves) for item in part))
    leaves.append(np.asarray(part) if _is_array(part) else part)
    return _LEAF


def _put_together(structure: Structure, leaves: Any) -> Any:
    if structure.kind is None:
        return next(leaves)
    parts = [_put_together(part, leaves) for part in structure.parts]
    return dict(zip(structure.keys, parts, strict=True)) if structure.kind is dict else structure.kind(parts)


def _holds_arrays(part: Any) -> bool:
    if isinstance(part, Mapping):
        return True
    if isinstance(part, tuple | list):
        return any(_holds_arrays(item) for item in part)
    return _is_array(part)


def _is_array(part: Any) -> bool:
    return isinstance(part, np.ndarray | np.generic) or hasattr(part, "__array__")
