"""One process at a time, where several begin the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PATIENCE_S = 60.0  # MLflow makes a store in 3 s, on a slow disk in many more
_TICK_S = 0.05


@contextmanager
def alone_in(folder: Path, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Wait until no other process is in such a block for this folder.

    The lock is on the folder itself, and gone with the process: no file is left. After `patience_s`, and where a folder
    cannot be locked, as on some network drives, the block is run all the same.
    """
    number = -1
    if fcntl is not None:
        with suppress(OSError):
            number = os.open(folder, os.O_RDONLY)
    try:
        until_s = monotonic() + patience_s
        while number >= 0 and monotonic() < until_s:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                sleep(_TICK_S)
            except OSError:
                break
        yield
    finally:
        if number >= 0:
            os.close(number)
