"""Images in zip and tar archives: found by a list that is made once, and read in any order.

Nothing is unpacked to disk, so no name in an archive leads anywhere.
"""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from penstock._errors import ImageError
from penstock._types import Array, Indices
from penstock.sources._encoded import whole
from penstock.sources._parts import Blob, Parts
from penstock.sources._remote import unread
from penstock.sources._tar import Entry, entries

_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_PLAIN = -1  # bytes as they are, without a header before them
_HEADER = struct.Struct("<4s22xHH")  # of a member of a zip: its mark, and the lengths of its name and of what follows
_MOST_NAME_BYTES = 2 * 0xFFFF
_LARGEST_FILE_BYTES = 1 << 30  # an encoded image is smaller; what is larger must not fill the memory
_OF_THE_FINDER = "__MACOSX"  # what macOS adds to a zip for itself: names of images, and none in them


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        start, end: where its bytes are, in a zip with a header before them.
        packed_bytes, size: of the file, as it lies there and by itself.
        method: how it is packed.
        crc: of the file; 0 in a tar, which has none.
        tag: changes with it, as far as is known.
    """

    start: int
    end: int
    packed_bytes: int
    size: int
    method: int
    crc: int
    tag: str


@dataclass(frozen=True)
class Contents:
    """What an archive holds.

    Attributes:
        members: files by their names, with "/" between folders.
        folders: names of folders that it has entries for, empty ones included.
    """

    members: dict[str, Member]
    folders: frozenset[str]


def list_archive(archive: Parts, kind: str) -> Contents:
    """List an archive. Of a zip that takes two reads or three; of a tar it takes reading all of it.

    Args:
        archive: one file.
        kind: "zip" or "tar".

    Raises:
        ValueError: it is no such archive, or one that cannot be read in any order.
        OSError: it cannot be read.
    """
    name = archive.names[0]
    with archive.file(0) as file:
        if kind == "tar":
            return _of_tar(entries(file, name), archive.stamp(0))
        try:
            return _of_zip(file)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise ValueError(f"{name!r} should be a zip archive: {error}.") from None


def _of_zip(file: object) -> Contents:
    members: dict[str, Member] = {}
    folders = set()
    with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]
        entries = archive.infolist()
        # Whatever lies between two headers belongs to the first: one read gets header and file.
        starts = sorted(entry.header_offset for entry in entries)
        following = dict(zip(starts, [*starts[1:], archive.start_dir], strict=True))
        for entry in entries:
            name = _inside(entry.filename)
            if name is None or name.split("/")[0] == _OF_THE_FINDER:
                continue
            if entry.is_dir():
                folders.add(name)
                continue
            end = entry.header_offset + _HEADER.size + _MOST_NAME_BYTES + entry.compress_size
            members[name] = Member(
                entry.header_offset,
                min(end, following[entry.header_offset]),
                entry.compress_size,
                entry.file_size,
                _DEFLATED + 1000 if entry.flag_bits & 1 else entry.compress_type,
                entry.CRC,
                f"{entry.CRC} {entry.date_time}",
            )
    return Contents(members, frozenset(folders))


def _of_tar(found: Iterable[Entry], stamp: str) -> Contents:
    members: dict[str, Member] = {}
    folders, links = set(), dict[str, str]()
    for entry in found:
        name = _inside(entry.name)
        if name is None:
            continue
        if entry.kind == "folder":
            folders.add(name)
        elif entry.kind == "file":
            links.pop(name, None)
            start, size = entry.offset, entry.size
            tag = f"{entry.changed} {start} {stamp}"
            members[name] = Member(start, start + size, size, size, _PLAIN, 0, tag)
        else:
            base = posixpath.dirname(name) if entry.kind == "link" else ""
            target = _inside(posixpath.join(base, entry.target))
            members.pop(name, None)
            if target is not None:
                links[name] = target
    for name in links:
        target = name
        for _ in range(len(links)):
            if target not in links:
                break
            target = links[target]
        if target in members:
            members[name] = members[target]
    return Contents(members, frozenset(folders))


def _inside(name: str) -> str | None:
    """A member's name from the archive's top; None for one that leads out of it."""
    name = posixpath.normpath(name).lstrip("/")
    return None if name in ("", ".", "..") or name.startswith("../") else name


@dataclass(frozen=True)
class ArchiveSource:
    """Images in an archive.

    Attributes:
        archive: one file.
        names: for messages, one per sample.
        table: int64, `(samples, 6)`: the numbers of each `Member`.
    """

    archive: Parts
    names: tuple[str, ...]
    table: Array

    @classmethod
    def of(cls, archive: Parts, names: list[str], members: list[Member]) -> ArchiveSource:
        """Of some members."""
        return cls(archive, tuple(names), np.array([member[:6] for member in members], np.int64).reshape(-1, 6))

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """See `EncodedSource.read`."""
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """See `EncodedSource.attempt`."""
        numbers, table = indices.tolist(), self.table[indices]
        rows = table.tolist()
        found: list[bytes | memoryview | str] = [_why_not(row) for row in rows]
        readable = [k for k, why_not in enumerate(found) if not why_not]
        starts, sizes = table[readable, 0], table[readable, 1] - table[readable, 0]
        blobs = self.archive.read(np.zeros(len(readable), np.int64), starts, sizes)
        for k, blob in zip(readable, blobs, strict=True):
            found[k] = blob if isinstance(blob, str) else _unpacked(blob, *rows[k][2:])
        return [
            unread(self.names[index], index, blob) if isinstance(blob, str) else blob
            for index, blob in zip(numbers, found, strict=True)
        ]

    def interrupt(self) -> None:
        """See `Interruptible.interrupt`."""
        self.archive.interrupt()

    def close(self) -> None:
        """See `Interruptible.close`."""
        self.archive.close()


def _why_not(row: list[int]) -> str:
    start, end, packed_bytes, size, method, _ = row
    if not 0 <= start <= end:
        return "the archive is damaged"
    if max(packed_bytes, size) > _LARGEST_FILE_BYTES:
        return f"it has {size} bytes, and an image should have at most {_LARGEST_FILE_BYTES}"
    if method not in (_PLAIN, _STORED, _DEFLATED):
        return "it is encrypted, or compressed in a way that is not read here. Make a zip that is stored or deflated"
    return ""


def _unpacked(blob: Blob, packed_bytes: int, size: int, method: int, crc: int) -> Blob | str:
    """A member's bytes, or why there are none."""
    if method == _PLAIN:
        return blob
    view = memoryview(blob)
    if len(view) < _HEADER.size:
        return "the archive is damaged"
    mark, name_bytes, extra_bytes = _HEADER.unpack(view[: _HEADER.size])
    start = _HEADER.size + name_bytes + extra_bytes
    data: Blob = view[start : start + packed_bytes]
    if mark != b"PK\3\4" or len(data) < packed_bytes:
        return "the archive is damaged"
    if method == _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)  # what is longer has another sum
        except zlib.error as error:
            return f"the archive is damaged ({error})"
    if len(data) != size or zlib.crc32(data) != crc:
        return "the archive is damaged: its sum is not that of the list"
    return data
