"""Options and arguments that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

LARGEST_PX = 16_384  # of an image's side


def number_or_auto(text: str) -> str:
    """Workers; for `callback=`."""
    if text != "auto" and not text.isdecimal():
        raise typer.BadParameter('should be "auto" or a number from 0 on.')
    return text


def ends_in(*endings: str) -> Callable[[Path | None], Path | None]:
    """For `callback=` of a file's option: its name's end says what is written."""

    def checked(path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() not in endings:
            raise typer.BadParameter(f"should be a file that ends in {' or '.join(endings)}.")
        return path

    return checked


def one_of(*names: str) -> Callable[[str | None], str | None]:
    """For `callback=` of a name's option."""

    def checked(name: str | None) -> str | None:
        if name is not None and name not in names:
            raise typer.BadParameter(f"should be one of {', '.join(names)}.")
        return name

    return checked


def _size(size: tuple[int, int]) -> tuple[int, int]:
    if not all(0 < side <= LARGEST_PX for side in size):
        raise typer.BadParameter(f"should be two numbers of pixels from 1 to {LARGEST_PX}.")
    return size


ClassFolders = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The images, one folder per class.")
]
AnyImages = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", exists=True, file_okay=False, help="The images, flat or in class folders, at any depth."
    ),
]
Size = Annotated[
    tuple[int, int], typer.Option(metavar="HEIGHT WIDTH", callback=_size, help="Pixels that images are resized to.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images in a batch.")]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="The store, as MLflow writes it. Left out: MLFLOW_TRACKING_URI, else mlflow.db in this folder.",
    ),
]
