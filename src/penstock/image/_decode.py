"""Bytes to pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from penstock._errors import ImageError
from penstock._types import Array
from penstock.image._geometry import aspect_box, nearest_lookup

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "hamming": Image.Resampling.HAMMING,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_JPEG_COLOURS = {"grayscale": "GRAY", "rgb": "RGB", "rgba": "RGBA"}
_GRAYSCALE_MODES = ("L", "I;16", "I")


@dataclass(frozen=True)
class Loading:
    """How files become images of one size.

    Attributes:
        target_size: `(height, width)` in pixels, or None to keep each image's own.
        color_mode: "grayscale", "rgb" or "rgba".
        interpolation: a key of `INTERPOLATIONS`.
        keep_aspect_ratio: cut the largest centred part with the target's proportions first.
    """

    target_size: tuple[int, int] | None
    color_mode: str = "rgb"
    interpolation: str = "nearest"
    keep_aspect_ratio: bool = False

    def __post_init__(self) -> None:
        if self.color_mode not in CHANNELS:
            raise ValueError(f'Invalid color mode: {self.color_mode}; expected "rgb", "rgba", or "grayscale".')
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"Invalid interpolation method {self.interpolation} specified. "
                f"Supported methods are {', '.join(INTERPOLATIONS)}"
            )
        if self.target_size is not None:
            size = self.target_size
            if len(size) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in size):
                raise ValueError(f"`target_size` should be two positive integers (height, width). Received: {size}")
            # A plane's index is an int32, and its border adds three pixels a side.
            if (size[0] + 3) * (size[1] + 3) >= 2**31:
                raise ValueError(f"`target_size` should hold less than 2**31 pixels. Received: {size}")


@dataclass(frozen=True)
class Decoded:
    """An image and the nearest-neighbour resize that is still to come.

    Attributes:
        pixels: `(height, width, channels)`, C-contiguous; uint8, or uint16 and float32 for deep grayscale files.
        rows, columns: int64, the input row and column behind each of the target's.
    """

    pixels: Array
    rows: Array
    columns: Array


def decode(blob: bytes, path: str, loading: Loading) -> Decoded:
    """Decode one file's bytes, with the pixels that Keras's `load_img` gives.

    JPEG goes through simplejpeg (2.2 to 2.8 times as fast as Pillow, identical pixels), everything else and every
    JPEG that it refuses through Pillow. A nearest-neighbour resize is left to the warp, as two look-ups; any other is
    done here by Pillow.

    Raises:
        ImageError: the bytes are no image, are cut short, or exceed Pillow's decompression limit; it names `path`.
    """
    try:
        pixels = _decode_jpeg(blob, loading.color_mode)
        if pixels is None:
            pixels = _decode_any(blob, loading)
        elif loading.target_size is not None and loading.interpolation != "nearest":
            pixels = _resized(pixels, loading)
    except Exception as error:  # decoders raise whatever a damaged file makes them raise
        size = f"{len(blob)} bytes" if blob else "no bytes"
        raise ImageError(
            f"{path!r} cannot be read as an image ({size}): {type(error).__name__}: {error}. "
            "Replace or remove the file.",
            path=path,
        ) from error
    height, width = pixels.shape[:2]
    if loading.target_size is None or (height, width) == loading.target_size:
        return Decoded(pixels, np.arange(height), np.arange(width))
    top, left, bottom, right = _part(loading, height, width)
    return Decoded(
        pixels,
        nearest_lookup(height, loading.target_size[0], top, bottom),
        nearest_lookup(width, loading.target_size[1], left, right),
    )


def _part(loading: Loading, height: int, width: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of what is resized."""
    if loading.keep_aspect_ratio and loading.target_size is not None:
        return aspect_box((height, width), loading.target_size)
    return 0, 0, height, width


def _decode_jpeg(blob: bytes, color_mode: str) -> Array | None:
    """The pixels if this is a JPEG whose colours simplejpeg converts as Pillow does, else None."""
    frame = _jpeg_frame(blob)
    if frame is None:
        return None
    height, width, components = frame
    # Pillow makes grey of colour by its own rounding, and CMYK needs Adobe's inversion: both are left to it.
    if not (components == 1 or (components == 3 and color_mode != "grayscale")):
        return None
    if Image.MAX_IMAGE_PIXELS is not None and height * width > Image.MAX_IMAGE_PIXELS:
        return None  # Pillow warns, or refuses
    try:
        pixels: Array = simplejpeg.decode_jpeg(blob, colorspace=_JPEG_COLOURS[color_mode])
    except ValueError:
        return None  # Pillow is more lenient, and its error says more
    return pixels


def _jpeg_frame(blob: bytes) -> tuple[int, int, int] | None:
    """(height, width, components) from a JPEG's frame header; None if this is no 8-bit JPEG.

    Read here in Python, since asking the decoder would give up the interpreter lock once more per file.
    """
    if blob[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 < len(blob):
        if blob[at] != 0xFF:
            return None
        marker = blob[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if blob[at + 4] != 8:
                return None
            return (
                int.from_bytes(blob[at + 5 : at + 7], "big"),
                int.from_bytes(blob[at + 7 : at + 9], "big"),
                blob[at + 9],
            )
        else:
            at += 2 + int.from_bytes(blob[at + 2 : at + 4], "big")
    return None


def _decode_any(blob: bytes, loading: Loading) -> Array:
    with Image.open(io.BytesIO(blob)) as opened:
        image: Image.Image = opened
        if loading.color_mode == "grayscale":
            if image.mode not in _GRAYSCALE_MODES:
                image = image.convert("L")
        elif image.mode != loading.color_mode.upper():
            image = image.convert(loading.color_mode.upper())
        if loading.target_size is not None and loading.interpolation != "nearest":
            image = _resized_image(image, loading)
        pixels = np.asarray(image)
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.float32)
    return np.ascontiguousarray(pixels.reshape(pixels.shape[0], pixels.shape[1], -1))


def _resized(pixels: Array, loading: Loading) -> Array:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized: Array = np.asarray(_resized_image(image, loading))
    return resized.reshape(*resized.shape[:2], -1)


def _resized_image(image: Image.Image, loading: Loading) -> Any:
    if loading.target_size is None or (image.height, image.width) == tuple(loading.target_size):
        return image
    top, left, bottom, right = _part(loading, image.height, image.width)
    return image.resize(
        (loading.target_size[1], loading.target_size[0]),
        INTERPOLATIONS[loading.interpolation],
        box=(left, top, right, bottom),
    )
