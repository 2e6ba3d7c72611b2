"""What images of a folder are like."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from penstock.cli._endings import CommandError
from penstock.image._decode import declared_pixels
from penstock.sources._files import EXTENSIONS, image_extension
from penstock.sources._walk import list_files

_LOOKED_AT = 400
_MEASURED = 32
_HEAD_BYTES = 1 << 16  # some cameras write a preview before what tells the size


@dataclass(frozen=True)
class PlannedFolder:
    """Images of a folder.

    Attributes:
        images: how many.
        image_px, image_bytes: pixels of one and bytes of its file, on average over those that were looked at.
        sample: some of them, from all through the folder.
    """

    images: int
    image_px: float
    image_bytes: float
    sample: tuple[Path, ...]


def look_into(directory: Path) -> PlannedFolder:
    """Look at a few hundred images, all through a folder.

    Raises:
        CommandError: it holds none whose size can be told.
        OSError: it cannot be listed.
    """
    paths = [Path(path) for path in list_files(directory).paths if image_extension(os.path.basename(path)) is not None]
    pixels: list[int] = []
    sizes: list[int] = []
    found: list[Path] = []
    for path in _all_through(paths, _LOOKED_AT):
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                count = declared_pixels(file.read(_HEAD_BYTES)) or declared_pixels(path.read_bytes())
        except OSError:
            continue  # `penstock check` says what is wrong with it
        if count:
            pixels.append(count)
            sizes.append(size)
            found.append(path)
    if not found:
        raise CommandError(
            f"DIR should hold images, in files whose names end in {', '.join(EXTENSIONS)}. {str(directory)!r} holds "
            "none that can be read (hidden folders do not count)."
        )
    return PlannedFolder(len(paths), fmean(pixels), fmean(sizes), tuple(_all_through(found, _MEASURED)))


def _all_through(values: Sequence[Path], most: int) -> Sequence[Path]:
    if len(values) <= most:
        return values
    return [values[number * len(values) // most] for number in range(most)]
