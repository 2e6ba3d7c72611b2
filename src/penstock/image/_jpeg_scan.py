"""What it takes to read a baseline JPEG's one scan, as its headers say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from penstock._types import Array

_MOST_SEGMENTS = 1 << 10  # photographs have tens
_SCAN = 0xDA
_DAMAGED = (IndexError, KeyError, ValueError)  # what comes of segments that end too early, or name what is not there


class Scan(NamedTuple):
    """A scan that holds all of an 8-bit Huffman-coded image, grey or Y'CbCr.

    Attributes:
        height, width: of the image, in pixels.
        components: 1, or 3: luma and two colours.
        across, down: 1 or 2: each colour has one block for `down` by `across` of luma's.
        restart_interval: units of a colour block and its luma blocks from one restart marker to the next; 0 for none.
        at: the scan's first byte.
        divisors: of each component's means, int64, `(components,)`.
        counts: codes of each length, 1 to 16 bits, of luma's DC and AC and the colours' DC and AC, `(4, 16)`.
        symbols: what the codes mean, shortest first, uint8, `(4, 256)`.
    """

    height: int
    width: int
    components: int
    across: int
    down: int
    restart_interval: int
    at: int
    divisors: Array
    counts: Array
    symbols: Array


def whole_scan(blob: bytes | memoryview) -> Scan | None:
    """What the headers say; None for any other kind of JPEG, such as a progressive one or CMYK, or damaged headers."""
    try:
        return _whole_scan(blob)
    except _DAMAGED:
        return None


def _segments(blob: bytes | memoryview) -> Iterator[tuple[int, bytes, int]]:
    """Each segment's marker, contents and end, up to the first scan's header.

    Raises:
        IndexError, ValueError: there is none, or not before something else.
    """
    if blob[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    at, marker = 2, 0
    for _ in range(_MOST_SEGMENTS):
        if marker == _SCAN:
            return
        if blob[at] != 0xFF:
            raise ValueError("no segment")
        marker, start = blob[at + 1], at + 4
        at += 2 + int.from_bytes(blob[at + 2 : at + 4], "big")
        yield marker, bytes(blob[start:at]), at
    raise ValueError(f"no scan among its first {_MOST_SEGMENTS} segments")


def _whole_scan(blob: bytes | memoryview) -> Scan | None:
    frame = scan = b""
    interval = end = 0
    divisors: dict[int, int] = {}
    codes: dict[int, tuple[Any, Any]] = {}
    for marker, segment, end in _segments(blob):  # noqa: B007 - that of the last one is used
        if marker == 0xC0 and not frame:
            frame = segment
        elif marker == 0xC4:
            codes.update(_huffman_codes(segment))
        elif marker == 0xDB:
            divisors.update(_divisors(segment))
        elif marker == 0xDD and len(segment) == 2:
            interval = int.from_bytes(segment, "big")
        elif marker == 0xEE and segment[:5] == b"Adobe" and segment[11] != 1:
            return None  # neither grey nor Y'CbCr
        elif marker == 0xE0 and segment[:5] == b"JFIF\0" and segment[5] != 1:
            return None  # of which libjpeg warns
        elif marker == _SCAN:
            scan = segment
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return None
    height, width, components = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5]
    identities = [frame[6 + 3 * n] for n in range(components)]
    samplings = [frame[7 + 3 * n] for n in range(components)]
    across, down = samplings[0] >> 4, samplings[0] & 15
    if (
        len(frame) != 6 + 3 * components
        or frame[0] != 8
        or height * width == 0
        or identities != ([1, 2, 3] if components == 3 else identities[:1])
        or samplings[1:] != [0x11] * (components - 1)
        or not {across, down} <= ({1, 2} if components == 3 else {1})
        or scan[0] != components
        or [scan[1 + 2 * n] for n in range(components)] != identities
        or scan[1 + 2 * components :] != b"\0\x3f\0"  # all coefficients, all bits
        or not {*codes} <= {0, 1, 2, 3, 16, 17, 18, 19}
        or not {*divisors} <= {0, 1, 2, 3}
    ):
        return None
    uses = [scan[2 + 2 * n] for n in range(components)]
    kinds = [uses[0] >> 4, 0x10 | uses[0] & 15, uses[-1] >> 4, 0x10 | uses[-1] & 15]
    symbols = np.array([codes[kind][1] for kind in kinds], np.uint8)
    if uses[1:2] != uses[2:3] or symbols[::2].max() > 15:
        return None
    return Scan(
        height,
        width,
        components,
        across,
        down,
        interval,
        end,
        np.array([divisors[frame[8 + 3 * n]] for n in range(components)], np.int64),
        np.array([codes[kind][0] for kind in kinds], np.int64),
        symbols,
    )


def _huffman_codes(segment: bytes) -> dict[int, tuple[Any, Any]]:
    found = {}
    while segment:
        counts = np.frombuffer(segment, np.uint8, 16, 1)
        stop = 17 + int(counts.sum())
        symbols = np.zeros(256, np.uint8)
        symbols[: stop - 17] = np.frombuffer(segment, np.uint8, stop - 17, 17)
        found[segment[0]] = counts, symbols
        segment = segment[stop:]
    return found


def _divisors(segment: bytes) -> dict[int, int]:
    """The first of each table's 64."""
    found = {}
    while segment:
        width = 2 if segment[0] >> 4 else 1
        if len(segment) < 1 + 64 * width:
            raise ValueError("a table ends too early")
        found[segment[0] & 15] = int.from_bytes(segment[1 : 1 + width], "big")
        segment = segment[1 + 64 * width :]
    return found
