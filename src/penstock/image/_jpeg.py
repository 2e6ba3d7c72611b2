"""What a JPEG's headers say, read before a decoder spends memory or time on them.

Read here in Python, since asking the decoder would give up the interpreter lock once more per file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Photographs have tens of segments, and Pillow walks over any number of them at 0.4 s a million.
_MOST_SEGMENTS = 1 << 16
LARGE_PIXELS = 1 << 24  # from here on a lie about the size costs more than a look at the file
# A decoder goes over the whole image for each scan, 8 ms for an empty one of 88 million pixels: this is some 6 s.
# Progressive files have about 10 scans.
_MOST_SCANNED_PIXELS = 1 << 36
_SHORTEST_SCAN = 10  # bytes, with its marker
# Of the shares that decoders know, eighths, those between take longer than the next larger of these: 3/8 of 12 million
# pixels 27.5 ms, 1/2 23.8 ms, 1/4 21 ms, 1/8 18.2 ms (9 ms in `_jpeg_eighth.py`), all of them 34.7 ms.
_DIVISORS = (8, 4, 2)
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class JpegFrame(NamedTuple):
    """What an 8-bit JPEG's frame header says, and where it stands."""

    height: int
    width: int
    components: int
    at: int
    is_huffman: bool


class JpegSize(NamedTuple):
    """What a JPEG is decoded to, in pixels, and its share of each side; zeros for a file left to another decoder."""

    height: int = 0
    width: int = 0
    divisor: int = 1


def jpeg_frame(blob: bytes | memoryview) -> JpegFrame | None:
    """A JPEG's frame header; None if this is no 8-bit JPEG.

    Raises:
        ValueError: looking for it would take minutes.
    """
    if blob[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 9 >= len(blob) or blob[at] != 0xFF:
            return None
        marker = blob[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if blob[at + 4] != 8:
                return None
            return JpegFrame(
                int.from_bytes(blob[at + 5 : at + 7], "big"),
                int.from_bytes(blob[at + 7 : at + 9], "big"),
                blob[at + 9],
                at,
                marker < 0xC8,
            )
        else:
            at += 2 + int.from_bytes(blob[at + 2 : at + 4], "big")
    raise ValueError(f"no frame header among its first {_MOST_SEGMENTS} segments and fill bytes")


def scaled_size(height: int, width: int, least: tuple[int, int]) -> JpegSize:
    """The smallest size that a JPEG can be decoded to in less time, and that is large enough.

    Args:
        height, width: of the image.
        least: height and width that should be left.

    Returns:
        Half of the image, a quarter or an eighth, rounded up; all of it where half is too small.
    """
    for divisor in _DIVISORS:
        if height >= divisor * least[0] and width >= divisor * least[1]:
            return JpegSize(-(-height // divisor), -(-width // divisor), divisor)
    return JpegSize(height, width)


def check_large_jpeg(blob: bytes | memoryview, frame: JpegFrame) -> None:
    """Refuse a large image that its file cannot hold, or that it paints too often; does nothing to smaller ones.

    Raises:
        ValueError: decoding it would take minutes, or gigabytes for a few bytes.
    """
    pixels = frame.height * frame.width
    if pixels <= LARGE_PIXELS:
        return
    # Eight pixels by eight take a bit of Huffman's code at the very least.
    if frame.is_huffman and len(blob) * 8 * 64 < pixels:
        raise ValueError(f"it is cut short: {frame.height} x {frame.width} pixels take {pixels // 512} bytes or more")
    if pixels * (len(blob) // _SHORTEST_SCAN) <= _MOST_SCANNED_PIXELS:
        return
    # Counted fast, then exactly: a film behind the image holds the mark of a scan once in 64 kB.
    if pixels * bytes(blob).count(b"\xff\xda") > _MOST_SCANNED_PIXELS:
        scans = _count_scans(blob, frame.at)
        if pixels * scans > _MOST_SCANNED_PIXELS:
            raise ValueError(f"its {scans} scans of {frame.height} x {frame.width} pixels would take minutes to decode")


def _count_scans(blob: bytes | memoryview, at: int) -> int:
    """Scans from `at` to the image's end."""
    scans = 0
    while (found := _MARKER.search(blob, at)) is not None:
        marker = blob[found.start() + 1]
        if marker == 0xD9:
            break
        scans += marker == 0xDA
        at = found.end() + int.from_bytes(blob[found.end() : found.end() + 2], "big")
    return scans
