"""Files that each show a number, and what a batch does with a store of their images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from penstock._types import Array
from penstock.sources._stamps import FileNames
from penstock.sources._store import Lot, Store
from penstock.sources._store_files import Place

VALUES, FILES = 75, 12
RECORD = 128  # bytes that 75 take


def image(content: int, dtype: Any = np.uint8) -> Array:
    """What a file that holds this number shows."""
    return (np.arange(VALUES) * 7 + content).astype(dtype) % 251


def write_files(folder: Path, count: int = FILES) -> list[str]:
    paths = [folder / f"{k}.jpg" for k in range(count)]
    for k, path in enumerate(paths):
        change(path, k)
    return [str(path) for path in paths]


def change(path: Path, content: int, at: int | None = None) -> None:
    """Write a file of always the same size, and date it back."""
    path.write_bytes(f"{content:09}".encode())
    second = 1_000_000 + content if at is None else at
    os.utime(path, ns=(0, second * 1_000_000_000 + 1))


def content(path: str) -> int:
    return int(Path(path).read_bytes())


def nothing_known() -> None:
    """Nobody says how much memory is free."""


def store_of(place: Place, paths: list[str]) -> Store:
    return Store(place, FileNames.of(paths), VALUES)


def put(store: Store, paths: list[str], samples: Any, dtype: Any = np.uint8) -> None:
    """What a batch does with what it has not found."""
    samples = np.asarray(samples)
    found = store.find(samples)
    missing = found.missing
    images = np.zeros((len(missing), store.padded_values(np.dtype(dtype).itemsize)), dtype)
    for row, sample in zip(images, samples[missing], strict=True):
        row[:VALUES] = image(content(paths[sample]), dtype)
    store.keep([Lot(samples[missing], found.stamps[missing], images)])


def had(store: Store, samples: Any) -> dict[int, Array]:
    """What is found, by sample."""
    samples = np.asarray(samples)
    found = store.find(samples)
    result = {}
    for sample, offset, width in zip(samples.tolist(), found.offsets, found.value_bytes, strict=True):
        if width:
            values = found.images[offset : offset + VALUES * width].view({1: np.uint8, 4: np.float32}[width])
            result[sample] = values.copy()
    return result


def check(store: Store, paths: list[str], count: int | None = None) -> None:
    """All that is found is what the files show now, and it is so many."""
    found = had(store, range(len(paths)))
    for sample, values in found.items():
        np.testing.assert_array_equal(values, image(content(paths[sample]), values.dtype))
    if count is not None:
        assert len(found) == count
