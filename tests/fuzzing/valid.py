"""Small valid files of every kind that a folder may hold."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 37, 45
_KINDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # what PNG calls colour types 0, 4, 2 and 6
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def picture(channels: int, top: int = 255, dtype: str = "uint8") -> np.ndarray:
    """Areas, edges and some noise, `(HEIGHT, WIDTH, channels)`, from 0 to `top`."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    planes = [np.sin(rows / (3 + k) + columns / (5 + 2 * k)) * ((rows + columns) % 17 > 3) for k in range(channels)]
    noise = np.random.default_rng(channels).uniform(-0.1, 0.1, (HEIGHT, WIDTH, channels))
    return (np.clip(0.5 + 0.5 * np.stack(planes, axis=2) + noise, 0, 1) * top).astype(dtype)


def image(mode: str) -> Image.Image:
    """The picture in one of Pillow's modes."""
    if mode == "P":
        return Image.fromarray(picture(3)).quantize(40)
    if mode in ("1", "CMYK", "YCbCr", "LAB"):
        return Image.fromarray(picture(3)).convert("L" if mode == "1" else "RGB").convert(mode)
    if mode in ("I;16", "I", "F"):
        return Image.fromarray(picture(1, 65535, {"I;16": "uint16", "I": "int32", "F": "float32"}[mode])[:, :, 0])
    return Image.fromarray(picture(_KINDS[mode]).squeeze(), mode if mode == "LA" else None)


def saved(mode: str, kind: str, **options: Any) -> bytes:
    """The picture as Pillow writes it."""
    buffer = io.BytesIO()
    image(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(mode: str, depth: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """PNG of 8 or 16 bits a channel, which Pillow does not write interlaced, nor in colour with 16 bits."""
    values = picture(_KINDS[mode], 2**depth - 1, f">u{depth // 8}")
    passes = [values[top::down, left::right] for top, left, down, right in (_ADAM7 if interlaced else ((0, 0, 1, 1),))]
    lines = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    colour = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}[mode]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, int(interlaced))
    data = chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")


def bmp_runs() -> bytes:
    """BMP of run-length encoded bytes, which Pillow reads and does not write."""
    rows = picture(1)[:, :, 0] // 86
    palette = b"".join(bytes([80 * k, 60 * k, 70 * k, 0]) for k in range(4))
    data = b""
    for row in rows[::-1]:
        borders = [0, *(np.flatnonzero(np.diff(row)) + 1), WIDTH]
        data += b"".join(bytes([b - a, row[a]]) for a, b in pairwise(borders)) + b"\0\0"
    data += b"\0\1"
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(data), 2835, 2835, 4, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def tiff(array: np.ndarray, **options: Any) -> bytes:
    """TIFF as tifffile writes it: of either byte order, tiled, in planes, of any depth."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **{"photometric": "minisblack" if array.ndim == 2 else "rgb", **options})
    return buffer.getvalue()


@cache
def valid_files() -> dict[str, bytes]:
    """Name, with its kind as the extension, to bytes."""
    gray, rgb = picture(1)[:, :, 0], picture(3)
    deep = picture(1, 65535, "uint16")[:, :, 0]
    plain = " ".join(map(str, rgb.reshape(-1))).encode()
    size = f"{WIDTH} {HEIGHT}\n".encode()
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"words " * 99)) + chunk(b"tEXt", b"b\0more words")
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(600))) + chunk(b"gAMA", struct.pack(">I", 45455))
    pages = [Image.fromarray(rgb[:9]), Image.fromarray(gray[:20])]
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    return {
        "baseline.jpg": saved("RGB", "JPEG"),
        "full.jpeg": saved("RGB", "JPEG", subsampling="4:4:4", quality=95, exif=exif, dpi=(72, 72)),
        "restarts.jpg": saved("RGB", "JPEG", subsampling="4:2:2", restart_marker_rows=1, comment=b"words"),
        "progressive.jpg": saved("RGB", "JPEG", progressive=True, icc_profile=bytes(200)),
        "not transformed.jpg": saved("RGB", "JPEG", keep_rgb=True),
        "gray.jpg": saved("L", "JPEG"),
        "gray progressive.jpg": saved("L", "JPEG", progressive=True),
        "cmyk.jpg": saved("CMYK", "JPEG"),
        "cmyk progressive.jpg": saved("CMYK", "JPEG", progressive=True),
        **{f"{mode}.png": saved(mode, "PNG") for mode in ("L", "LA", "RGB", "RGBA", "P", "1", "I;16")},
        "two bits.png": saved("P", "PNG", bits=2),
        "hole.png": saved("P", "PNG", transparency=3),
        "holes.png": saved("P", "PNG", transparency=bytes(range(40))),
        "one colour transparent.png": saved("RGB", "PNG", transparency=(127, 127, 127)),
        "texts.png": png("RGB", 8, extra=text),
        "profile.png": png("RGBA", 8, extra=profile),
        "interlaced gray.png": png("L", 8, interlaced=True),
        "interlaced.png": png("RGB", 8, interlaced=True),
        "interlaced deep.png": png("RGBA", 16, interlaced=True),
        "deep gray.png": png("LA", 16),
        "moving.png": saved("RGB", "PNG", save_all=True, append_images=[image("RGB")]),
        **{f"{mode}.bmp": saved(mode, "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")},
        "runs.bmp": bmp_runs(),
        **{f"{mode}.ppm": saved(mode, "PPM") for mode in ("1", "L", "RGB", "I")},
        "plain.ppm": b"P3\n# a comment\n" + size + b"255\n" + plain,
        "plain bits.ppm": b"P1\n" + size + b"10" * (WIDTH * HEIGHT // 2) + b"1",
        "odd maximum.ppm": b"P6\n" + size + b"200\n" + (rgb // 2).tobytes(),
        "float.ppm": b"Pf\n" + size + b"-1.0\n" + rgb[:, :, 0].astype("<f4").tobytes(),
        **{f"{mode}.tif": saved(mode, "TIFF") for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")},
        **{
            f"{compression}.tif": saved("RGB", "TIFF", compression=compression)
            for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        },
        "ycbcr.tif": saved("YCbCr", "TIFF", compression="jpeg"),
        "lab.tif": saved("LAB", "TIFF"),
        "fax.tif": saved("1", "TIFF", compression="group4"),
        "pages.tif": saved("RGB", "TIFF", save_all=True, append_images=pages),
        "strips.tif": tiff(rgb, rowsperstrip=5, compression="zlib", predictor=True),
        "big-endian.tif": tiff(rgb, byteorder=">"),
        "big-endian deep.tif": tiff(deep, byteorder=">", compression="zlib"),
        "tiles.tif": tiff(rgb, tile=(16, 32)),
        "packed tiles.tif": tiff(gray, tile=(16, 16), compression="zlib", byteorder=">"),
        "planes.tif": tiff(np.moveaxis(rgb, 2, 0), planarconfig="separate", rowsperstrip=8),
        "deep colour.tif": tiff(picture(3, 65535, "uint16")),
        "floats.tif": tiff(rgb[:, :, 0].astype(np.float32), compression="zlib", byteorder=">"),
        "eight bytes.tif": tiff(rgb, bigtiff=True),
        "signed.tif": tiff(picture(1, 127, "int8")[:, :, 0]),
    }
