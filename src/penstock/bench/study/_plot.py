"""Time and speed-up over the number of workers, as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from penstock.bench.study._findings import Findings, Measured
from penstock.bench.study._record import MADE_BY, StudyRecord
from penstock.bench.study._setting import EXECUTORS, MODEL_ALONE, PROCESSES

THEMES = ("light", "dark")
_INK = {"light": "#1f2328", "dark": "#e6edf3"}
_PAPER = {"light": "#ffffff", "dark": "#0d1117"}
# One colour for each size of batches, told apart by people who see fewer of them, too; then again from the start.
_LINES = {
    "light": ("#0969da", "#c2410c", "#1a7f37", "#8250df", "#9a6700", "#bf3989"),
    "dark": ("#58a6ff", "#f0883e", "#56d364", "#bc8cff", "#d4a72c", "#ff7bc0"),
}
_DOTS_PER_INCH = 150
_LEVELS = (":", "-.", (0, (1, 4)), (0, (6, 2, 1, 2, 1, 2)), (0, (8, 4)))
_STYLES = {"threads": ("-", "o"), "processes": ("--", "s")}


def picture(record: StudyRecord, theme: str) -> bytes:
    """A PNG with two panels: seconds for the same images, and speed-up, both over the number of workers.

    Args:
        record: of a study.
        theme: "light" or "dark".

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure(record, theme)
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, dpi=_DOTS_PER_INCH, facecolor=_PAPER[theme], metadata={"Software": MADE_BY})
    return file.getvalue()


def _figure(record: StudyRecord, theme: str) -> Any:
    from matplotlib.figure import Figure

    ink, findings = _INK[theme], record.findings
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    time_axes, ratio_axes = figure.subplots(1, 2)
    images = int(record.settings["images"])
    for label, color, (style, marker), line in _curves(findings, theme):
        workers = [each.setting.workers for each in line]
        seconds = [each.seconds_for(images) for each in line]
        drawn: dict[str, Any] = {
            "color": color,
            "linestyle": style,
            "marker": marker,
            "markersize": 5,
            "linewidth": 1.8,
        }
        time_axes.plot(workers, seconds, label=label, **drawn)
        speed_ups = [speed_up for each in line if (speed_up := findings.speed_up(each)) is not None]
        if len(speed_ups) == len(line):
            values = [speed_up.value for speed_up in speed_ups]
            spread = [
                [speed_up.value - speed_up.low for speed_up in speed_ups],
                [speed_up.high - speed_up.value for speed_up in speed_ups],
            ]
            ratio_axes.errorbar(workers, values, yerr=spread, capsize=3, elinewidth=1, label=label, **drawn)
    for label, color, style, other in _others(findings, theme):
        level: dict[str, Any] = {"color": color, "linestyle": style, "linewidth": 1.5, "label": label}
        time_axes.axhline(other.seconds_for(images), **level)
        speed_up = findings.speed_up(other)
        if speed_up is not None:
            ratio_axes.axhline(speed_up.value, **level)
    ratio_axes.axhline(1, color=ink, linewidth=0.9, alpha=0.7)
    ratio_axes.annotate(
        "1x", (1, 1), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        va="center", color=ink, fontsize=8.5,
    )  # fmt: skip
    counts = sorted({each.setting.workers for each in findings.measured if each.setting.is_ours})
    _dress(time_axes, f"seconds for {images:,} images", counts, theme)
    _dress(ratio_axes, "times as fast as without workers", counts, theme)
    handles, labels = time_axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, labelcolor=ink,
            fontsize=8.5,
        )  # fmt: skip
    return figure


def _curves(findings: Findings, theme: str) -> Iterator[tuple[str, str, tuple[str, str], list[Measured]]]:
    """Name, colour, style and points of each line; all of one batch size begin at the same point."""
    several = len(findings.batch_sizes) > 1
    executors = [feed for feed in EXECUTORS if any(each.setting.feed == feed for each in findings.measured)]
    for number, batch_size in enumerate(findings.batch_sizes):
        baseline = findings.baseline(batch_size)
        for place, feed in enumerate(executors):
            line = [
                each
                for each in findings.measured
                if each.setting.feed == feed and each.setting.batch_size == batch_size and each.setting.workers
            ]
            if not line and (place or baseline is None):
                continue
            line = ([] if baseline is None else [baseline]) + line
            name = f"{feed}, batches of {batch_size}" if several else feed
            color = _color(theme, number if several else EXECUTORS.index(feed))
            yield name, color, _STYLES[feed] if several else ("-", _STYLES[feed][1]), line


def _others(findings: Findings, theme: str) -> Iterator[tuple[str, str, Any, Measured]]:
    """Peers and the model alone: a level each, since their workers are not swept."""
    several = len(findings.batch_sizes) > 1
    others = [each for each in findings.measured if not each.setting.is_ours]
    feeds = list(dict.fromkeys(each.setting.feed for each in others))
    for number, each in enumerate(others):
        name = f"{each.setting.label}, batches of {each.setting.batch_size}" if several else each.setting.label
        place = (
            findings.batch_sizes.index(each.setting.batch_size) if several else EXECUTORS.index(PROCESSES) + 1 + number
        )
        color = _INK[theme] if each.setting.feed == MODEL_ALONE and not several else _color(theme, place)
        yield name, color, _LEVELS[feeds.index(each.setting.feed) % len(_LEVELS)] if several else ":", each


def _color(theme: str, number: int) -> str:
    return _LINES[theme][number % len(_LINES[theme])]


def _dress(axes: Any, title: str, counts: list[int], theme: str) -> None:
    ink = _INK[theme]
    axes.set_facecolor(_PAPER[theme])
    axes.set_title(title, loc="left", fontsize=10.5, color=ink)
    axes.set_xlabel("workers", color=ink, fontsize=9)
    axes.set_xticks(counts)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(ink)
    axes.tick_params(colors=ink, labelsize=8.5)
    axes.grid(axis="y", color=ink, alpha=0.15)
