"""The system's cache of files, which a study of cold files begins without."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence

from penstock.bench._errors import BenchError

_LOOKED_AT = 64  # files


def can_forget() -> bool:
    """Whether this system lets a program have a file's cached pages dropped."""
    return hasattr(os, "posix_fadvise")


def forget(paths: Iterable[str]) -> None:
    """Drop the files' cached pages, which needs no special rights; those that are mapped somewhere stay.

    Raises:
        BenchError: this system has no such call.
        OSError: a file cannot be opened.
    """
    if not can_forget():
        raise BenchError("--cold needs posix_fadvise, which only Linux and its kin have. Leave it out.")
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)  # what has not been written yet cannot be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def cached_share(paths: Sequence[str]) -> float | None:
    """Share of some of the files, from all through the list, whose beginning is cached; None where nobody can tell."""
    if not hasattr(os, "RWF_NOWAIT") or not paths:
        return None
    looked_at = paths[:: -(-len(paths) // _LOOKED_AT)]
    cached = 0
    for path in looked_at:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            cached += os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) > 0
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return None  # a file system that does not know the question
        finally:
            os.close(descriptor)
    return cached / len(looked_at)
