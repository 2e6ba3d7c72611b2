"""Measurements as a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock._types import Array
from penstock.monitor._records import TIME, Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure

_SMOOTHED_S = 1.0  # a CPU's use over 0.1 s is mostly noise
_DETAILS = 20  # that a short time still shows
_MOST_NAMED = 4  # lines in a legend
_MOST_EPOCHS = 300  # that are marked: of more, a panel would be all lines


@dataclass(frozen=True)
class _Panel:
    """Lines that share an axis.

    Attributes:
        title: what they are, with their unit.
        columns: a pattern of their names; its group, if any, names a line.
        is_percent: from 0 to 100.
        scale: from the column to the unit.
        one: what a line is of, where the title does not say it.
    """

    title: str
    columns: str
    is_percent: bool = False
    scale: float = 1.0
    one: str = ""


_PANELS = (
    _Panel("CPU of the machine, %", r"cpu_percent", is_percent=True),
    _Panel("GPU, %", r"gpu_(\d+)_percent", is_percent=True),
    _Panel("CPU of each worker, %", r"worker_(\d+)_cpu_percent", is_percent=True),
    _Panel("training waits for data, %", r"feed_(\d+)_wait_percent", is_percent=True, one="flow "),
    _Panel("samples/s", r"feed_(\d+)_samples_per_s", one="flow "),
    _Panel("queue, % full", r"feed_(\d+)_queue_percent", is_percent=True, one="flow "),
    _Panel("memory, GB", r"memory_mb", scale=1e-3),
    _Panel("GPU memory, GB", r"gpu_(\d+)_memory_mb", scale=1e-3),
    _Panel("read from disk, MB/s", r"disk_read_mb_per_s"),
)


def plot(records: Records, title: str | None, *, vert: bool) -> Figure:
    """See `Monitor.plot`."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError("`plot` needs matplotlib: pip install penstock[plot]") from error
    panels = [(panel, lines) for panel in _PANELS if (lines := _lines(records, panel))]
    if not panels:
        raise ValueError("Nothing has been measured yet: `start()` the monitor, or use it in a `with` block.")
    rows, columns = (len(panels), 1) if vert else (-(-len(panels) // 3), min(3, len(panels)))
    figure: Figure
    figure, grid = plt.subplots(
        rows,
        columns,
        sharex=True,
        squeeze=False,
        layout="constrained",
        figsize=(9, 0.6 + 1.5 * rows) if vert else (4.2 * columns, 0.6 + 2.4 * rows),
    )
    plt.close(figure)  # else a notebook shows it twice, and a long program holds on to it
    for axes, (panel, lines) in zip(grid.flat, panels, strict=False):
        _draw(axes, records, panel, lines)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in list(grid.flat)[max(0, len(panels) - columns) : len(panels)]:  # the lowest of each column
        axes.set_xlabel("seconds")
        axes.tick_params(labelbottom=True)
    named = {str(shade.get_label()): shade for shade in grid.flat[0].collections}
    if shades := {name: shade for name, shade in named.items() if not name.startswith("_")}:
        figure.legend(shades.values(), shades.keys(), loc="outside lower right", frameon=False, ncols=2)
    if title is not None:
        figure.suptitle(title)
    return figure


def _lines(records: Records, panel: _Panel) -> list[tuple[str, Array]]:
    """Names and values of a panel's lines; one that is never more than nothing tells nothing."""
    found = []
    for name in records:
        match = re.fullmatch(panel.columns, name)
        values = records[name] * panel.scale
        if match and np.isfinite(values).any() and (panel.is_percent or np.nanmax(values) > 0):
            found.append((panel.one + "".join(match.groups()), values))
    return found


def _draw(axes: Axes, records: Records, panel: _Panel, lines: list[tuple[str, Array]]) -> None:
    time_s = records[TIME]
    for name, values in lines:
        axes.plot(time_s, smoothed(time_s, values), linewidth=1.5, label=name)
    if 1 < len(lines) <= _MOST_NAMED:
        above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}  # where no line is
        axes.legend(**above, frameon=False, ncols=len(lines), fontsize="small", handlelength=1, columnspacing=1)
    axes.set_title(panel.title, loc="left", fontsize="medium")
    axes.set_ylim(bottom=0, top=max(100, *(np.nanmax(values) for _, values in lines)) if panel.is_percent else None)
    axes.set_xlim(0, max(float(time_s[-1]), 1e-3))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    _draw_marks(axes, records)


def _draw_marks(axes: Axes, records: Records) -> None:
    """All of a kind as one collection: of 1000 epochs, lines of their own would take matplotlib a minute."""
    from matplotlib.collections import LineCollection, PolyCollection

    height: Any = {"transform": axes.get_xaxis_transform()}  # seconds, and the share of the panel's height
    begins = [begin_s for _, begin_s, _ in records.spans("epoch")]
    line: Any = {"color": axes.xaxis.label.get_color(), "alpha": 0.4, "linewidth": 0.8, "linestyle": ":"}
    if len(begins) <= _MOST_EPOCHS:
        axes.add_collection(LineCollection([[(at, 0), (at, 1)] for at in begins], **height, **line), autolim=False)
    for kind, color in (("validation", "tab:green"), ("callbacks", "tab:purple")):
        boxes = [[(begin, 0), (begin, 1), (end, 1), (end, 0)] for _, begin, end in records.spans(kind)]
        if boxes:
            shades = PolyCollection(boxes, color=color, alpha=0.25, linewidth=0, label=kind, **height)
            axes.add_collection(shades, autolim=False)


def smoothed(time_s: Array, values: Array) -> Array:
    """Running means over a second, or less of a short time, of what is there."""
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else _SMOOTHED_S
    window = max(1, min(len(values) // _DETAILS, round(_SMOOTHED_S / max(step_s, 1e-6))))
    known = np.isfinite(values)
    ones = np.ones(window)
    sums = np.convolve(np.where(known, values, 0.0), ones, "same")
    counts = np.convolve(known.astype(float), ones, "same")
    return np.where(known, sums / np.maximum(counts, 1), np.nan)
