"""Files as one short text each way: with the times at which they were written, or their like, and without."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from time import perf_counter

_PATIENCE_S = 60.0  # a million files on a local disk take 2 s, on a network drive minutes


def files_fingerprint(paths: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What the files of a data set are told by, without reading them.

    Args:
        paths: as they are opened.
        names: of the same files, relative to the data's folder, so that this may lie elsewhere.

    Returns:
        "files", how many there are; "bytes", together; "fingerprint" of names, sizes and times in order; "fingerprint
        without times", which stays the same where the files are copied. Of names alone, and without "bytes", where the
        disk takes too long to tell more.
    """
    began = perf_counter()
    with_times, without, only_names = (hashlib.blake2b(digest_size=16) for _ in range(3))
    total = 0
    is_slow = False
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        key = name.encode("utf-8", "surrogateescape") + b"\n"
        only_names.update(key)
        if is_slow:
            continue
        try:
            status = os.stat(path)
        except OSError:
            with_times.update(key + b"gone\n")
            without.update(key + b"gone\n")
            continue
        total += status.st_size
        with_times.update(key + f"{status.st_size} {status.st_mtime_ns}\n".encode())
        without.update(key + f"{status.st_size}\n".encode())
        is_slow = number % 256 == 0 and perf_counter() - began > _PATIENCE_S
    if is_slow:
        return {"files": str(len(paths)), "fingerprint": f"names:{only_names.hexdigest()}"}
    return {
        "files": str(len(paths)),
        "bytes": str(total),
        "fingerprint": with_times.hexdigest(),
        "fingerprint_without_times": without.hexdigest(),
    }


def listed_fingerprint(listed: Sequence[tuple[str, int, str]]) -> dict[str, str]:
    """The same of files that lie elsewhere, from what their list has told; without times it is that of local copies.

    Args:
        listed: names relative to the data's folder, bytes, -1 for what is not known, and an ETag or the like, "" for
            none.
    """
    with_tags, without, only_names = (hashlib.blake2b(digest_size=16) for _ in range(3))
    for name, size, tag in listed:
        key = name.encode("utf-8", "surrogateescape") + b"\n"
        only_names.update(key)
        with_tags.update(key + f"{size} {tag}\n".encode("utf-8", "surrogateescape"))
        without.update(key + f"{size}\n".encode())
    if any(size < 0 for _, size, _ in listed):
        return {"files": str(len(listed)), "fingerprint": f"names:{only_names.hexdigest()}"}
    known = {"files": str(len(listed)), "bytes": str(sum(size for _, size, _ in listed))}
    if all(tag for _, _, tag in listed):
        known["fingerprint"] = with_tags.hexdigest()
    return known | {"fingerprint_without_times": without.hexdigest()}
