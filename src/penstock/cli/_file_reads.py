"""Where the bytes of files came from: the disk, or the cache that the system keeps in memory."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Self

import psutil  # type: ignore[import-untyped]

_CACHED_SHARE = 0.02  # libraries that are paged in count, too
_FROM_DISK_SHARE = 0.5


@dataclass(frozen=True)
class FileReads:
    """Bytes that this process has read.

    Attributes:
        disk_bytes: that storage was asked for. Some network and container file systems do not count theirs.
        all_bytes: read from files in all.
    """

    disk_bytes: int
    all_bytes: int

    @classmethod
    def now(cls) -> Self | None:
        """Since the process began; None where the system does not tell the two apart."""
        if sys.platform != "linux":
            return None
        try:
            counters = psutil.Process().io_counters()
        except (psutil.Error, OSError, NotImplementedError):
            return None
        return cls(int(counters.read_bytes), int(counters.read_chars))

    @property
    def disk_share(self) -> float:
        """Of all bytes, from 0 to 1. Storage gives whole pages, and some ahead."""
        return min(1.0, self.disk_bytes / self.all_bytes) if self.all_bytes else 0.0

    @property
    def is_from_disk(self) -> bool:
        """Whether most came from there."""
        return self.disk_share >= _FROM_DISK_SHARE

    def words(self) -> str:
        """Where the bytes came from.

        Example:
            >>> FileReads(0, 100).words(), FileReads(30, 100).words(), FileReads(99, 100).words()
            ('read from the file cache', 'read from the disk for 30 %', 'read from the disk')
        """
        if self.disk_share < _CACHED_SHARE:
            return "read from the file cache"
        return "read from the disk" + ("" if self.disk_share >= 0.95 else f" for {100 * self.disk_share:.0f} %")


def reads_since(before: FileReads | None) -> FileReads | None:
    """What was read since then."""
    after = FileReads.now()
    if before is None or after is None:
        return None
    return FileReads(after.disk_bytes - before.disk_bytes, after.all_bytes - before.all_bytes)


def summed(reads: list[FileReads | None]) -> FileReads | None:
    """Of several times; None where one of them cannot be told, or there was none."""
    known = [each for each in reads if each is not None]
    if len(known) < len(reads) or not known:
        return None
    return FileReads(sum(each.disk_bytes for each in known), sum(each.all_bytes for each in known))
