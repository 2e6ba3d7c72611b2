"""Before and after, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from penstock._types import Array
from penstock.bench._before_after import BeforeAfter
from penstock.monitor._plot import smoothed
from penstock.monitor._records import TIME, Records

_PANELS = (
    ("training waits\nfor data, %", "feed_0_wait_percent", 100),
    ("CPU of the\nmachine, %", "cpu_percent", 100),
    ("images trained on", "feed_0_samples_per_s", None),
)
_COLORS = {"light": ("#1f2328", "#c2410c", "#0969da"), "dark": ("#e6edf3", "#f0883e", "#58a6ff")}  # text, lines
_DOTS_PER_INCH = 200


def draw_before_after(both: BeforeAfter, path: Path) -> list[Path]:
    """Write the picture twice, for light and for dark pages, with nothing behind it.

    Args:
        path: of both, without their endings "-light.png" and "-dark.png".

    Returns:
        Their paths.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    written = []
    for theme in _COLORS:
        figure = _figure(both, theme)
        FigureCanvasAgg(figure)
        written.append(path.with_name(f"{path.name}-{theme}.png"))
        figure.savefig(written[-1], dpi=_DOTS_PER_INCH, transparent=True)
    return written


def _figure(both: BeforeAfter, theme: str) -> Any:
    from matplotlib.figure import Figure

    text, *lines = _COLORS[theme]
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    grid: Any = figure.subplots(len(_PANELS), len(both.trainings), sharex=True, sharey="row")
    end_s = max(float(records[TIME][-1]) for records in both.trainings.values())
    for column, ((name, records), color) in enumerate(zip(both.trainings.items(), lines, strict=True)):
        for row, (title, measured, _) in enumerate(_PANELS):
            axes = grid[row, column]
            _draw(axes, records, measured, color)
            if column == 0:
                axes.set_ylabel(title, color=text, fontsize=8.5)
            axes.set_xlim(0, end_s)
            _dress(axes, text)
        grid[0, column].set_title(f"{name}: {records[TIME][-1]:.0f} s", color=text, fontsize=11, loc="left")
        grid[-1, column].set_xlabel("seconds", color=text)
    for axes, (_, _, most) in zip(grid[:, 0], _PANELS, strict=True):  # once both are drawn, which share it
        axes.set_ylim(bottom=0, top=most)
    return figure


def _draw(axes: Any, records: Records, measured: str, color: str) -> None:
    time_s = records[TIME]
    values = _total(records, measured) if measured.endswith("_per_s") else smoothed(time_s, records[measured])
    axes.plot(time_s, values, color=color, linewidth=1.6)
    axes.fill_between(time_s, np.nan_to_num(values), color=color, alpha=0.18, linewidth=0)


def _total(records: Records, rate: str) -> Array:
    """What a rate has come to by each time."""
    steps_s = np.diff(records[TIME], prepend=0.0)
    return np.cumsum(np.nan_to_num(records[rate]) * steps_s)


def _dress(axes: Any, text: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(text)
    axes.tick_params(colors=text, labelsize=8)
    axes.grid(axis="y", color=text, alpha=0.15)
