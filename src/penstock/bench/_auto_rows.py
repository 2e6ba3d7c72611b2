"""Whether `workers="auto"` finds what is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from penstock.bench._claim import SHARE, Claim
from penstock.bench._feeds import Feed, from_penstock, from_sequence, rate_side
from penstock.bench._measure import Pace
from penstock.bench._row import Row, file_settings, pace_of
from penstock.bench._scale import Scale
from penstock.bench._sequences import PurePython, Stored, Waiting
from penstock.bench._workloads import InFiles, InMemory

_AUTO = "auto"
_BATCHES = 20  # that it has to find it in
_LEAST_SHARE = 0.95
_FIXED = {"1 thread": (1, False), "2 threads": (2, False), "4 threads": (4, False), "2 processes": (2, True)}
_MANY = {"2 threads": (2, False), "8 threads": (8, False), "32 threads": (32, False)}
_WAIT_S = 0.05


def auto_waiting(scale: Scale) -> Row:
    """Many more workers than cores."""
    data = Waiting(min(_WAIT_S, scale.feeds.wait_s))
    title = f"Sequence that sleeps {data.wait_s:g} s a batch"
    return _row("auto-waiting", title, _of_sequence(data), "batches/s", asdict(data), _MANY)


def auto_python(scale: Scale) -> Row:
    """Processes instead of threads."""
    data = PurePython(scale.feeds.python_turns)
    return _row("auto-python", "Sequence that computes in Python", _of_sequence(data), "batches/s", asdict(data))


def auto_large(scale: Scale) -> Row:
    """As many workers as cores, for what NumPy does."""
    data = scale.feeds.stored
    title = f"Sequence of {data.shape} float32"
    return _row("auto-large", title, _of_sequence(data, images=True), "images/s", asdict(data))


def auto_memory(scale: Scale) -> Row:
    """As many workers as cores, for compiled kernels."""
    data = scale.memory
    title = f"{data.side_px}x{data.side_px} uint8 in memory"
    return _row("auto-memory", title, _of_images(data), "images/s", asdict(data))


def auto_files(scale: Scale) -> Row:
    """The same for files."""
    data = scale.files
    title = f"JPEG files to {data.target_px}x{data.target_px}"
    return _row("auto-files", title, _of_images(data), "images/s", file_settings(data))


AUTO_ROWS = {
    "auto-waiting": auto_waiting,
    "auto-python": auto_python,
    "auto-large": auto_large,
    "auto-memory": auto_memory,
    "auto-files": auto_files,
}


def _row(
    name: str,
    title: str,
    feed: Callable[[int | str, bool], Feed],
    unit: str,
    settings: Mapping[str, Any],
    fixed: Mapping[str, tuple[int, bool]] = _FIXED,
) -> Row:
    sides = [
        rate_side(words, feed(workers, processes), replace(pace_of(workers), ahead=max(_BATCHES, workers)), unit)
        for words, (workers, processes) in fixed.items()
    ]
    sides.append(rate_side(_AUTO, feed(_AUTO, False), Pace(lanes=1, ahead=_BATCHES - 1), unit))
    claims = (Claim('workers="auto" over the best fixed number', _AUTO, tuple(fixed), SHARE, _LEAST_SHARE),)
    note = f"The rate after {_BATCHES} batches, of which the first ones come from two threads."
    return Row(name, title, tuple(sides), claims, settings, note)


def _of_sequence(data: Waiting | PurePython | Stored, *, images: bool = False) -> Callable[[int | str, bool], Feed]:
    return lambda workers, processes: from_sequence(data, workers, processes=processes, images=images)


def _of_images(data: InMemory | InFiles) -> Callable[[int | str, bool], Feed]:
    return lambda workers, processes: from_penstock(lambda: data.penstock_flow(workers, processes=processes))
