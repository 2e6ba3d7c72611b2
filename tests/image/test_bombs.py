"""Small files that ask for much memory or time."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fuzzing.valid import chunk, image, png, saved, tiff

pytest.importorskip("resource", reason="memory is measured as POSIX has it")
from fuzzing.child import forget_peak, memory, read
from penstock import ImageError
from penstock.image._decode import Loading

# Pillow warns of images beyond half of its limit.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(60)]


def large_jpeg(side: int, *, mode: str = "RGB", progressive: bool = False, extra: bytes = b"") -> bytes:
    """A small JPEG that says it has `side` times `side` pixels."""
    blob = saved(mode, "JPEG", progressive=progressive)[:-2] + extra + b"\xff\xd9"
    at = re.search(rb"\xff[\xc0-\xc2]\0", blob).start() + 5  # type: ignore[union-attr]
    return blob[:at] + struct.pack(">HH", side, side) + blob[at + 4 :]


def large_png(height: int, width: int, colour: int = 2, lines: int = 0) -> bytes:
    """A PNG of black pixels, of which `lines` are there."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    line = bytes(1 + width * {2: 3, 6: 4}[colour]) if lines else b"\0"
    packer = zlib.compressobj()
    data = b"".join(packer.compress(line) for _ in range(max(1, lines))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def last_scan() -> bytes:
    blob = saved("RGB", "JPEG", progressive=True)
    return blob[blob.rindex(b"\xff\xda") :][:14]


def strips(count: int) -> bytes:
    """A TIFF that says it has so many strips."""
    blob = bytearray(tiff(np.zeros((9, 9), np.uint8)))
    (at,) = struct.unpack("<I", blob[4:8])
    for entry in range(at + 2, at + 2 + 12 * blob[at], 12):
        if struct.unpack("<H", blob[entry : entry + 2])[0] in (273, 279):
            blob[entry + 4 : entry + 8] = struct.pack("<I", count)
    return bytes(blob)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "60,000 x 60,000 pixels.jpg": (lambda: large_jpeg(60_000), "DecompressionBombError"),
    "60,000 x 60,000 pixels.png": (lambda: large_png(60_000, 60_000), "DecompressionBombError"),
    "60,000 x 60,000 pixels.ppm": (lambda: b"P6\n60000 60000\n255\n" + bytes(99), "DecompressionBombError"),
    "within the limit.jpg": (lambda: large_jpeg(9_400), "it is cut short: 9400 x 9400 pixels take 172578 bytes"),
    "within the limit, progressive.jpg": (lambda: large_jpeg(13_000, mode="CMYK", progressive=True), "it is cut short"),
    "within the limit.ppm": (lambda: b"P6\n13000 13000\n255\n" + bytes(99), "truncated"),
    "within the limit, plain.ppm": (lambda: b"P3\n13000 13000\n255\n" + b"1 " * 99, "not enough image data"),
    "many scans.jpg": (
        lambda: large_jpeg(9_400, progressive=True, extra=last_scan() * 20_000),
        "its 20010 scans of 9400 x 9400 pixels would take minutes",
    ),
    "many fill bytes.jpg": (lambda: b"\xff\xd8" + b"\xff" * (40 << 20), "no frame header among its first 65536"),
    "many rows.png": (lambda: large_png(178_000_000, 1), "1 to 1048576 pixels a side, and this says 1 x 178000000"),
    "no rows.ppm": (lambda: b"P6\n5 0\n255\n", "cannot identify image file"),
    "long text.png": (
        lambda: png("RGB", 8, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))),
        "Decompressed data too large",
    ),
    "many texts.png": (
        lambda: png("RGB", 8, extra=100 * chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6)))),
        "Too much memory used in text chunks",
    ),
    "long profile.png": (
        lambda: png("RGB", 8, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8)))),
        "Decompressed data too large",
    ),
    "many strips.tif": (lambda: strips(2**28), ""),
    "a program.png": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n", "not run"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_asks_for_much_is_refused_before_it_gets_it(tmp_path: Path, name: str) -> None:
    make, words = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(make())
    for color_mode in ("rgb", "rgba", "grayscale"):
        forget_peak()
        before = memory("VmRSS")
        error = read(str(path), Loading((24, 20), color_mode))
        # Pillow asks for a PPM's pixels at once; whether they are touched is up to the C library.
        assert memory("VmHWM") - before < (800 << 20 if name.endswith(".ppm") else 150 << 20)
        assert isinstance(error, ImageError)
        assert error.path == str(path)
        assert words in str(error)


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_a_large_file_takes_its_pixels_once(tmp_path: Path, color_mode: str) -> None:
    """Four bytes for each of 88 million, however they are converted; two copies would be 700 MB."""
    path = tmp_path / "large.png"
    path.write_bytes(large_png(9_400, 9_400, 6, lines=9_400))
    forget_peak()
    before = memory("VmRSS")
    found = read(str(path), Loading((24, 20), color_mode))
    assert memory("VmHWM") - before < 450 << 20
    assert isinstance(found, np.ndarray)


def test_a_large_photograph_with_a_film_behind_it_is_read(tmp_path: Path) -> None:
    """A film's bytes hold the mark of a scan now and then."""
    path = tmp_path / "moving.jpg"
    image("RGB").resize((4_200, 4_100), Image.Resampling.NEAREST).save(path, quality=30)
    alone = read(str(path), Loading((24, 20)))
    path.write_bytes(path.read_bytes() + b"\xff\xda film" * 9_000)
    np.testing.assert_array_equal(read(str(path), Loading((24, 20))), alone)
