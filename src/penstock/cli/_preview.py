"""What `penstock preview` does."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from penstock.batches._images import ImageBatches
from penstock.batches._preview import alone, preview, spread
from penstock.batches._randomness import CounterRandomness
from penstock.batches._tolerance import Tolerance
from penstock.cli._endings import CommandError
from penstock.cli._picture import check_picture, save_picture
from penstock.cli._quiet import quiet_decoders
from penstock.cli._terminal import counted, printable
from penstock.image._augment import Augmentation, ShiftRange
from penstock.image._decode import CHANNELS, Loading
from penstock.image._render import Rendering
from penstock.sources._files import EXTENSIONS, FileSource, image_extension
from penstock.sources._walk import list_files


@dataclass(frozen=True)
class PreviewOptions:
    """What the user chose. Ranges are those of `ImageDataGenerator`.

    Attributes:
        directory: the images.
        out: the picture's file, a PNG.
        rows, columns: samples, and epochs.
        explain: show the originals, and write what was drawn.
        size: height and width that images are loaded in, in pixels.
        seed: of what is drawn.
    """

    directory: Path
    out: Path
    rows: int
    columns: int
    explain: bool
    size: tuple[int, int]
    seed: int
    rotation_range: float
    width_shift_range: float
    height_shift_range: float
    zoom_range: float
    shear_range: float
    brightness_range: tuple[float, float] | None
    channel_shift_range: float
    horizontal_flip: bool
    vertical_flip: bool
    fill_mode: str


def run_preview(options: PreviewOptions, say: Callable[[str], object]) -> None:
    """Make the picture; needs no Keras.

    For class folders it is that of `flow_from_directory(...).preview()` with the same settings and seed.

    Args:
        options: what the user chose.
        say: prints a line.

    Raises:
        CommandError: the folder holds no image, a value is out of range, or the picture may not be written there.
        PenstockError: none of the images can be read.
    """
    if options.out.resolve().is_relative_to(options.directory.resolve()):
        # The picture would be one more of the images at the next run, and in training.
        raise CommandError(f"--out should not lie in DIR, and {str(options.out)!r} does. Choose another --out.")
    check_picture(options.out, "preview")
    augmentation = _augmentation(options)
    listed = list_files(options.directory)
    if listed.unlisted:
        raise listed.unlisted[0]
    paths = [path for path in listed.paths if image_extension(os.path.basename(path)) is not None]
    if not paths:
        raise CommandError(
            f"DIR should hold images, in files whose names end in {', '.join(EXTENSIONS)}. {str(options.directory)!r} "
            f"holds {counted(len(listed.paths), 'other file')} (hidden folders do not count)."
        )
    paths.sort(key=lambda path: os.path.relpath(path, options.directory).split(os.sep)[:-1][:1])  # by class, as flows
    loading = Loading(options.size)
    maker = ImageBatches(
        FileSource(tuple(paths)),
        (*options.size, CHANNELS[loading.color_mode]),
        np.dtype(np.float32),
        1,
        Rendering(augmentation),
        CounterRandomness(augmentation, options.seed, len(paths), shuffle=False),
        loading=loading,
        tolerance=Tolerance("substitute"),
    )
    samples = spread(np.arange(len(paths)), options.rows)
    with quiet_decoders():
        picture = preview(maker, samples, range(options.columns), alone, list, explained=options.explain)
    save_picture(np.asarray(picture), options.out, "preview")
    say(
        f"{counted(len(samples), 'image')} of {len(paths):,}, as {counted(options.columns, 'epoch')} would show "
        f"{'it' if len(samples) == 1 else 'them'}: {printable(str(options.out), sys.stdout.encoding)}"
    )


def _augmentation(options: PreviewOptions) -> Augmentation:
    try:
        return Augmentation(
            rotation_deg=options.rotation_range,
            shift_horizontal=ShiftRange.parse(options.width_shift_range, "width_shift_range"),
            shift_vertical=ShiftRange.parse(options.height_shift_range, "height_shift_range"),
            shear_deg=options.shear_range,
            zoom=(1 - options.zoom_range, 1 + options.zoom_range),
            flip_horizontal=options.horizontal_flip,
            flip_vertical=options.vertical_flip,
            channel_shift=options.channel_shift_range,
            brightness=options.brightness_range,
            fill_mode=options.fill_mode,
        )
    except ValueError as error:
        raise CommandError(_by_option(str(error))) from None


def _by_option(complaint: str) -> str:
    """An error's text, with options named as they are typed."""
    return re.sub(r"`(\w+)`", lambda found: f"--{found[1].replace('_', '-')}", complaint)
