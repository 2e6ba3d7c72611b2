"""The picture's file, which replaces an earlier one and nothing else."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, PngImagePlugin

from penstock._types import Array
from penstock.cli._endings import in_the_way


def check_picture(path: Path, command: str) -> None:
    """Make sure that a picture may be saved there.

    Args:
        path: of the file.
        command: that would save it: "demo" or "preview".

    Raises:
        CommandError: there is a file that `save_picture` has not written.
    """
    if not path.exists():
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                if picture.info.get("Software") == _signature(command):
                    return
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # no image at all, or none of ours
        pass
    raise in_the_way(path, command)


def save_picture(pixels: Array, path: Path, command: str) -> None:
    """Write a PNG that `check_picture` knows again.

    Args:
        pixels: uint8, `(height, width, 3)`.
        path: in a folder that is made if it is not there.
        command: that saves it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    signature = PngImagePlugin.PngInfo()
    signature.add_text("Software", _signature(command))
    unfinished = path.with_name(f".{path.name}.unfinished")  # a disk that is full must not take the earlier one
    try:
        Image.fromarray(pixels).save(unfinished, "PNG", pnginfo=signature)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _signature(command: str) -> str:
    return f"penstock {command}"
