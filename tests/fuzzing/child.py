"""Reads damaged files in a process of its own, so that a crash, a hang or too much memory ends nothing else.

`python -m fuzzing.child FIRST COUNT FOLDER` prints a line of JSON before each file and one after it.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fuzzing.damage import damaged
from fuzzing.valid import valid_files
from penstock import ImageDataGenerator, ImageError
from penstock.image._decode import CHANNELS, Loading, decode_groups
from penstock.image._pixels import Pixels
from penstock.sources._files import FileSource

ADDRESS_SPACE = 6 << 30
MEMORY = 1 << 30  # more than a file may take
SECONDS = 30.0  # longer than a file may take; with room for a machine that is busy with other things
FLOW_EVERY = 25
_SIDES = (24, 20)
# What Keras would read, if it has the memory and the time.
REFUSED_ON_PURPOSE = ("pixels a side", "it is cut short", "take minutes", "no frame header", "PostScript")


def memory(key: str) -> int:
    """Bytes: "VmRSS" now, "VmHWM" at most since `forget_peak`."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


def forget_peak() -> None:
    """Begin a new measurement of the highest use of memory."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # no Linux, or not allowed: the peak is that since the start, and says no less
        return


def loading_of(draw: np.random.Generator) -> Loading:
    """Mostly as training has it, now and then any other way."""
    if draw.random() < 0.4:
        return Loading(_SIDES)
    interpolation = str(draw.choice(["nearest", "nearest", "bilinear", "lanczos"]))
    color_mode = str(draw.choice(sorted(CHANNELS)))
    return Loading(_SIDES if draw.random() < 0.7 else None, color_mode, interpolation, bool(draw.integers(2)))


def decode(path: str, loading: Loading) -> Pixels | ImageError:
    """The file's pixels as a flow's workers get them, or the error; whatever else comes is let through."""
    try:
        ((_, pixels),) = decode_groups(FileSource((path,)).read(np.arange(1)), [path], loading)
    except ImageError as error:
        return error
    return pixels


def unpack(pixels: Pixels, loading: Loading) -> np.ndarray:
    """The image in float32, of the shape that was asked for."""
    found = pixels.resized(0)
    assert found.dtype in (np.uint8, np.float32)
    assert found.ndim == 3
    assert found.shape[2] == CHANNELS[loading.color_mode]
    assert loading.target_size in (None, found.shape[:2])
    assert found.size
    return found.astype(np.float32)


def read(path: str, loading: Loading) -> np.ndarray | ImageError:
    """Decode and unpack."""
    pixels = decode(path, loading)
    return pixels if isinstance(pixels, ImageError) else unpack(pixels, loading)


def kerass(path: str, loading: Loading) -> np.ndarray | Exception:
    """What Keras makes of a file."""
    try:
        image = keras.utils.load_img(
            path, loading.color_mode, loading.target_size, loading.interpolation, loading.keep_aspect_ratio
        )
        return np.asarray(keras.utils.img_to_array(image, "channels_last"))
    except Exception as error:
        return error


def through_a_flow(path: Path, workers: int) -> None:
    """The file among good ones: a batch, or an error after which the flow goes on when the file is mended."""
    good = valid_files()["RGB.png"]
    (path.parent / "a good one.png").write_bytes(good)
    (path.parent / "z good one.png").write_bytes(good)
    options: dict[str, Any] = {"target_size": _SIDES, "batch_size": 3, "class_mode": None, "shuffle": False}
    with ImageDataGenerator().flow_from_directory(path.parent.parent, workers=workers, **options) as flow:
        number = flow.filepaths.index(str(path))
        try:
            assert next(flow).shape == (3, *_SIDES, 3)
        except ImageError as error:
            if (error.path, error.index) != (str(path), number):
                raise ValueError(f"the path or the index is missing: {error!r}, {error.index}") from error
            path.write_bytes(good)
            assert next(flow).shape == (3, *_SIDES, 3)


def result(seed: int, folder: Path) -> dict[str, Any]:
    """What came of one file."""
    name, blob, done = damaged(seed)
    path = folder / "class" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(blob)
    draw = np.random.default_rng([seed, 1])
    loading = loading_of(draw)
    forget_peak()
    before = memory("VmRSS")
    with warnings.catch_warnings():
        # Pillow warns of damage: here as an error, there not at all.
        warnings.simplefilter("error" if seed % 2 else "ignore")
        decoded = decode(str(path), loading)
        used = memory("VmHWM") - before
        found = decoded if isinstance(decoded, ImageError) else unpack(decoded, loading)
        expected = kerass(str(path), loading)
        warnings.simplefilter("ignore")
        if seed % FLOW_EVERY == 0:
            through_a_flow(path, workers=2 * (seed // FLOW_EVERY % 2))
    for file in path.parent.iterdir():
        file.unlink()
    bad = []
    if used > MEMORY:
        bad.append(f"it took {used >> 20} MiB")
    if isinstance(found, ImageError):
        if found.path != str(path) or repr(str(path)) not in str(found):
            bad.append(f"the path is missing: {found}")
        cause = found.__cause__
        if isinstance(cause, MemoryError):
            bad.append("the memory did not suffice")
        if not isinstance(expected, Exception) and not any(words in str(cause) for words in REFUSED_ON_PURPOSE):
            bad.append(f"Keras reads it: {found}")
        outcome = f"{type(cause).__name__}: {str(cause)[:60]}"
    else:
        outcome = "image"
        if isinstance(expected, Exception):
            bad.append(f"Keras does not read it: {expected!r}")
        elif found.shape != expected.shape or not np.array_equal(found, expected):
            bad.append("the pixels are not Keras's")
    return {"seed": seed, "file": name, "done": done, "outcome": outcome, "bytes": used, "bad": bad}


def main(first: int, count: int, folder: Path) -> None:
    """Read files, each within its limits."""
    faulthandler.enable()
    if sys.platform == "linux":  # others refuse it or take it for something else
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keras.config.disable_interactive_logging()
    read_first = folder / "first.png"
    read_first.write_bytes(valid_files()["RGB.png"])
    read(str(read_first), Loading(_SIDES))  # compiled before anything is measured
    for seed in range(first, first + count):
        print(json.dumps({"begins": seed}), flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            line = result(seed, folder)
        except Exception as error:
            line = {"seed": seed, "done": damaged(seed)[2], "outcome": "other", "bad": [repr(error)], "bytes": 0}
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
