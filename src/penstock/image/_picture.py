"""Many images in one picture, with a few words under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from penstock._types import Array

Picture = Image.Image
"""Red, green and blue, eight bits each."""

GAP_PX = 4
LINE_PX = 14
_SMALLEST_PX, _LARGEST_PX = 128, 256  # of a tile's longer side
_CAPTIONED_PX = 176  # room for three or four words
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True)
class Tile:
    """One image of a picture.

    Attributes:
        pixels: uint8, `(height, width, 3)`.
        words: what is written under it, kept together as far as they fit.
    """

    pixels: Array
    words: tuple[str, ...] = ()


def arrange(rows: Sequence[Sequence[Tile]]) -> Picture:
    """Lay tiles out in rows and columns, on white.

    Args:
        rows: as many tiles in each, all of one size. Small ones are enlarged by a whole number without smoothing, large
            ones reduced to 256 pixels.

    Returns:
        Of `(rows, columns)` tiles with 4 pixels between them, and a line of 14 pixels for each line of words.
    """
    height, width = rows[0][0].pixels.shape[:2]
    has_words = any(tile.words for row in rows for tile in row)
    width, height = _tile_size(width, height, _CAPTIONED_PX if has_words else _SMALLEST_PX)
    font = ImageFont.load_default()
    lines = [[_lines(tile.words, width, font) for tile in row] for row in rows]
    below = [max(map(len, row)) * LINE_PX for row in lines]
    columns = len(rows[0])
    size = columns * (width + GAP_PX) - GAP_PX, sum(below) + len(rows) * (height + GAP_PX) - GAP_PX
    picture = Image.new("RGB", size, _WHITE)
    pen = ImageDraw.Draw(picture)
    top = 0
    for row, its_lines, its_below in zip(rows, lines, below, strict=True):
        for column, (tile, text) in enumerate(zip(row, its_lines, strict=True)):
            left = column * (width + GAP_PX)
            picture.paste(_sized(tile.pixels, (width, height)), (left, top))
            for number, line in enumerate(text):
                pen.text((left + 2, top + height + 1 + number * LINE_PX), line, fill=_BLACK, font=font)
        top += height + its_below + GAP_PX
    return picture


def reduced(image: Array, *, channels_first: bool) -> Array:
    """An image of at least the size of a tile of it, by leaving out rows and columns; a view."""
    height, width = image.shape[1:] if channels_first else image.shape[:2]
    step = max(1, max(height, width) // (2 * _LARGEST_PX))
    return image[:, ::step, ::step] if channels_first else image[::step, ::step]


def _tile_size(width: int, height: int, smallest_px: int) -> tuple[int, int]:
    longer = max(width, height)
    if longer > _LARGEST_PX:
        return max(1, round(width * _LARGEST_PX / longer)), max(1, round(height * _LARGEST_PX / longer))
    factor = -(-smallest_px // longer)
    return width * factor, height * factor


def _sized(pixels: Array, size: tuple[int, int]) -> Picture:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    shrinks = image.width > size[0] or image.height > size[1]
    return image.resize(size, Image.Resampling.LANCZOS if shrinks else Image.Resampling.NEAREST)


def _lines(words: Sequence[str], width_px: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    """Words in lines that fit; one that is too long by itself loses its beginning, as the end of a path says more."""
    lines: list[str] = []
    for word in words:
        text = word.encode("latin-1", "replace").decode("latin-1")  # all that the font can write
        if lines and font.getlength(f"{lines[-1]}, {text}") <= width_px - 4:
            lines[-1] += f", {text}"
            continue
        if font.getlength(text) > width_px - 4:
            while len(text) > 1 and font.getlength(f"...{text}") > width_px - 4:
                text = text[1:]
            text = f"...{text}"
        lines.append(text)
    return lines
