"""Whether a file that cannot be decoded ends too early."""

from __future__ import annotations

import re
import struct

# What Pillow and `check_large_jpeg` say then.
_WORDS = re.compile(r"truncated|cut short|\bEOF\b|not enough image data", re.IGNORECASE)
_TIFF_TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 0)  # by number; the last stands for those not known


def is_cut_short(blob: bytes | memoryview, image_format: str | None, complaint: str) -> bool:
    """Whether a file that a decoder refuses was longer once.

    A decoder that misses the end says so; one that misses part of the headers takes the file for no image at all, which
    is why the lengths that the headers declare are looked at, too.

    Args:
        blob: the file.
        image_format: what `image_format` says of it.
        complaint: what the decoder says of it.

    Example:
        >>> is_cut_short(b"P6 9 9 255 ", "PPM", "image file is truncated (0 bytes not processed)")
        True
    """
    if _WORDS.search(complaint):
        return True
    try:
        match image_format:
            case "JPEG":
                return _jpeg_headers_end_early(blob)
            case "PNG":
                return _png_ends_early(blob)
            case "BMP":
                return len(blob) < 26 or int.from_bytes(blob[2:6], "little") > len(blob)
            case "WebP":
                return int.from_bytes(blob[4:8], "little") + 8 > len(blob)
            case "TIFF":
                return _tiff_ends_early(blob)
    except struct.error:  # in the middle of a header
        return True
    return False


def _jpeg_headers_end_early(blob: bytes | memoryview) -> bool:
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", blob, at)
        if marker == 0xFFDA or marker < 0xFF00:  # pixels, which the decoder has words for; or no marker
            return False
        at += 1 if marker == 0xFFFF else 2 + length


def _png_ends_early(blob: bytes | memoryview) -> bool:
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", blob, at)
        at += 12 + length
        if kind == b"IEND":
            return bool(at > len(blob))


def _tiff_ends_early(blob: bytes | memoryview) -> bool:
    """Whether its first directory, which may stand anywhere, or what it points to, is not all there."""
    order = "<" if blob[:1] == b"I" else ">"
    version, at = struct.unpack_from(f"{order}HI", blob, 2)
    if version != 42:  # BigTIFF, which is as long as it likes
        return False
    (entries,) = struct.unpack_from(f"{order}H", blob, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        kind, count, value = struct.unpack_from(f"{order}HII", blob, entry + 2)
        size = count * _TIFF_TYPE_BYTES[min(kind, len(_TIFF_TYPE_BYTES) - 1)]
        if size > 4 and value + size > len(blob):
            return True
    return bool(at + 2 + 12 * entries + 4 > len(blob))
