"""The picture's file, which replaces an earlier one and nothing else."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

from penstock._types import Array
from penstock.cli._endings import in_the_way

_SIGNATURE = "penstock demo"


def check_picture(path: Path) -> None:
    """Make sure that a picture may be saved there.

    Raises:
        CommandError: there is a file that `save_picture` has not written.
    """
    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            if picture.info.get("Software") == _SIGNATURE:
                return
    except OSError:  # no image at all
        pass
    raise in_the_way(path)


def save_picture(pixels: Array, path: Path) -> None:
    """Write a PNG that `check_picture` knows again.

    Args:
        pixels: uint8, `(height, width, 3)`.
        path: in a folder that is made if it is not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    signature = PngImagePlugin.PngInfo()
    signature.add_text("Software", _SIGNATURE)
    Image.fromarray(pixels).save(path, "PNG", pnginfo=signature)
