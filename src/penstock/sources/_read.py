"""Many files in one call that gives up the interpreter lock once.

Python's own `open`, `read` and `close` give it up three times a file, and beside a thread that is busy in Python each
time costs up to 5 ms: reading 64 cached files of 44 kB took 0.9 s there instead of 2 ms.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock._compile import compiled, external
from penstock._scratch import Scratch

_FIRST_GUESS_BYTES = 128 << 10  # a file; memory is only taken as it is written to
# O_NONBLOCK: opening a pipe that someone left among the images does not wait for its writer. O_NOCTTY: nor does opening
# a terminal make it the process's own.
OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY"))
_LARGEST_FILE_BYTES = 1 << 30  # an encoded image is smaller; what is larger must not fill the memory
HAS_POSIX_CALLS = os.name == "posix"

_open = external("open", "int32", "voidptr", "int32")
_seek = external("lseek", "int64", "int32", "int64", "int32")
_read = external("read", "intp", "int32", "voidptr", "uintp")
_close = external("close", "int32", "int32")


def read_files(paths: Sequence[str], scratch: Scratch | None = None) -> list[memoryview | None]:
    """The bytes of each file; None for one that could not be read or is empty, which `read_file` says more about.

    Args:
        paths: as `open` takes them.
        scratch: the memory to read into, until the next call: 2 MB take 0.5 ms there, and 1.8 ms in fresh memory.
    """
    if not HAS_POSIX_CALLS or not paths:
        return [None] * len(paths)
    names = [os.fsencode(path) + b"\0" for path in paths]
    text = np.frombuffer(b"".join(names), np.uint8)
    starts = np.cumsum([0, *(len(name) for name in names[:-1])])
    sizes = np.empty(len(paths), np.int64)
    blobs: list[memoryview | None] = []
    capacity = _FIRST_GUESS_BYTES * len(paths)
    # Once files did not fit, there is as much as it took: all that is kept may be used, and no more is asked for.
    buffer = np.empty(capacity, np.uint8) if scratch is None else scratch(max(capacity, scratch.nbytes))
    while True:
        first = len(blobs)
        end = _fill(text, starts, first, OPEN_FLAGS, buffer, sizes)
        at, memory = 0, memoryview(buffer)  # type: ignore[arg-type]
        for size in sizes[first:end].tolist():
            blobs.append(None if size < 0 else memory[at : at + size])
            at += max(0, size)
        if len(blobs) == len(paths):
            break
        buffer = np.empty(max(capacity, int(sizes[end])), np.uint8)
    if scratch is not None:
        scratch(sum(len(blob) for blob in blobs if blob is not None))
    return blobs


def read_file(path: str) -> bytes:
    """The bytes of one file.

    Raises:
        OSError: it cannot be read. Its `strerror` says why and what to do.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # /dev/zero has no end
            kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
            what = kinds.get(stat.S_IFMT(mode), "a device")
            raise OSError(errno.EINVAL, f"it is {what}, not a file. Move it away or make a new flow")
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | OPEN_FLAGS)) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST_FILE_BYTES:
                at_most = f"an image should have at most {_LARGEST_FILE_BYTES}"
                raise OSError(errno.EFBIG, f"it has {size} bytes, and {at_most}. Move it away or make a new flow")
            return file.read(size)  # not to its end: somebody may be writing to it all the time
    except (FileNotFoundError, PermissionError) as error:
        raise OSError(error.errno, _complaint(path, error)) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "it is a link that leads back to itself. Mend or remove it") from error
        raise


def read_head(path: str, size_bytes: int) -> bytes:
    """The first bytes of a file, fewer where it is shorter; none of what is no file.

    Raises:
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        return b""
    with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | OPEN_FLAGS)) as file:
        return file.read(size_bytes)


def _complaint(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"{error.strerror}. Make it readable for this user or move it away"
    if os.path.islink(path):
        return f"it is a link to {os.readlink(path)!r}, and nothing is there. Mend or remove the link"
    return f"{error.strerror}. Put it there, or make a new flow of what is there"


@compiled()
def _fill(text: Any, starts: Any, first: int, flags: int, buffer: Any, sizes: Any) -> int:
    """Read files one behind the other into `buffer`, until one does not fit; returns its number.

    Args:
        text: uint8, the paths, each closed by a zero. starts: where each begins.
        sizes: int64, gets each file's size, -1 for one that cannot be read; that of the one that does not fit, too.
    """
    at = 0
    for k in range(first, starts.shape[0]):
        sizes[k] = -1
        descriptor = _open(text[starts[k] :].ctypes.data, np.int32(flags))
        if descriptor < 0:
            continue
        size = _seek(descriptor, np.int64(0), np.int32(2))
        if size > _LARGEST_FILE_BYTES:  # as a folder says it were
            _close(descriptor)
            continue
        if size > buffer.shape[0] - at:
            _close(descriptor)
            sizes[k] = size
            return k
        if size > 0 and _seek(descriptor, np.int64(0), np.int32(0)) == 0:
            done = 0
            while done < size:
                got = _read(descriptor, buffer[at + done :].ctypes.data, np.uint64(size - done))
                if got <= 0:
                    break
                done += got
            if done == size:
                sizes[k] = size
                at += size
        _close(descriptor)
    return int(starts.shape[0])
