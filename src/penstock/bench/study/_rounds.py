"""Which piece is next, and how long all of them will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._setting import Setting
from penstock.bench.study._work import steps_for

_SHORT_S = 0.3  # of a piece; a shorter one is mostly noise

Measure = Callable[[Setting, int], PieceReading]
"""Measures a setting over so many images, at least."""


@dataclass(frozen=True)
class WarmUp:
    """What the uncounted piece of a setting has told.

    Attributes:
        setting: which.
        images_per_s: about.
        extra_s: beside the images themselves.
    """

    setting: Setting
    images_per_s: float
    extra_s: float

    def seconds(self, images: int) -> float:
        """Of a piece of so many images."""
        return self.extra_s + steps_for(images, self.setting) * self.setting.batch_size / self.images_per_s


@dataclass(frozen=True)
class Warm:
    """All settings, warmed up.

    Attributes:
        pieces: one for each setting.
    """

    pieces: tuple[WarmUp, ...]

    def seconds(self, images: int, rounds: int) -> float:
        """That all rounds will take, about."""
        return rounds * sum(piece.seconds(images) for piece in self.pieces)

    def images_within(self, seconds: float, rounds: int, most: int) -> int:
        """Images of a piece with which all rounds take about so long: two digits.

        They are more where the fastest of our settings would be done with them in no time.

        Args:
            seconds: for all rounds.
            rounds: how many.
            most: images that there are.
        """
        fastest = max((piece.images_per_s for piece in self.pieces if piece.setting.is_ours), default=1.0)
        least, largest = max(1, min(most, int(_SHORT_S * fastest))), max(1, most)
        while least < largest:  # more images never take less time
            middle = (least + largest + 1) // 2
            if self.seconds(middle, rounds) <= seconds:
                least = middle
            else:
                largest = middle - 1
        unit = int(10 ** max(0, int(math.log10(least)) - 1))
        return least // unit * unit


def warm_up(settings: Sequence[Setting], measure: Measure, tell: Callable[[Setting], object]) -> Warm:
    """Measure each setting once, uncounted: kernels and models are compiled, files are known to the system.

    Args:
        settings: all of them.
        measure: does it.
        tell: called with a setting before it is measured.
    """
    pieces = []
    for setting in settings:
        tell(setting)
        reading = measure(setting, 1)
        if setting.is_ours:
            # What was done once must not count, and two batches tell no rate; a peer begins anew each time anyway.
            reading = measure(setting, max(1, int(_SHORT_S * reading.images_per_s)))
        pieces.append(WarmUp(setting, reading.images_per_s, reading.extra_s))
    return Warm(tuple(pieces))


def run_rounds(
    settings: Sequence[Setting],
    rounds: int,
    images: int,
    measure: Measure,
    tell: Callable[[Setting, int], object],
    take: Callable[[Setting, PieceReading], object],
) -> None:
    """Measure all settings in turn, round after round; every other round goes backwards.

    Args:
        settings: all of them.
        rounds: how many.
        images: of a piece, at least.
        measure: does it.
        tell: called with a setting and the round's number, from 1, before it is measured.
        take: gets each reading at once, so that none is lost when a later one fails.
    """
    for number in range(1, rounds + 1):
        # A machine that slows down meanwhile favours no setting.
        for setting in settings if number % 2 else reversed(settings):
            tell(setting, number)
            take(setting, measure(setting, images))
