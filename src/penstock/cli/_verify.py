"""What `penstock verify` does, step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from penstock.batches._structure import flatten
from penstock.cli._endings import FOUND, CommandError
from penstock.cli._quiet import quiet_decoders
from penstock.cli._verify_report import Difference, VerifyReport
from penstock.feeding._digest import BatchDigest, digest_of
from penstock.sources._files import EXTENSIONS

_MADE_IMAGES, _MADE_CLASSES = 96, 3


@dataclass(frozen=True)
class VerifyOptions:
    """What the user chose.

    Attributes:
        directory: the images, in class folders or flat; None for images that are made.
        size: height and width that images are loaded in, in pixels.
        batch_size: images in a batch.
        seed: of what is drawn.
        augment: settings of `ImageDataGenerator`, by name.
        workers: threads, and processes.
        batches: of the first epoch; 0 for all.
    """

    directory: Path | None
    size: tuple[int, int]
    batch_size: int
    seed: int
    augment: Mapping[str, Any]
    workers: int
    batches: int = 0


@dataclass(frozen=True)
class Way:
    """A way to make batches.

    Attributes:
        name: for people.
        feeding: keywords of a flow.
    """

    name: str
    feeding: Mapping[str, Any]


def ways(workers: int) -> tuple[Way, ...]:
    """Those that are compared, the first one with each of the others."""
    return (
        Way("one after the other", {"workers": 0}),
        Way(f"{workers} threads", {"workers": workers, "use_multiprocessing": False}),
        Way(f"{workers} processes", {"workers": workers, "use_multiprocessing": True}),
    )


OpenFlow = Callable[[VerifyOptions, Path, Way], Any]


def open_flow(options: VerifyOptions, directory: Path, way: Way) -> Any:
    """A flow of class folders, or of images that lie in none.

    Raises:
        CommandError: there are no images, or a setting is out of range.
    """
    from penstock.keras._image_data_generator import ImageDataGenerator

    try:
        generator = ImageDataGenerator(**options.augment)
    except (ValueError, TypeError) as error:
        raise CommandError(f"--augment: {error}") from None
    settings: dict[str, Any] = {
        "target_size": options.size,
        "batch_size": options.batch_size,
        "seed": options.seed,
        **way.feeding,
    }
    with suppress(ValueError):
        return generator.flow_from_directory(directory, **settings)
    with suppress(ValueError):
        return generator.flow_from_directory(directory, classes=["."], class_mode=None, **settings)
    raise CommandError(
        f"DIR should hold images, in class folders or flat, in files whose names end in {', '.join(EXTENSIONS)}. "
        f"{str(directory)!r} holds none (hidden folders do not count)."
    )


def run_verify(options: VerifyOptions, report: VerifyReport, opened: OpenFlow = open_flow) -> int:
    """Make the same epoch in every way, compare, and print the digest.

    Args:
        options: what the user chose.
        report: says it.
        opened: makes a flow.

    Returns:
        0 where all bytes are the same, else 1.

    Raises:
        CommandError: there are no images, or a setting is out of range.
        PenstockError: a batch cannot be made; it names the file.
        KeyboardInterrupt: on Ctrl-C; nothing is left behind.
    """
    with _images(options.directory) as directory, quiet_decoders():
        first: list[str] = []
        total = ""
        found: list[Difference] = []
        for number, way in enumerate(ways(options.workers)):
            with opened(options, directory, way) as flow:
                count = min(options.batches or len(flow), len(flow))
                if not number:
                    report.heading(options, flow.n, count, made=options.directory is None)
                began = perf_counter()
                with report.progress(f"Making batches, {way.name}", count) as advance:
                    made, digest = _digests(flow, count, advance)
                report.made(way.name, count, perf_counter() - began)
            if not number:
                first, total = made, digest
                continue
            differs = [at for at, (one, other) in enumerate(zip(first, made, strict=True)) if one != other]
            if differs:
                found.append(Difference(way.name, differs[0], len(differs)))
        report.verdict(total, found, count)
        return FOUND if found else 0


def _digests(flow: Any, count: int, advance: Callable[[], object]) -> tuple[list[str], str]:
    """Of the stream's next batches, one by one, and of all of them: what `flow.digest()` would say."""
    each, whole = [], BatchDigest()
    for _ in range(count):
        arrays = flatten(next(flow))[1]
        each.append(digest_of(arrays))
        whole.add(arrays)
        advance()
    return each, whole.hex


@contextmanager
def _images(directory: Path | None) -> Iterator[Path]:
    """The user's folder, or one with images that are the same on every machine: PNG, since that is lossless."""
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="penstock-verify-") as made:
        rows, columns = np.mgrid[:90, :120]
        for number in range(_MADE_IMAGES):
            noise = np.random.default_rng(number).integers(0, 64, (90, 120, 3))
            waves = (rows * (1 + number % 5) + columns * (1 + number % 7))[:, :, None] * [1, 2, 3] % 192
            path = Path(made, f"class {number % _MADE_CLASSES}", f"{number:03d}.png")
            path.parent.mkdir(exist_ok=True)
            Image.fromarray((waves + noise).astype(np.uint8)).save(path, compress_level=1)
        yield Path(made)
