"""What `penstock runs` says on the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.table import Table

from penstock.cli._terminal import TerminalReport, counted, printable
from penstock.cli._where import lookup
from penstock.tracking._store import Run

_SETTINGS = (("batch_size", "batch"), ("workers", "workers"), ("seed", "seed"), ("learning_rate", "lr"))
_OTHERS = ("epoch_s", "input_", "images_per_s", "cpu_percent", "gpu_", "memory_mb", "learning_rate")
_WIDE, _NARROW = 160, 110  # columns of a terminal that has room for all, and of one that has for the feed's figures


class RunsReport(TerminalReport):
    """Prints a table of runs: of each, as much as the terminal has room for."""

    def table(self, runs: Sequence[Run]) -> None:
        """A line for each, or two."""
        if not runs:
            return
        is_wide, is_narrow = self._console.width >= _WIDE, self._console.width < _NARROW
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0) if is_narrow else (0, 1))
        table.add_column("run", no_wrap=True)
        table.add_column("name", overflow="fold")
        for title in ("began", "status"):
            table.add_column(title, no_wrap=True)
        table.add_column("took", justify="right", no_wrap=True)
        for title in ("script", "settings") if is_wide else ():
            table.add_column(title, overflow="fold")
        table.add_column("last metrics", overflow="fold", min_width=20 if is_narrow else None)
        for title in () if is_narrow else ("images/s", "waited"):
            table.add_column(title, justify="right", no_wrap=True)
        for run in runs:
            began = datetime.fromtimestamp(run.began_s)
            metrics = [f"{name} {value:.4g}" for name, value in keras_metrics(run)[: 4 if is_wide else 2]]
            cells = [
                run.id[:8],
                run.name,
                began.strftime("%m-%d %H:%M" if is_narrow else "%Y-%m-%d %H:%M"),
                run.status,
                duration(run),
            ]
            if is_wide:
                settings = [f"{short} {shortened(value)}" for name, short in _SETTINGS if (value := lookup(run, name))]
                cells += [os.path.basename(run.tags.get("mlflow.source.name", "")), ", ".join(settings)]
            cells.append(", ".join(metrics))
            if not is_narrow:
                cells += [_figure(run, "images_per_s", "{:,.0f}"), _figure(run, "input_wait_share", "{:.0%}")]
            table.add_row(*(printable(cell, self._console.encoding) for cell in cells))
        self._console.print(table)

    def summary(self, uri: str, shown: int, found: int, *, is_all: bool) -> None:
        """How many, and of which store."""
        if not found:
            self._say(f"No runs in {uri}." if is_all else f"No such runs in {uri}.")
        else:
            of_all = f" of {found:,}" if found > shown else ""
            self._say(f"{counted(shown, 'run')}{of_all} in {uri}")


def _figure(run: Run, name: str, form: str) -> str:
    return form.format(run.metrics[name]).replace("%", " %") if name in run.metrics else ""


def keras_metrics(run: Run) -> list[tuple[str, float]]:
    """Those of the model, without those of the feed and the machine; validation first."""
    own = [(name, value) for name, value in run.metrics.items() if not name.startswith(_OTHERS)]
    return sorted(own, key=lambda metric: (not metric[0].startswith("val_"), metric[0]))


def duration(run: Run) -> str:
    """How long it took."""
    if run.ended_s is None:
        return ""
    seconds = max(0.0, run.ended_s - run.began_s)
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shortened(value: str) -> str:
    """A number with as many digits as an eye takes in."""
    try:
        return value if value.lstrip("-").isdigit() else f"{float(value):.4g}"
    except ValueError:
        return value
