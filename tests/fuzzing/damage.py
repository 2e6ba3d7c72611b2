"""Ways to damage a file; each is drawn from a generator, so that a seed says what comes out."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

import numpy as np

from fuzzing.valid import valid_files

EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
HEAD = 80  # bytes, which hold the sizes in most kinds
_PNG = b"\x89PNG\r\n\x1a\n"
_EXTREME = (0, 1, 2, 255, 256, 0x7FFF, 0xFFFF, 13_000, 60_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1_000_000, 2**28)


def bits(draw: np.random.Generator, blob: bytearray) -> None:
    """Some bits, anywhere."""
    for at in draw.integers(0, len(blob), draw.integers(1, 30)):
        blob[at] ^= 1 << draw.integers(8)


def some_bytes(draw: np.random.Generator, blob: bytearray) -> None:
    """A few bytes, at the head as often as anywhere."""
    end = min(HEAD, len(blob)) if draw.random() < 0.5 else len(blob)
    for at in draw.integers(0, end, draw.integers(1, 8)):
        blob[at] = draw.choice([0, 1, 127, 128, 255, int(draw.integers(256))])


def numbers(draw: np.random.Generator, blob: bytearray) -> None:
    """A number of 2, 4 or 8 bytes of either order, zero, huge or negative, in the head or (TIFF) in the tail."""
    for _ in range(draw.integers(1, 4)):
        width, order = int(draw.choice([2, 4, 4, 8])), str(draw.choice(["little", "big"]))
        start = max(0, len(blob) - 300) if draw.random() < 0.3 else 0
        at = start + int(draw.integers(max(1, min(300, len(blob) - start - width))))
        value = int(draw.choice(_EXTREME)) % 256**width
        blob[at : at + width] = value.to_bytes(width, order)  # type: ignore[arg-type]


def size(draw: np.random.Generator, blob: bytearray) -> None:
    """Height or width as the file declares them."""
    value = int(draw.choice([*_EXTREME, 1, 44, 46, 90]))
    which = int(draw.integers(2))
    if blob.startswith(b"\xff\xd8"):
        for frame in re.finditer(rb"\xff[\xc0-\xc2]\0.", bytes(blob)):
            at = frame.start() + 5 + 2 * which
            blob[at : at + 2] = struct.pack(">H", value % 2**16)
    elif blob.startswith(_PNG):
        blob[16 + 4 * which : 20 + 4 * which] = struct.pack(">I", value)
    elif blob.startswith(b"BM"):
        blob[18 + 4 * which : 22 + 4 * which] = struct.pack("<I", value)
    elif blob[:1] == b"P":
        tokens = bytes(blob).split(None, 3)
        tokens[min(1 + which, len(tokens) - 1)] = str(value - (2**32 if draw.random() < 0.2 else 0)).encode()
        blob[:] = b" ".join(tokens)
    else:
        entry(draw, blob, tags=range(256, 258), value=value)


def entry(draw: np.random.Generator, blob: bytearray, tags: range = range(254, 400), value: int | None = None) -> None:
    """Tag, type, count or value of an entry in a TIFF's directory."""
    order = ">" if blob[:1] == b"M" else "<"
    if len(blob) < 8 or blob[:1] not in (b"I", b"M"):
        return numbers(draw, blob)
    (at,) = struct.unpack(f"{order}I", blob[4:8])
    found = [
        place
        for place in range(at + 2, min(at + 2 + 12 * 40, len(blob) - 12), 12)
        if struct.unpack(f"{order}H", blob[place : place + 2])[0] in tags
    ]
    if not found:
        return numbers(draw, blob)
    place = int(draw.choice(found))
    if value is not None:
        blob[place + 2 : place + 12] = struct.pack(f"{order}HII", 4, 1, value)
        return None
    field, width = [(0, 2), (2, 2), (4, 4), (8, 4)][draw.integers(4)]
    drawn = int(draw.choice(_EXTREME)) if field else int(draw.integers(254, 340))
    if field == 2:
        drawn = int(draw.integers(0, 19))
    blob[place + field : place + field + width] = struct.pack(
        f"{order}{'H' if width == 2 else 'I'}", drawn % 256**width
    )
    return None


def cut(draw: np.random.Generator, blob: bytearray) -> None:
    """The end is missing; now and then the beginning."""
    if draw.random() < 0.1:
        del blob[: draw.integers(1, len(blob))]
    else:
        del blob[draw.integers(len(blob)) :]


def insertion(draw: np.random.Generator, blob: bytearray) -> None:
    """Foreign bytes within."""
    at = int(draw.integers(len(blob)))
    filler = draw.bytes(draw.integers(1, 400)) if draw.random() < 0.5 else bytes([draw.integers(256)]) * 300
    blob[at:at] = filler


def pieces(draw: np.random.Generator, blob: bytearray) -> None:
    """A chunk, a marker's segment or any piece once more, gone, or elsewhere."""
    marks: list[int] = []
    if blob.startswith(_PNG):
        marks = [m.start() - 4 for m in re.finditer(rb"IHDR|IDAT|IEND|PLTE|tRNS|zTXt|tEXt|iCCP|fdAT|fcTL", bytes(blob))]
    elif blob.startswith(b"\xff\xd8"):
        marks = [m.start() for m in re.finditer(rb"\xff[\xc0-\xfe]", bytes(blob))]
    if len(marks) < 2:
        marks = sorted(int(at) for at in draw.integers(0, len(blob), 4))
    which = int(draw.integers(len(marks) - 1))
    piece = blob[marks[which] : marks[which + 1]]
    what = draw.integers(3)
    if what == 0:
        del blob[marks[which] : marks[which + 1]]
    target = int(draw.choice(marks)) if what else 0
    if what:
        blob[target:target] = piece * int(draw.choice([1, 2, 300]))


def splice(draw: np.random.Generator, blob: bytearray) -> None:
    """The beginning of one file and the end of another."""
    other = valid_files()[str(draw.choice(sorted(valid_files())))]
    blob[draw.integers(len(blob)) :] = other[draw.integers(len(other)) :]


def nothing(draw: np.random.Generator, blob: bytearray) -> None:
    """An empty file, or one as it was."""
    if draw.random() < 0.3:
        blob.clear()


WAYS: tuple[Callable[[np.random.Generator, bytearray], None], ...] = (
    bits, some_bytes, some_bytes, numbers, numbers, size, size, entry, cut, insertion, pieces, splice, nothing,
)  # fmt: skip


def damaged(seed: int) -> tuple[str, bytes, str]:
    """A file's name, its bytes, and what was done to it, in words."""
    draw = np.random.default_rng(seed)
    base = sorted(valid_files())[seed % len(valid_files())]
    blob = bytearray(valid_files()[base])
    done = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        way = WAYS[draw.integers(len(WAYS))]
        if blob:
            way(draw, blob)
            done.append(way.__name__)
    if blob.startswith(_PNG) and draw.random() < 0.8:  # a decoder looks no further at a chunk with a wrong sum
        mend(blob)
    extension = str(draw.choice(EXTENSIONS)) if draw.random() < 0.1 else base.rpartition(".")[2]
    return f"{seed}.{extension}", bytes(blob), f"{base}: {', '.join(done)}"


def mend(blob: bytearray) -> None:
    """Make the check sum of each of a PNG's chunks right."""
    at = len(_PNG)
    while at + 12 <= len(blob):
        (length,) = struct.unpack(">I", blob[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(blob):
            break
        blob[end : end + 4] = struct.pack(">I", zlib.crc32(blob[at + 4 : end]))
        at = end + 4
