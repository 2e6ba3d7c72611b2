"""What a JPEG is at an eighth of its size."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from penstock.image._jpeg_eighth import decode_eighth
from penstock.image._jpeg_means import PADDING_BYTES
from penstock.image._jpeg_scan import whole_scan


def decoded(blob: bytes, channels: int = 3) -> np.ndarray | None:
    """What came of it, uint8, if it came to anything."""
    scan = whole_scan(blob)
    if scan is None:
        return None
    out = np.zeros((-(-scan.height // 8), -(-scan.width // 8), channels), np.uint8)
    return out if decode_eighth(blob, scan, out, np.empty(len(blob) + PADDING_BYTES, np.uint8)) else None


def eighth(blob: bytes) -> np.ndarray:
    """By Pillow alone: RGB, float64, `(height, width, 3)`, each whole unit of 16 by 16 pixels in one colour, its mean.

    Libjpeg's luma, and the mean of its four values of each colour, which it rounds: off by half a level at most. A unit
    that is cut has not got all four.
    """
    with Image.open(io.BytesIO(blob)) as image:
        size = -(-image.width // 8), -(-image.height // 8)
        image.draft("YCbCr", (image.width // 8, image.height // 8))
        assert (image.mode, image.size) == ("YCbCr", size)
        planes = np.asarray(image).astype(float)
    y, colours = planes[:, :, 0], planes[:, :, 1:]
    padded = np.pad(colours, [(0, size[1] % 2), (0, size[0] % 2), (0, 0)], mode="edge")
    means = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 2).mean(axis=(1, 3))
    blue, red = np.moveaxis(means.repeat(2, axis=0).repeat(2, axis=1)[: size[1], : size[0]] - 128, 2, 0)
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=2)
    return np.clip(rgb, 0, 255)
