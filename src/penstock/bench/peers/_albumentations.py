"""The random transforms in Albumentations, as its guide to speed has them: one Affine, bytes to the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import albumentations as A  # noqa: N812
import cv2

from penstock.bench._workloads import Ranges

# Else each worker's OpenCV keeps threads for all cores, and they get in one another's way.
cv2.setNumThreads(0)


def transforms(ranges: Ranges, target_px: int | None = None) -> list[Any]:
    """For `ranges`; resized to a square first, where one is given. Where nothing is to happen, no transform."""
    made: list[Any] = []
    if target_px is not None:
        made.append(A.Resize(target_px, target_px, interpolation=cv2.INTER_NEAREST))
    smallest, largest = ranges.zoom_range
    zoom = (1 / largest, 1 / smallest)  # zoom_range is a share of the image's side that is seen
    made.append(
        A.Affine(
            rotate=(-ranges.rotation_range, ranges.rotation_range),
            translate_percent={
                "x": (-ranges.width_shift_range, ranges.width_shift_range),
                "y": (-ranges.height_shift_range, ranges.height_shift_range),
            },
            scale={"x": zoom, "y": zoom},
            interpolation=cv2.INTER_LINEAR,
            border_mode=cv2.BORDER_REPLICATE,
            p=1.0,
        )
    )
    if ranges.channel_shift_range:
        # One shift for all channels, as in ImageDataGenerator; RGBShift draws three, in 170 us where this takes 53.
        limit = ranges.channel_shift_range / 255
        made.append(A.RandomBrightnessContrast(brightness_limit=limit, contrast_limit=0, p=1.0))
    if ranges.horizontal_flip:
        made.append(A.HorizontalFlip(p=0.5))
    return made


def read_rgb(path: str) -> Any:
    """An image file as `(height, width, 3)` bytes."""
    return cv2.imread(path, cv2.IMREAD_COLOR_RGB)


class Augment:
    """A composition that each thread and each process makes for itself, so that no two share a state of randomness.

    Args:
        make: makes the transforms; must be picklable.
    """

    def __init__(self, make: Callable[[], Sequence[Any]]) -> None:
        self._make = make
        self._own = threading.local()

    def __call__(self, image: Any) -> Any:
        if not hasattr(self._own, "compose"):
            self._own.compose = A.Compose(list(self._make()))
        return self._own.compose(image=image)["image"]

    def __reduce__(self) -> tuple[type[Augment], tuple[Callable[[], Sequence[Any]]]]:
        return Augment, (self._make,)
