"""What is compared with what, and what it should reach."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from penstock.bench._border import small_model
from penstock.bench._busy_rows import busy_main
from penstock.bench._claim import EXTRA, SHARE, SPEED_UP, Claim
from penstock.bench._feeds import from_penstock, in_this_thread, in_threads, rate_side
from penstock.bench._measure import Pace, Side
from penstock.bench._row import Row, file_settings, pace_of
from penstock.bench._scale import Scale
from penstock.bench._workloads import WORKERS, InFiles, InMemory
from penstock.image._decode import DECODES, Loading, decode_all

KERAS = "Keras"


def memory_uint8(scale: Scale) -> Row:
    """Bytes in memory to floats in -1 to 1, against Keras with the usual Python function."""
    data = scale.memory
    return Row(
        "memory-uint8",
        f"{data.side_px}x{data.side_px} uint8 in memory",
        (
            rate_side(KERAS, in_this_thread(data.keras_flow), Pace()),
            _ours("penstock", data),
            rate_side(
                "penstock, Python function",
                from_penstock(lambda: data.penstock_flow(WORKERS, python_function=True)),
                pace_of(WORKERS),
            ),
        ),
        (
            Claim("compiled rescale and centre", "penstock", KERAS, SPEED_UP, 40),
            Claim("the same Python function", "penstock, Python function", KERAS, SPEED_UP),
        ),
        asdict(data),
        "Keras scales by `preprocessing_function=lambda image: image / 127.5 - 1`; penstock by rescale=1/127.5 and "
        "featurewise_center with mean 1, which gives the same values, and in the second line by Keras's function.",
    )


def memory_float32(scale: Scale) -> Row:
    """Floats in memory, no scaling on either side."""
    data = scale.memory_float
    return Row(
        "memory-float32",
        f"{data.side_px}x{data.side_px} float32 in memory",
        (rate_side(KERAS, in_this_thread(data.keras_flow), Pace()), _ours("penstock", data)),
        (Claim("", "penstock", KERAS, SPEED_UP, 25),),
        asdict(data),
        "Images and batches are in 0 to 1 on both sides; nothing is scaled.",
    )


def files(scale: Scale) -> Row:
    """JPEG files, against Keras alone and in two threads."""
    data = scale.files
    return Row(
        "files",
        f"JPEG files to {data.target_px}x{data.target_px}",
        (
            rate_side(KERAS, in_this_thread(data.keras_flow), Pace()),
            rate_side("Keras, 2 threads", in_threads(data.keras_flow, 2), Pace(lanes=2)),
            _ours("penstock", data),
        ),
        (
            Claim("against Keras", "penstock", KERAS, SPEED_UP, 10),
            Claim("against Keras in 2 threads", "penstock", "Keras, 2 threads", SPEED_UP, 6),
        ),
        file_settings(scale.files),
        "Files are in the page cache. Keras in 2 threads is its iterator drawn by a ThreadPoolExecutor, faster than "
        "its OrderedEnqueuer, which loses 0.1 s at each epoch's end.",
    )


def fast_decoding(scale: Scale) -> Row:
    """What scaled decoding brings to photographs that are much larger than the target."""
    data = scale.large_files
    exact, fast = "decode='exact'", "decode='fast'"
    return Row(
        "fast-decoding",
        f"JPEG files of 12 million pixels to {data.target_px}x{data.target_px}",
        (_ours(exact, data), _ours(fast, replace(data, decode="fast"))),
        (Claim("decode='fast' over 'exact'", fast, exact, SHARE, 3),),
        {**file_settings(data), "mean_pixel_difference": mean_pixel_difference(data)},
        "Mosaics of photographs at twice their size. The record holds the mean difference of the pixels, of 0 to 255, "
        "before augmentation.",
    )


def mean_pixel_difference(data: InFiles) -> float:
    """How far fast decoding is from exact decoding, in levels of 0 to 255, over 8 files at most."""
    paths = data.listed()[0][:8]
    blobs = [Path(path).read_bytes() for path in paths]
    exact, fast = (
        decode_all(blobs, paths, Loading((data.target_px, data.target_px), decode=decode)) for decode in DECODES
    )
    images = range(len(paths))
    return float(np.mean([np.abs(exact.resized(k).astype(int) - fast.resized(k)).mean() for k in images]))


def second_thread(scale: Scale) -> Row:
    """What the second worker brings."""
    return Row(
        "second-thread",
        "2 workers over 1",
        tuple(
            _ours(f"{place}, {workers} worker{'s' * (workers > 1)}", data, workers)
            for place, data in (("memory", scale.memory), ("files", scale.files))
            for workers in (1, 2)
        ),
        tuple(Claim(place, f"{place}, 2 workers", f"{place}, 1 worker", SHARE, 1.8) for place in ("memory", "files")),
        {"memory": asdict(scale.memory), "files": file_settings(scale.files)},
    )


def epoch_border(scale: Scale) -> Row:
    """What feeding adds to the first step of an epoch."""
    border = scale.border
    model = small_model(border.training.side_px)
    constant, ours = "constant batch", "penstock"
    return Row(
        "epoch-border",
        "First step of an epoch, with validation",
        (
            border.side(constant, model, border.constant, border.epochs),
            border.side(KERAS, model, border.keras, border.keras_epochs),
            border.side(ours, model, border.penstock(WORKERS), border.epochs),
        ),
        (Claim("penstock", ours, constant, EXTRA, 10), Claim("Keras", KERAS, constant, EXTRA)),
        asdict(border),
        "From on_epoch_begin to the end of the first training step, on the backend that the settings name; each "
        "reading is the median over a fit's epochs after the first.",
    )


ROWS = {
    "memory-uint8": memory_uint8,
    "memory-float32": memory_float32,
    "files": files,
    "second-thread": second_thread,
    "busy-main": busy_main,
    "epoch-border": epoch_border,
}
READS_FILES = frozenset({"files", "second-thread", "busy-main"})


def _feed(data: InMemory | InFiles, workers: int) -> Any:
    return from_penstock(lambda: data.penstock_flow(workers))


def _ours(name: str, data: InMemory | InFiles, workers: int = WORKERS) -> Side:
    return rate_side(name, _feed(data, workers), pace_of(workers))
