"""The files of a study: a record, a page and two pictures, which replace those of an earlier study and nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from penstock.bench.study._page import GENERATOR, page
from penstock.bench.study._plot import THEMES, picture
from penstock.bench.study._record import MADE_BY, StudyRecord
from penstock.cli._endings import CommandError, in_the_way

_HEAD_BYTES = 2000


@dataclass(frozen=True)
class BenchFiles:
    """Where a study is written to.

    Attributes:
        record: ends with ".json"; the others are named after it.
    """

    record: Path

    @property
    def page(self) -> Path:
        """One page of HTML, which needs no other file."""
        return self.record.with_suffix(".html")

    def picture(self, theme: str) -> Path:
        """For light or for dark pages."""
        return self.record.with_name(f"{self.record.stem}-{theme}.png")

    def check(self, data: Path | None) -> None:
        """Make sure that all of them can be written; the folder is made.

        Args:
            data: the user's images, among which they must not lie.

        Raises:
            CommandError: something is in the way, or the folder is one of the user's images.
            OSError: the folder cannot be written to; it names it.
        """
        folder = self.record.parent
        if data is not None and folder.resolve().is_relative_to(data.resolve()):
            raise CommandError(f"--out should not lie in DIR, and {str(self.record)!r} does. Choose another --out.")
        expected = [(self.record, _is_our_record), (self.page, _is_our_page)]
        expected += [(self.picture(theme), _is_our_picture) for theme in THEMES]
        for path, is_ours in expected:
            if os.path.lexists(path) and not is_ours(path):
                raise in_the_way(path, "bench")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error

    def save(self, record: StudyRecord) -> None:
        """Write all of them; the record first, since it holds what cannot be made again."""
        _replace(self.record, record.to_json().encode("utf-8"))
        pictures = {theme: picture(record, theme) for theme in THEMES}
        for theme, content in pictures.items():
            _replace(self.picture(theme), content)
        _replace(self.page, page(record, pictures).encode("utf-8"))


def _replace(path: Path, content: bytes) -> None:
    # A disk that is full must not take the earlier one, nor another study that is written at the same time.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _readable(check: Callable[[Path], bool]) -> Callable[[Path], bool]:
    def checked(path: Path) -> bool:
        try:
            return check(path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return False

    return checked


@_readable
def _is_our_record(path: Path) -> bool:
    with path.open("rb") as file:
        return f'"made_by": "{MADE_BY}"'.encode() in file.read(_HEAD_BYTES)


@_readable
def _is_our_page(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_HEAD_BYTES)


@_readable
def _is_our_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return image.info.get("Software") == MADE_BY
