"""Pieces of files in one call that gives up the interpreter lock once; see `_read`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock._compile import compiled, external
from penstock._types import Array, Indices
from penstock.sources._read import HAS_POSIX_CALLS, OPEN_FLAGS
from penstock.sources._stamps import FileNames

_open = external("open", "int32", "voidptr", "int32")
_pread = external("pread", "intp", "int32", "voidptr", "uintp", "int64")
_close = external("close", "int32", "int32")


def read_pieces(names: FileNames, files: Indices, offsets: Array, sizes: Array) -> list[memoryview | None]:
    """Some bytes of some files; None for what could not be read, which `read_piece` says more about.

    Args:
        files: whose piece each is, int64, `(pieces,)`. offsets, sizes: int64, where it begins, and how long it is.
    """
    if not HAS_POSIX_CALLS:
        return [None] * len(files)
    order = np.lexsort((offsets, files))  # each file is opened once, and read from its beginning on
    ends = np.cumsum(sizes)
    buffer = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    good = np.zeros(len(files), np.bool_)
    _fill(names.text, names.starts, OPEN_FLAGS, order, files, offsets, sizes, ends - sizes, buffer, good)
    memory = memoryview(buffer)  # type: ignore[arg-type]
    pieces: Sequence[tuple[bool, int, int]] = list(zip(good.tolist(), ends.tolist(), sizes.tolist(), strict=True))
    return [memory[end - size : end] if is_good else None for is_good, end, size in pieces]


def read_piece(path: str, offset: int, size: int) -> bytes:
    """Some bytes of a file.

    Raises:
        OSError: they cannot be read.
    """
    with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | OPEN_FLAGS)) as file:
        file.seek(offset)
        found = b""
        while len(found) < size and (more := file.read(size - len(found))):
            found += more
    if len(found) < size:
        raise OSError(f"it ends {size - len(found)} bytes too soon")
    return found


@compiled()
def _fill(
    text: Any,
    starts: Any,
    flags: int,
    order: Any,
    files: Any,
    offsets: Any,
    sizes: Any,
    places: Any,
    buffer: Any,
    good: Any,
) -> None:
    """Read piece after piece to its place in `buffer`.

    Args:
        text: uint8, the paths, each closed by a zero. starts: where each begins.
        order: of the pieces, those of a file one after the other.
    """
    file, descriptor = -1, -1
    for k in order:
        if files[k] != file:
            if descriptor >= 0:
                _close(np.int32(descriptor))
            file = files[k]
            descriptor = _open(text[starts[file] :].ctypes.data, np.int32(flags))
        if descriptor < 0:
            continue
        done = 0
        while done < sizes[k]:
            piece = buffer[places[k] + done :].ctypes.data
            got = _pread(np.int32(descriptor), piece, np.uint64(sizes[k] - done), np.int64(offsets[k] + done))
            if got <= 0:
                break
            done += got
        good[k] = done == sizes[k]
    if descriptor >= 0:
        _close(np.int32(descriptor))
