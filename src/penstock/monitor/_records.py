"""Measurements over time, by name."""

from __future__ import annotations

import csv
import json
import math
import threading
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, final

import numpy as np

from penstock._types import Array

_MOST_VALUES = 720_000  # an hour of 20 columns, ten a second; 6 MB
TIME = "time_s"


@dataclass(frozen=True)
class Mark:
    """Something that happened.

    Attributes:
        time_s: since the start.
        name: what, for example "epoch 3".
        is_end: whether it ended then, instead of beginning.
    """

    time_s: float
    name: str
    is_end: bool = False


@dataclass(frozen=True, eq=False)
class Records:
    """What was measured.

    Attributes:
        columns: float64 by name, all of the same length; "time_s" is the seconds since the start. Names end with their
            unit. NaN where there was nothing to measure.
        marks: what happened, in order.

    Example:
        >>> import numpy as np
        >>> records = Records({"time_s": np.array([0.1, 0.2]), "cpu_percent": np.array([3.0, 99.0])})
        >>> records["cpu_percent"].mean()
        np.float64(51.0)
        >>> len(records), list(records)
        (2, ['time_s', 'cpu_percent'])
    """

    columns: Mapping[str, Array]
    marks: tuple[Mark, ...] = field(default=())

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns[TIME])

    def spans(self, kind: str) -> list[tuple[str, float, float]]:
        """Name, begin and end in seconds of what has a name that begins so; what has not ended, ends with the records.

        Example:
            >>> Records({}, (Mark(1.0, "epoch 1"), Mark(9.5, "epoch 1", is_end=True))).spans("epoch")
            [('epoch 1', 1.0, 9.5)]
        """
        spans, begun = [], dict[str, float]()
        for mark in self.marks:
            if not mark.name.startswith(kind):
                continue
            if not mark.is_end:
                begun[mark.name] = mark.time_s
            elif mark.name in begun:
                spans.append((mark.name, begun.pop(mark.name), mark.time_s))
        last = float(self.columns[TIME][-1]) if len(self.columns.get(TIME, ())) else 0.0
        return spans + [(name, start, max(start, last)) for name, start in begun.items()]

    def as_dict(self) -> dict[str, Any]:
        """The same as lists, with None for NaN, as JSON can hold it."""
        columns = {
            name: [None if math.isnan(value) else round(value, 6) for value in values.tolist()]
            for name, values in self.columns.items()
        }
        marks = [{"time_s": round(mark.time_s, 6), "name": mark.name, "is_end": mark.is_end} for mark in self.marks]
        return {"columns": columns, "marks": marks}

    def write_json(self, path: Path) -> None:
        """As one object, `{"columns": {name: [...]}, "marks": [...]}`."""
        path.write_text(json.dumps(self.as_dict()) + "\n", "utf-8")

    def write_csv(self, path: Path) -> None:
        """A line for each time, with nothing for NaN; what began then is named in a last column."""
        told = self._marks_by_row()
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*self.columns, "marks"])
            for number, row in enumerate(zip(*(values.tolist() for values in self.columns.values()), strict=True)):
                values = ["" if math.isnan(value) else f"{round(value, 6):.15g}" for value in row]
                writer.writerow([*values, "; ".join(told.get(number, ()))])

    def _marks_by_row(self) -> dict[int, list[str]]:
        told: dict[int, list[str]] = {}
        for mark in self.marks:
            row = min(int(np.searchsorted(self.columns[TIME], mark.time_s)), len(self) - 1)
            told.setdefault(row, []).append(f"{mark.name} {'ends' if mark.is_end else 'begins'}")
        return told


@final
class Recorder:
    """Takes measurements, and bounds their memory: when it is full, neighbours are averaged, now and from then on.

    Args:
        most_values: that it keeps, of all columns together; 16 at least are kept of each.
    """

    def __init__(self, most_values: int = _MOST_VALUES) -> None:
        self._most_values = most_values
        self._columns: dict[str, array[float]] = {TIME: array("d")}
        self._group: list[Mapping[str, float]] = []  # of measurements that will make one row
        self._group_size = 1
        self._marks: list[Mark] = []
        self._lock = threading.Lock()

    def add(self, time_s: float, values: Mapping[str, float]) -> None:
        """Take what was measured at a time."""
        with self._lock:
            self._group.append({TIME: time_s, **values})
            if len(self._group) < self._group_size:
                return
            if self._is_full:
                self._columns = {name: _halved(column) for name, column in self._columns.items()}
                self._group_size *= 2
                return
            self._append(_mean(self._group))
            self._group = []

    def mark(self, mark: Mark) -> None:
        """Take what happened."""
        self._marks.append(mark)

    def records(self) -> Records:
        """What has come so far."""
        with self._lock:
            return Records({name: np.array(column) for name, column in self._columns.items()}, tuple(self._marks))

    @property
    def _is_full(self) -> bool:
        rows = len(self._columns[TIME])
        # An even number, so that each has a neighbour: all of them stand for as much time then.
        return rows >= 16 and rows % 2 == 0 and rows * len(self._columns) >= self._most_values

    def _append(self, values: Mapping[str, float]) -> None:
        rows = len(self._columns[TIME])
        for name in values:
            if name not in self._columns:
                self._columns[name] = array("d", [math.nan]) * rows
        for name, column in self._columns.items():
            column.append(values.get(name, math.nan))


def _mean(group: list[Mapping[str, float]]) -> Mapping[str, float]:
    """By name, of the measurements that have it."""
    if len(group) == 1:
        return group[0]
    names = dict.fromkeys(name for values in group for name in values)
    return {name: fmean(values[name] for values in group if name in values) for name in names}


def _halved(column: array[float]) -> array[float]:
    """Means of neighbours; of one and nothing, that one."""
    first, second = np.array(column).reshape(-1, 2).T
    mean = np.where(np.isnan(first), second, np.where(np.isnan(second), first, (first + second) / 2))
    return array("d", mean.tobytes())
