"""What is wrong with one image file, before training finds out."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

from penstock._errors import ImageError
from penstock.image._cut_short import is_cut_short
from penstock.image._decode import declared_pixels, decode_alone
from penstock.image._formats import FORMAT_OF_EXTENSION, HEAD_BYTES, image_format, other_content
from penstock.sources._files import image_extension
from penstock.sources._read import read_file, read_head

_BYTES_PER_PIXEL = 3


class Problem(StrEnum):
    """What may be wrong with a file; one file may have several. Training fails on the first three."""

    EMPTY = "empty"
    """The file has no bytes."""
    UNREADABLE = "unreadable"
    """It is no image, is damaged beyond reading, may not be read, or is refused."""
    TRUNCATED = "truncated"
    """Its data end early."""
    DAMAGED = "damaged"
    """It is read, but the decoder says that data are corrupt: parts of the picture are lost."""
    MISLABELLED = "mislabelled"
    """Its content is another format than its name says."""
    LARGE = "large"
    """It declares more pixels than is usual, or has more bytes than so many pixels take."""
    IGNORED = "ignored"
    """It is an image, and flows leave it out for its name."""


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one file.

    Attributes:
        path: as it was given, whatever its bytes; `os.fsencode` makes them of it.
        problem: what kind of thing.
        detail: in words, one line.
    """

    path: str
    problem: Problem
    detail: str


@dataclass(frozen=True)
class CheckedFile:
    """A file that was looked at.

    Attributes:
        path: of the file.
        is_image: whether flows take it for an image, which its name decides.
        size_bytes: of the file; 0 for one that could not be read, and for one that was not read whole.
        findings: what is wrong with it; none if all is well.
    """

    path: str
    is_image: bool
    size_bytes: int
    findings: tuple[Finding, ...]


def check_file(path: str, max_pixels: int, hold: Callable[[int], AbstractContextManager[object]]) -> CheckedFile:
    """Read and decode a file as training does.

    Args:
        path: of the file.
        max_pixels: what declares more is large.
        hold: asked for a context to decode so many pixels in; it may wait.
    """
    extension = image_extension(os.path.basename(path))
    if extension is None:
        return _check_ignored(path)

    def checked(size_bytes: int, *problems: tuple[Problem, str]) -> CheckedFile:
        return CheckedFile(path, True, size_bytes, tuple(Finding(path, *problem) for problem in problems))

    try:
        blob = read_file(path)
    except OSError as error:
        return checked(0, (Problem.UNREADABLE, _why_unread(error)))
    if not blob:
        return checked(0, (Problem.EMPTY, "it has no bytes"))

    problems = []
    content, pixels = image_format(blob), declared_pixels(blob)
    instead = other_content(blob) if content is None else None
    failed = False
    try:
        with hold(pixels or 0):
            complaint = decode_alone(blob, path)
        if complaint is not None:
            problems.append((Problem.DAMAGED, complaint))
    except ImageError as error:
        failed = True
        words = _decoder_words(error) if instead is None else f"it is {instead}, no image"
        kind = Problem.TRUNCATED if is_cut_short(blob, content, words) else Problem.UNREADABLE
        problems.append((kind, words))
    promised = FORMAT_OF_EXTENSION[extension]
    holds = content or instead
    # Bytes that are neither an image nor anything else that is known are damaged, rather than wrongly named.
    if content != promised and (holds is not None or not failed):
        problems.append((Problem.MISLABELLED, f"the name says {promised}, and it holds {holds or 'another format'}"))
    if pixels is not None and pixels > max_pixels:
        problems.append((Problem.LARGE, f"it declares {pixels / 1e6:,.1f} megapixels"))
    elif len(blob) > max_pixels * _BYTES_PER_PIXEL:
        problems.append((Problem.LARGE, f"it has {len(blob) / 1e6:,.1f} MB"))
    return checked(len(blob), *problems)


def _check_ignored(path: str) -> CheckedFile:
    """Whether a file whose name flows do not take for an image's is one."""
    try:
        content = image_format(read_head(path, HEAD_BYTES))
    except OSError:  # nobody says that it should be an image
        content = None
    if content is None:
        return CheckedFile(path, False, 0, ())
    extensions = [extension for extension, name in FORMAT_OF_EXTENSION.items() if name == content]
    repair = f"rename it to end in .{extensions[0]}" if extensions else "flows do not read that: convert it"
    finding = Finding(path, Problem.IGNORED, f"it holds {content}; {repair}")
    return CheckedFile(path, False, 0, (finding,))


def _why_unread(error: OSError) -> str:
    """The first sentence; what follows it is for those who have a flow."""
    return (error.strerror or str(error)).partition(". ")[0]


def _decoder_words(error: ImageError) -> str:
    cause = error.__cause__
    words = " ".join(str(cause).partition(" <_io.BytesIO")[0].split())  # Pillow's words for the file
    return words or type(cause).__name__
