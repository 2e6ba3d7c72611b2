"""What a file's first bytes say it is."""

from __future__ import annotations

import re

HEAD_BYTES = 512  # web pages may begin with empty lines and comments
# What penstock's extensions promise.
FORMAT_OF_EXTENSION = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "bmp": "BMP",
    "ppm": "PPM",
    "tif": "TIFF",
    "tiff": "TIFF",
}
_SIGNATURES = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("BMP", rb"BM.{12}[\x0c\x28-\x7c]\x00\x00\x00"),
    ("PPM", rb"P[1-6f]\s+(?:#[^\n]*\n\s*)*\d+\s+\d"),
    ("TIFF", rb"II[*+]\x00|MM\x00[*+]|MM\*\x00|II\x00\*"),
    ("GIF", rb"GIF8[79]a"),
    ("WebP", rb"RIFF.{4}WEBP"),
    ("AVIF", rb".{4}ftypavi[fs]"),
    ("HEIC", rb".{4}ftyp(?:hei[cmsx]|hev[cmx]|mif1|msf1)"),
    ("JPEG 2000", rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("JPEG XL", rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n"),
    ("Photoshop", rb"8BPS\x00[\x01\x02]"),
    ("icon", rb"\x00\x00\x01\x00[\x01-\x20]\x00"),
)
_NO_IMAGES = (
    ("an HTML page", rb"(?i)(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b"),
    ("an XML text", rb"(?:\xef\xbb\xbf)?\s*<\?xml\b|\s*<svg\b"),
    ("a JSON text", rb"""\s*\{\s*(?:"|\})"""),
    ("a PDF", rb"%PDF-"),
    ("a PostScript program", rb"%!PS"),
    ("a ZIP archive", rb"PK\x03\x04"),
    ("a gzip archive", rb"\x1f\x8b\x08"),
    ("a film", rb".{4}ftyp(?:isom|iso[2-9]|mp4[12]|qt  |M4V |avc1)|\x1aE\xdf\xa3|RIFF.{4}AVI "),
    ("a Git LFS pointer", rb"version https://git-lfs"),
    ("zeros only", rb"\x00{64}"),
)
_IMAGES = tuple((name, re.compile(pattern, re.DOTALL)) for name, pattern in _SIGNATURES)
_OTHERS = tuple((name, re.compile(pattern, re.DOTALL)) for name, pattern in _NO_IMAGES)


def image_format(head: bytes | memoryview) -> str | None:
    """The image format that a file begins with; None for none that is known.

    Args:
        head: the file, or its first `HEAD_BYTES`.

    Example:
        >>> image_format(b"GIF89a...")
        'GIF'
        >>> image_format(b"<html>")
    """
    return next((name for name, pattern in _IMAGES if pattern.match(head)), None)


def other_content(head: bytes | memoryview) -> str | None:
    """What a file without an image holds instead, with its article; None for what is not known.

    Args:
        head: the file, or its first `HEAD_BYTES`.

    Example:
        >>> other_content(b"<!DOCTYPE html>")
        'an HTML page'
    """
    return next((name for name, pattern in _OTHERS if pattern.match(head[:HEAD_BYTES])), None)
