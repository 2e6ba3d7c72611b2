"""A JPEG at an eighth of its size, in half of the time that libjpeg takes for it.

At an eighth, one of a block's 64 coefficients is needed: its mean. libjpeg still reads the codes of the other 63 one by
one, which is nearly all of its 18 ms for 12 million pixels in 2.1 MB. Here a table says how far to go on for all codes
that fit into 13 bits: 3 million codes take 1.5 million look-ups, and all of it 9 ms, 8 of them in `read_means`.

Luma has libjpeg's values to the bit, and so has colour of the same resolution, or of half across or down. Colour of a
quarter of the pixels, as most photographs have it, stays at its blocks' means, where libjpeg would read 25 of their
coefficients each to double it. What is the least bit unusual is given back, to be decoded by libjpeg, which knows what
to make of it or what to say.

The format is that of ITU-T T.81; the rounding is libjpeg's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._compile import compiled, word_at
from penstock._types import Array
from penstock.image._jpeg_means import PADDING_BYTES, read_means
from penstock.image._jpeg_scan import Scan
from penstock.image._pixels import writeable

EIGHTH = 8
EIGHTHS_REVISION = 1  # one more whenever pixels change: caches that last go by it
_u = np.uint64


def decode_eighth(blob: bytes | memoryview, scan: Scan, out: Array, room: Array) -> bool:
    """Decode to an eighth, rounded up.

    Args:
        blob: the file.
        scan: of this file.
        out: uint8, `(height, width, channels)` with 1 channel (from grey only), 3 or 4.
        room: uint8, to work in: as long as the file and `PADDING_BYTES`.

    Returns:
        Whether it was done; `out` holds anything where it was not.
    """
    down, across = -(-scan.height // (8 * scan.down)), -(-scan.width // (8 * scan.across))
    interval = scan.restart_interval or down * across
    stops = np.empty(-(-down * across // interval), np.int64)
    if not _unstuff(writeable(np.frombuffer(blob, np.uint8)), scan.at, room, stops):
        return False
    luma = np.empty((down * scan.down, across * scan.across), np.uint8)
    colours = np.empty((scan.components - 1, down, across), np.uint8)
    if not read_means(
        room, stops, interval, scan.down, scan.across, scan.divisors, scan.counts, scan.symbols, luma, colours
    ):
        return False
    if scan.components == 1:
        _paint_grey(luma, out)
    else:
        _paint(luma, colours, scan.down - 1, scan.across - 1, out)
    return True


@compiled()
def _unstuff(blob: Any, at: Any, data: Any, stops: Any) -> Any:
    """A scan's bytes without those that only tell others from markers, and where the bytes up to each restart end.

    Returns:
        Whether there were as many restarts as there should be, in their order, and then the image's end.
    """
    address, end = blob.ctypes.data, _u(blob.size - 1)
    at, size, restarts = _u(at), _u(0), 0
    while at < end:
        first = at
        while at + _u(8) < end:
            inverse = ~word_at(address, at)
            if inverse - _u(0x0101010101010101) & ~inverse & _u(0x8080808080808080):  # one of its bytes is 0
                break
            at += _u(8)
        while at < end and blob[at] != 0xFF:
            at += _u(1)
        for n in range(at + _u(1) - first):
            data[size + _u(n)] = blob[first + _u(n)]
        size += at - first
        following = blob[at + _u(1)] if at < end else 0xFF
        at += _u(2)
        if following == 0:
            size += _u(1)
            continue
        if restarts == stops.size:
            return False
        stops[restarts] = size
        restarts += 1
        if following == 0xD9:
            for n in range(PADDING_BYTES):
                data[size + _u(n)] = 0
            return restarts == stops.size
        if following != 0xD0 + (restarts - 1) % 8:
            return False
    return False


# --- pixels -----------------------------------------------------------------------------------------------------------


@compiled()
def _paint_grey(luma: Any, out: Any) -> None:
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            for channel in range(out.shape[2]):
                out[row, column, channel] = 255 if channel == 3 else luma[row, column]


@compiled()
def _paint(luma: Any, colours: Any, down: Any, across: Any, out: Any) -> None:
    """Y'CbCr to RGB as JFIF has it, in fixed point of 16 bits; a colour is of `1 << down` by `1 << across` pixels."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            y = np.int32(luma[row, column])
            blue = np.int32(colours[0, row >> down, column >> across]) - np.int32(128)
            red = np.int32(colours[1, row >> down, column >> across]) - np.int32(128)
            out[row, column, 0] = min(max(y + ((91881 * red + 32768) >> 16), 0), 255)
            out[row, column, 1] = min(max(y + ((32768 - 22554 * blue - 46802 * red) >> 16), 0), 255)
            out[row, column, 2] = min(max(y + ((116130 * blue + 32768) >> 16), 0), 255)
            if out.shape[2] == 4:
                out[row, column, 3] = 255
