"""What the kernels make of a pixel, beside one another and beside the same work in C++."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter

import numpy as np

from penstock._types import Array
from penstock.bench._claim import SHARE, Claim
from penstock.bench._measure import Reading, Side
from penstock.bench._row import Row
from penstock.bench._scale import Scale
from penstock.bench._yardstick import COMPILER, Warp, yardstick
from penstock.image import _kernels
from penstock.image._augment import Augmentation
from penstock.image._draw import Transforms, draw
from penstock.image._geometry import FILL_MODES
from penstock.image._pixels import Pixels
from penstock.image._render import Rendering, render
from penstock.image._standardize import Standardization

_TURNED = Augmentation(rotation_deg=45, zoom=(0.8, 1.2), flip_horizontal=True)


@dataclass(frozen=True)
class Work:
    """Images in memory that one thread renders again and again.

    Attributes:
        pixels: in a call, of as many images as that makes.
        side_px, channels, dtype: of the images; float32 comes out.
        augmentation, standardization: what happens to them.
    """

    pixels: int
    side_px: int
    channels: int = 3
    dtype: str = "uint8"
    augmentation: Augmentation = _TURNED
    standardization: Standardization = field(default_factory=Standardization)

    @property
    def count(self) -> int:
        """Images in a call."""
        return max(1, self.pixels // self.side_px**2)

    @cached_property
    def images(self) -> Array:
        """Noise, since no kernel's time depends on the values."""
        shape = (self.count, self.side_px, self.side_px, self.channels)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8).astype(self.dtype)

    @cached_property
    def out(self) -> Array:
        """Memory that is there before the clock starts."""
        return np.ones(self.images.shape, np.float32)

    @cached_property
    def transforms(self) -> Transforms:
        """A row for each image."""
        return draw(self.augmentation, 0, 0, np.arange(self.count), self.side_px, self.side_px)

    def ours(self) -> None:
        """By penstock."""
        pixels = Pixels.of_array(self.images, np.arange(self.count), channels_first=False)
        render(Rendering(self.augmentation, self.standardization), pixels, self.transforms, self.out)

    def by(self, warp: Warp) -> Callable[[], None]:
        """By the yardstick."""
        affines = np.empty((self.count, 8))
        _kernels.affine_rows(self.transforms, self.side_px, self.side_px, False, affines)
        return lambda: warp(self.images, affines, self.out)

    def side(self, name: str, run: Callable[[], None] | None = None) -> Side:
        """Millions of finished pixels per second of one thread."""
        run = run or self.ours

        def measure(seconds: float) -> Reading:
            run()
            began, calls = perf_counter(), 0
            while True:
                run()
                calls += 1
                wall_s = perf_counter() - began
                if wall_s >= seconds:
                    images = calls * self.count
                    return Reading(images * self.side_px**2 / wall_s / 1e6, wall_s, images)

        return Side(name, "Mpx/s", measure)


def kernels(scale: Scale) -> Row:
    """All kinds of images and settings over uint8 RGB, and that over C++ if there is a yardstick."""
    large, small = Work(scale.kernel_pixels, 299), Work(scale.kernel_pixels, 32)
    rgb, little = "uint8 RGB, 299x299", "uint8 RGB, 32x32"
    sides = [large.side(rgb), small.side(little)]
    claims = []
    if scale.yardstick is not None:
        warp = yardstick(scale.yardstick)
        sides += [large.side("C++, 299x299", large.by(warp)), small.side("C++, 32x32", small.by(warp))]
        claims += [
            Claim("uint8 RGB, 299x299, over C++", rgb, "C++, 299x299", SHARE, round(1 / 1.35, 2)),
            Claim("uint8 RGB, 32x32, over C++", little, "C++, 32x32", SHARE, round(1 / 1.8, 2)),
        ]
    for name, work, share in _others(large):
        sides.append(work.side(name))
        claims.append(Claim(f"{name} over uint8 RGB", name, rgb, SHARE, share))
    return Row(
        "kernels",
        "Kernels, one thread",
        tuple(sides),
        tuple(claims),
        {"pixels_per_call": scale.kernel_pixels, "yardstick": " ".join(COMPILER) if scale.yardstick else None},
        "Rotation, zoom and flips from memory to memory; 1000 divided by the rate is nanoseconds a pixel.",
    )


KERNEL_ROWS = {"kernels": kernels}


def _others(large: Work) -> Iterator[tuple[str, Work, float | None]]:
    """Name, work, and the least share of the rate of uint8 RGB."""
    yield "1 channel", replace(large, channels=1), 1
    yield "4 channels", replace(large, channels=4), 0.4
    yield "float32 RGB", replace(large, dtype="float32"), 0.4
    yield "interpolation_order=0", replace(large, augmentation=replace(_TURNED, order=0)), 0.67
    for mode in FILL_MODES[1:]:
        yield f'fill_mode="{mode}"', replace(large, augmentation=replace(_TURNED, fill_mode=mode)), 0.67
    yield "channel shift", replace(large, augmentation=replace(_TURNED, channel_shift=20.0)), None
    means = Standardization(1 / 127.5, mean=np.ones(1), std=np.ones(1))
    yield "rescale, featurewise centre and std", replace(large, standardization=means), None
    own = Standardization(1 / 255, sample_centre=True, sample_scale=True)
    yield "rescale, samplewise centre and std", replace(large, standardization=own), None
    yield "flips alone", replace(large, augmentation=Augmentation(flip_horizontal=True, flip_vertical=True)), None
