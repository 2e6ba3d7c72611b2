"""Where a batch takes unusually long, or no time at all; and the start of a process."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from penstock.bench._claim import SHARE, Claim
from penstock.bench._costs import from_start_until
from penstock.bench._feeds import from_penstock, rate_side
from penstock.bench._measure import Pace, Side
from penstock.bench._row import Row
from penstock.bench._rows import fast_decoding
from penstock.bench._scale import Scale
from penstock.bench._workloads import InMemory, Ranges

_AUTO = "auto"
_BATCHES = 20  # that "auto" has to settle in
_FLIPS = Ranges(horizontal_flip=True)


def small_batches(scale: Scale) -> Row:
    """Whether a batch's own cost shows in small ones."""
    large = scale.memory
    small = replace(large, batch_size=max(1, large.batch_size // 8))
    sides: list[Side] = []
    claims = []
    for place, workers in (("caller's thread", 0), ('workers="auto"', _AUTO)):
        names = [f"{place}, batches of {data.batch_size}" for data in (large, small)]
        sides += [_side(name, data, workers) for name, data in zip(names, (large, small), strict=True)]
        claims.append(
            Claim(f"{place}, batches of {small.batch_size} over {large.batch_size}", names[1], names[0], SHARE, 0.67)
        )
    return Row("small-batches", _title(large), tuple(sides), tuple(claims), asdict(large))


def tiny_work(scale: Scale) -> Row:
    """Whether workers harm where there is nothing to share."""
    data = InMemory(scale.memory.images, 28, 128, channels=1, ranges=_FLIPS)
    serial, shared = "workers=0", 'workers="auto"'
    return Row(
        "tiny-work",
        "28x28 grey images with a flip",
        (_side(serial, data, 0), _side(shared, data, _AUTO)),
        (Claim(f"{shared} over {serial}", shared, serial, SHARE, 0.95),),
        asdict(data),
    )


def start(scale: Scale) -> Row:
    """How soon a process computes whose kernels another one has compiled."""
    del scale
    name = "first images"
    return Row(
        "start",
        "Start of a process",
        (from_start_until(name, "computed_at_s", "first_kernel"),),
        (Claim.cost("until it has rendered its first images, kernels cached on disk", name, 0.8),),
        {},
        "From the start of Python on, with the imports of NumPy and Numba, as in a worker process.",
    )


SMALL_ROWS = {
    "fast-decoding": fast_decoding,
    "small-batches": small_batches,
    "tiny-work": tiny_work,
    "start": start,
}


def _side(name: str, data: InMemory, workers: int | str) -> Side:
    feed: Any = from_penstock(lambda: data.penstock_flow(workers))
    return rate_side(name, feed, Pace() if workers == 0 else Pace(ahead=_BATCHES))


def _title(data: InMemory) -> str:
    return f"{data.side_px}x{data.side_px} {data.dtype} in memory"
