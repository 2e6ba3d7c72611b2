"""What a file is by its bytes, and whether there were more of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fuzzing.valid import image, saved, tiff
from penstock._errors import ImageError
from penstock.image._cut_short import is_cut_short
from penstock.image._decode import declared_pixels, decode_alone
from penstock.image._formats import HEAD_BYTES, image_format, other_content

# Pillow warns of metadata that it cannot read, and of large images.
pytestmark = pytest.mark.filterwarnings("ignore")
KINDS = {
    "JPEG": saved("RGB", "JPEG"),
    "PNG": saved("RGB", "PNG"),
    "BMP": saved("RGB", "BMP"),
    "PPM": saved("RGB", "PPM"),
    "TIFF": saved("RGB", "TIFF"),
    "GIF": saved("P", "GIF"),
    "WebP": saved("RGB", "WEBP"),
    "icon": saved("RGBA", "ICO"),
    "JPEG 2000": saved("RGB", "JPEG2000"),
}
MORE = {
    "JPEG": [saved("L", "JPEG", progressive=True), saved("CMYK", "JPEG")],
    "PNG": [saved("P", "PNG"), saved("1", "PNG")],
    "BMP": [saved("L", "BMP"), saved("1", "BMP")],
    "PPM": [saved("L", "PPM"), saved("1", "PPM"), b"P3\n# by hand\n1 1\n255\n1 2 3\n"],
    "TIFF": [saved("L", "TIFF", compression="tiff_lzw"), tiff(np.zeros((9, 9), np.uint8), bigtiff=True)],
}


def complaint(blob: bytes) -> str | None:
    """What the decoder says of a file that it does not read; None for one that it does."""
    try:
        decode_alone(blob, "a")
    except ImageError as error:
        return str(error.__cause__)
    return None


@pytest.mark.parametrize("name", KINDS)
def test_an_image_is_known_by_its_first_bytes(name: str) -> None:
    for blob in [KINDS[name], *MORE.get(name, [])]:
        assert image_format(blob) == name
        assert image_format(memoryview(blob)[:HEAD_BYTES]) == name
        assert other_content(blob) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"\n <!-- cached -->\n<!DOCTYPE html><title>404</title>", "an HTML page"),
        (b"<HTML><body>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML text"),
        (b'{"error": "not found"}', "a JSON text"),
        (b"%PDF-1.7", "a PDF"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (bytes(9000), "zeros only"),
        (b"P1 is the first product, and P2 another", None),
        (b"BMW, Audi and others", None),
        (b"", None),
    ],
)
def test_what_comes_in_place_of_images_is_known_too(text: bytes, what: str | None) -> None:
    assert image_format(text) is None
    assert other_content(text) == what


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "PPM", "TIFF", "WebP"])
def test_a_file_that_was_cut_is_known_as_such_wherever_it_was_cut(name: str) -> None:
    """Unless it is read all the same, or nothing is left that says what it was."""
    for blob in [KINDS[name], *MORE.get(name, [])]:
        if blob[2:4] in (b"\0+", b"+\0"):  # BigTIFF
            continue
        for end in range(26, len(blob), 3):
            part = blob[:end]
            if image_format(part) is None:
                continue
            words = complaint(part)
            assert words is None or is_cut_short(part, name, words), (end, words)


def test_a_whole_file_is_not_called_cut_for_other_damage() -> None:
    damaged = {
        "JPEG": KINDS["JPEG"].replace(b"\xff\xc0", b"\xff\xc3"),
        "PNG": KINDS["PNG"].replace(b"IHDR", b"IHDX"),
        "BMP": KINDS["BMP"][:28] + b"\x07" + KINDS["BMP"][29:],
    }
    for name, blob in damaged.items():
        words = complaint(blob)
        assert words is not None
        assert not is_cut_short(blob, name, words), name


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "PPM", "TIFF"])
def test_what_is_whole_is_decoded_without_a_word(name: str) -> None:
    for blob in [KINDS[name], *MORE[name]]:
        assert decode_alone(blob, "a") is None


def test_a_jpeg_that_ends_early_and_is_closed_all_the_same_is_read_with_a_word() -> None:
    """Nothing fails on such a file, and half of it is grey."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    blob = buffer.getvalue()
    complaint = decode_alone(blob[: len(blob) // 2] + b"\xff\xd9", "a")
    assert complaint == "Corrupt JPEG data: premature end of data segment"


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "PPM", "TIFF", "GIF"])
def test_the_size_is_told_without_decoding(name: str) -> None:
    width, height = image("RGB").size
    assert declared_pixels(KINDS[name]) == width * height


def test_the_size_of_what_pillow_refuses_is_told_too() -> None:
    assert declared_pixels(b"P6\n60000 60000\n255\n") == 3_600_000_000
    assert declared_pixels(b"P6\n10000 10000\n255\n") == 100_000_000
    assert declared_pixels(b"no image") is None
