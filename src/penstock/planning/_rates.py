"""What an image costs a core: measured on some sizes, fitted, and asked for any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files
from itertools import chain, combinations
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

VERSION = 1
_NEEDED = ("date", "cpu", "cores", "versions", "settings", "images")
_FEWEST = 4  # readings; as many kinds of cost has the making of a batch that is decoded


@dataclass(frozen=True)
class Reading:
    """Batches of one size, made on all cores at a time; CPU seconds, so that who waits for a core costs nothing.

    Attributes:
        batch_size: images in a batch.
        source_px, source_bytes: pixels of an image as it is stored and bytes of its file, on average.
        target_px: pixels of an image in the batch.
        decode_s: of a core for a batch, median: reading and decoding.
        transform_s: the rest of it.
        spread: standard deviation of a batch's seconds over their mean.
        batches: that were measured.
    """

    batch_size: int
    source_px: float
    source_bytes: float
    target_px: float
    decode_s: float
    transform_s: float
    spread: float
    batches: int

    @property
    def seconds(self) -> float:
        """Of a core for a batch."""
        return self.decode_s + self.transform_s


@dataclass(frozen=True)
class Cost:
    """What a core spends, in seconds.

    Attributes:
        image_s: on an image, whatever its size.
        source_px_s, source_byte_s: on a pixel as it is stored, and on a byte of the file.
        target_px_s: on a pixel of the batch.
        decode_batch_s, transform_batch_s: on a batch, whatever is in it.
    """

    image_s: float
    source_px_s: float
    source_byte_s: float
    target_px_s: float
    decode_batch_s: float
    transform_batch_s: float

    def decode_s(self, batch_size: int, source_px: float, source_bytes: float) -> float:
        """Of a core, to read and decode the images of a batch."""
        image_s = self.image_s + source_px * self.source_px_s + source_bytes * self.source_byte_s
        return self.decode_batch_s + batch_size * image_s

    def transform_s(self, batch_size: int, target_px: float) -> float:
        """Of a core, to make a batch of decoded images."""
        return self.transform_batch_s + batch_size * target_px * self.target_px_s

    @classmethod
    def fitted(cls, readings: Sequence[Reading]) -> Cost:
        """The least squares of relative errors, with no cost below 0.

        Args:
            readings: at least one; what they cannot tell apart goes to one of the two.
        """
        decode = [(1, r.batch_size, r.batch_size * r.source_px, r.batch_size * r.source_bytes) for r in readings]
        transform = [(1, r.batch_size * r.target_px) for r in readings]
        decode_batch_s, image_s, source_px_s, source_byte_s = _least_squares(decode, [r.decode_s for r in readings])
        transform_batch_s, target_px_s = _least_squares(transform, [r.transform_s for r in readings])
        return cls(image_s, source_px_s, source_byte_s, target_px_s, decode_batch_s, transform_batch_s)


@dataclass(frozen=True)
class Rates:
    """What was measured, where, and what follows from it.

    Attributes:
        date, cpu: when, UTC and ISO 8601, and on what.
        cores: that were busy at a time.
        versions: of penstock and what decodes.
        settings: what happened to the images, in the words of `ImageDataGenerator`.
        images: which they were.
        readings: at least four.
        request_s: of a core, for a request to an object store; 0 if it was not measured.
        requests: how that was.
    """

    date: str
    cpu: str
    cores: int
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    images: str
    readings: tuple[Reading, ...]
    request_s: float = 0.0
    requests: str = ""

    def __post_init__(self) -> None:
        numbers = np.array([tuple(asdict(reading).values()) for reading in self.readings], float)
        is_sound = np.isfinite(numbers).all() and (numbers >= 0).all() and 0 <= self.request_s < float("inf")
        if len(self.readings) < _FEWEST or not is_sound or not all(r.batch_size and r.seconds for r in self.readings):
            raise ValueError(
                f"rates should come from {_FEWEST} readings or more, of numbers that are not negative. "
                f"Received: {len(self.readings)} readings"
            )

    @cached_property
    def cost(self) -> Cost:
        """Fitted to all readings."""
        return Cost.fitted(self.readings)

    @cached_property
    def spread(self) -> float:
        """Standard deviation of a batch's seconds over their mean: the readings' median."""
        return median(r.spread for r in self.readings)

    @cached_property
    def residual(self) -> float:
        """How far the fit is off the readings that it was fitted to, root mean square."""
        return _root_mean_square([foretold_s(self.cost, reading) / reading.seconds - 1 for reading in self.readings])

    @cached_property
    def error(self) -> float:
        """How far the fit is off where it was not measured: each reading foretold from the others, root mean square."""
        errors = []
        for number, reading in enumerate(self.readings):
            cost = Cost.fitted(self.readings[:number] + self.readings[number + 1 :])
            errors.append(foretold_s(cost, reading) / reading.seconds - 1)
        return _root_mean_square(errors)

    def to_json(self) -> str:
        """With what was fitted beside the readings, for readers without this package."""
        fitted = {"fitted": asdict(self.cost), "residual": self.residual, "error": self.error}
        whole = {"version": VERSION, **asdict(self), **fitted}
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def of(cls, whole: Any) -> Rates:
        """From what `to_json` wrote, parsed; what was fitted follows from the readings again.

        Raises:
            ValueError: it is something else.
        """
        try:
            if whole["version"] != VERSION:
                raise ValueError(f"version {whole['version']}, where {VERSION} is known")
            readings = tuple(Reading(**reading) for reading in whole["readings"])
            optional = {name: whole[name] for name in ("request_s", "requests") if name in whole}
            own = {name: whole[name] for name in _NEEDED} | optional
            return cls(**own, readings=readings)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"these are no rates ({type(error).__name__}: {error})") from error

    @classmethod
    def shipped(cls) -> Rates:
        """Those that come with the package."""
        return cls.of(json.loads(files(__package__).joinpath("rates.json").read_text("utf-8")))


def foretold_s(cost: Cost, reading: Reading) -> float:
    """What a batch as that of a reading should take of a core."""
    decode_s = cost.decode_s(reading.batch_size, reading.source_px, reading.source_bytes)
    return decode_s + cost.transform_s(reading.batch_size, reading.target_px)


def _root_mean_square(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _least_squares(rows: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Coefficients of at least 0 that bring the relative errors' squares to their least: every choice of columns tried.

    Four columns make fifteen choices: nothing that a solver is needed for.
    """
    measured: npt.NDArray[np.float64] = np.maximum(np.array(seconds, float), 1e-12)
    table = np.array(rows, float) / measured[:, None]
    scale = np.maximum(table.max(axis=0), 1e-300)  # pixels and bytes beside ones
    columns = range(table.shape[1])
    best, least = np.zeros(table.shape[1]), float(len(measured))
    for chosen in map(list, chain.from_iterable(combinations(columns, size) for size in range(1, len(columns) + 1))):
        found = np.linalg.lstsq(table[:, chosen] / scale[chosen], np.ones(len(measured)), rcond=1e-9)[0]
        if (found < 0).any():
            continue
        whole = np.zeros(table.shape[1])
        whole[chosen] = found / scale[chosen]
        error = float(np.square(table @ whole - 1).sum())
        if error < least - 1e-15:
            best, least = whole, error
    return [float(value) for value in best]
