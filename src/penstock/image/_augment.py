"""The user's ranges: frozen, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock.image._geometry import fill_mode_number


@dataclass(frozen=True)
class ShiftRange:
    """A shift as Keras reads it: a set of values with a random sign, or a uniform range.

    Attributes:
        choices: the values to pick from; empty for a uniform draw from -limit to limit.
        limit: the bound of the uniform draw; may be negative, which only mirrors it.
        is_fraction: values are shares of the image's side; else pixels.
    """

    choices: tuple[float, ...] = ()
    limit: float = 0.0
    is_fraction: bool = False

    @classmethod
    def parse(cls, value: Any, name: str) -> ShiftRange | None:
        """Read Keras's argument; None where it means no shift.

        A float below 1 is a share of the side, one from 1 on is pixels; an integer n picks from -(n - 1) to n - 1
        pixels; a list picks one of its values with a random sign.
        """
        array = np.asarray(value)
        if array.dtype.kind not in "iufb":
            raise ValueError(
                f"`{name}` should be a float, an integer or a one-dimensional list of them. Received: {value!r}"
            )
        if array.ndim > 1:
            raise ValueError(f"`{name}` should have at most one dimension. Received: {value!r}")
        is_list = isinstance(value, list | tuple)  # which Keras draws from even where it holds nothing but zero
        if array.size == 0 or (array.size == 1 and not array.any() and not is_list):
            return None
        if not np.all(np.isfinite(array)):
            raise ValueError(f"`{name}` should be finite. Received: {value!r}")
        is_fraction = bool(np.max(array) < 1)
        if array.ndim == 1:
            return cls(tuple(array.tolist()), 0.0, is_fraction)
        if isinstance(value, int | np.integer) and value > 0:
            return cls(tuple(range(int(value))), 0.0, is_fraction)
        return cls((), float(value), is_fraction)

    def in_pixels(self, side_px: int) -> ShiftRange:
        """The same range in pixels of an image of that side."""
        if not self.is_fraction:
            return self
        return ShiftRange(tuple(value * side_px for value in self.choices), self.limit * side_px, False)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image, at random. Angles in degrees.

    Attributes:
        rotation_deg, shear_deg: drawn from -value to value.
        shift_horizontal, shift_vertical: as `width_shift_range` and `height_shift_range` say.
        zoom: lowest and highest factor; above 1 zooms out.
        channel_shift: drawn from -value to value and added to all channels.
        brightness: lowest and highest factor, or None.
        fill_mode, cval, order: what lies outside the image, and the interpolation (0 to 5).
    """

    rotation_deg: float = 0.0
    shift_horizontal: ShiftRange | None = None
    shift_vertical: ShiftRange | None = None
    shear_deg: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    flip_horizontal: bool = False
    flip_vertical: bool = False
    channel_shift: float = 0.0
    brightness: tuple[float, float] | None = None
    fill_mode: str = "nearest"
    cval: float = 0.0
    order: int = 1
    fill_mode_number: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (
            ("rotation_range", self.rotation_deg),
            ("shear_range", self.shear_deg),
            ("channel_shift_range", self.channel_shift),
            ("cval", self.cval),
        ):
            _check_finite(name, (value,))
        _check_finite("zoom_range", self.zoom)
        if self.brightness is not None:
            _check_finite("brightness_range", self.brightness)
        if self.order not in range(6):
            raise ValueError(f"`interpolation_order` should be an integer from 0 to 5. Received: {self.order!r}")
        object.__setattr__(self, "fill_mode_number", fill_mode_number(self.fill_mode))

    def without_randomness(self) -> Augmentation:
        """The same image treatment with nothing drawn, for validation."""
        return Augmentation(fill_mode=self.fill_mode, cval=self.cval, order=self.order)


def _check_finite(name: str, values: Sequence[float]) -> None:
    for value in values:
        if not isinstance(value, int | float | np.integer | np.floating) or not np.isfinite(value):
            raise ValueError(f"`{name}` should hold finite numbers. Received: {value!r}")
