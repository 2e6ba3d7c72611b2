"""What an image costs a core of this machine, for `penstock plan`: a few sizes and qualities of the same images."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median, stdev
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from penstock import ImageDataGenerator, __version__
from penstock.bench._errors import BenchError
from penstock.feeding._cpus import cpu_name, usable_cpus
from penstock.planning._rates import Rates, Reading

_ROUNDS = 3
_PACKAGES = ("numpy", "numba", "pillow", "simplejpeg")


@dataclass(frozen=True)
class Size:
    """One that is measured.

    Attributes:
        scale: of the images' sides.
        quality: of the JPEG files they are written to; None to leave the images as they are.
        target_px: side of the square that they are resized to.
        batch_size: images in a batch.
    """

    scale: float
    quality: int | None
    target_px: int
    batch_size: int


def sizes(target_px: int) -> tuple[Size, ...]:
    """Those that tell pixels from bytes, both from what an image costs anyway, and a batch from its images."""
    half_px = max(8, target_px // 2)
    return (
        Size(1, None, target_px, 32),
        Size(0.5, 90, target_px, 32),
        Size(1, 97, target_px, 32),
        Size(1, 60, target_px, 32),
        Size(2, 90, target_px, 16),
        Size(1, None, half_px, 32),
        Size(0.5, 97, half_px, 32),
        Size(1, None, target_px, 2),
    )


def measure_rates(
    paths: Sequence[Path],
    target_px: int,
    seconds: float,
    settings: Mapping[str, Any],
    images: str,
    tell: Callable[[str], object] = lambda _: None,
) -> Rates:
    """Make batches of a few sizes on all usable cores, each in a thread of its own.

    Args:
        paths: image files, a few dozen.
        target_px: side of the square that they are resized to.
        seconds: to measure for, about.
        settings: keywords of `ImageDataGenerator`.
        images: which they are, in words.
        tell: called with what is done.

    Raises:
        BenchError: one of the files is no image.
        BatchError, ImageError: one of them cannot be decoded.
    """
    return Rates(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu=cpu_name(),
        cores=usable_cpus(),
        versions={"penstock": __version__, **{name: version(name) for name in _PACKAGES}},
        settings=dict(settings),
        images=images,
        readings=measure_readings(paths, sizes(target_px), seconds, settings, tell),
    )


def measure_readings(
    paths: Sequence[Path],
    chosen: Sequence[Size],
    seconds: float,
    settings: Mapping[str, Any],
    tell: Callable[[str], object] = lambda _: None,
) -> tuple[Reading, ...]:
    """Make batches of some sizes, in turns; see `measure_rates`. Where there are fewer images, batches are smaller."""
    chosen = [replace(size, batch_size=min(size.batch_size, len(paths))) for size in chosen]
    with tempfile.TemporaryDirectory(prefix="penstock-plan-") as temporary, ExitStack() as opened:
        folders = {
            how: _written(paths, *how, Path(temporary, str(number)), tell)
            for number, how in enumerate(dict.fromkeys((size.scale, size.quality) for size in chosen))
        }
        lanes = [
            [
                opened.enter_context(_flow(folders[size.scale, size.quality], size, settings))
                for _ in range(usable_cpus())
            ]
            for size in chosen
        ]
        taken: list[list[_Batch]] = [[] for _ in chosen]
        for number in range(_ROUNDS + 1):
            for at, (size, flows) in enumerate(zip(chosen, lanes, strict=True)):
                tell(f"Measuring {size.scale:g} times the size to {size.target_px}x{size.target_px}")
                batches = _made(flows, seconds / (_ROUNDS * len(chosen)) if number else 0.0)
                if number:  # the first compiles, and reads from the disk
                    taken[at] += batches
        return tuple(
            _reading(size, _contents(folders[size.scale, size.quality]), batches)
            for size, batches in zip(chosen, taken, strict=True)
        )


class _Batch(NamedTuple):
    """CPU seconds of one batch, and what share of the time on the clock went into the transform."""

    cpu_s: float
    transform_share: float


def _written(
    paths: Sequence[Path], scale: float, quality: int | None, folder: Path, tell: Callable[[str], object]
) -> Path:
    """A folder of one class with the images in another size; returns it."""
    tell("Writing images in other sizes")
    (folder / "images").mkdir(parents=True)
    for number, path in enumerate(paths):
        try:
            if quality is None:
                (folder / "images" / f"{number}{path.suffix.lower()}").write_bytes(path.read_bytes())
                continue
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise BenchError(f"{str(path)!r} cannot be read as an image: {error}. Remove it, or mend it") from error
        width, height = (max(1, round(scale * side)) for side in image.size)
        image.resize((width, height), Image.Resampling.LANCZOS).save(
            folder / "images" / f"{number}.jpg", quality=quality
        )
    return folder


def _contents(folder: Path) -> tuple[float, float]:
    """Mean pixels of an image, and mean bytes of its file."""
    pixels, nbytes = [], []
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            pixels.append(image.width * image.height)
        nbytes.append(path.stat().st_size)
    return fmean(pixels), fmean(nbytes)


@contextmanager
def _flow(folder: Path, size: Size, settings: Mapping[str, Any]) -> Iterator[Any]:
    with ImageDataGenerator(**settings).flow_from_directory(
        str(folder), (size.target_px, size.target_px), batch_size=size.batch_size, seed=0, workers=0
    ) as flow:
        yield flow


def _made(flows: Sequence[Any], seconds: float) -> list[_Batch]:
    """Batches of all flows, each drained by a thread, for so long."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(flows)) as threads:
        try:
            drained = [threads.submit(_drained, flow, perf_counter() + seconds, stop) for flow in flows]
            return [batch for future in drained for batch in future.result()]
        finally:
            stop.set()  # on Ctrl-C, and where one has failed, the others end with their batch


def _drained(flow: Any, end_s: float, stop: threading.Event) -> list[_Batch]:
    batches: list[_Batch] = []
    before = flow.stats
    while not stop.is_set() and (not batches or perf_counter() < end_s):
        x, _ = next(flow)
        after = flow.stats
        if len(x) == flow.batch_size:  # the epoch's last one may hold fewer
            wall = {stage: after.make_s[stage] - before.make_s.get(stage, 0.0) for stage in after.make_s}
            share = wall.get("transform", 0.0) / max(sum(wall.values()), 1e-12)
            batches.append(_Batch(after.cpu_s - before.cpu_s, share))
        before = after
    return batches


def _reading(size: Size, contents: tuple[float, float], batches: Sequence[_Batch]) -> Reading:
    seconds = [batch.cpu_s for batch in batches]
    # Stages are timed by the clock on the wall, which goes on while somebody else has the core. So they share out the
    # CPU's time, by medians: of one batch, the whole of such a pause may lie in one stage.
    cpu_s, share = median(seconds), median(batch.transform_share for batch in batches)
    low, high = np.quantile(seconds, (0.05, 0.95))
    usual = [value for value in seconds if low <= value <= high] or seconds
    return Reading(
        batch_size=size.batch_size,
        source_px=contents[0],
        source_bytes=contents[1],
        target_px=float(size.target_px**2),
        decode_s=cpu_s * (1 - share),
        transform_s=cpu_s * share,
        spread=stdev(usual) / fmean(usual) if len(usual) > 1 else 0.0,
        batches=len(batches),
    )
