"""What `penstock sweep` says on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.live import Live
from rich.table import Table

from penstock.cli._terminal import TerminalReport, counted, printable

if TYPE_CHECKING:
    from penstock.cli._sweep import Status
    from penstock.cli._sweep_files import RunFiles

    Line = tuple[str, Status, RunFiles]

_MOST_LIVE = 30  # lines that a terminal has room for
_ORDER = ("running", "waiting", "failed", "stopped", "finished")


class SweepReport(TerminalReport):
    """Prints a table that lives while runs do, on terminals, and one of what came of them."""

    def heading(self, runs: int, finished: int, how: str) -> None:
        """What there is to do."""
        done = f", {finished} of them finished before" if finished else ""
        self._say(f"{counted(runs, 'run')} of penstock train{done}; {how}")

    @contextmanager
    def live(self, lines: Callable[[], Sequence[Line]]) -> Iterator[Callable[[], None]]:
        """A table, and a function that brings it up to date."""
        if not self._console.is_terminal:
            yield lambda: None
            return
        with Live(self._progress(lines()), console=self._console, transient=True, auto_refresh=False) as live:
            yield lambda: live.update(self._progress(lines()), refresh=True)

    def began(self, name: str) -> None:
        """A run has."""
        if not self._console.is_terminal:
            self._say(self._shown(f"{name}: begins"))

    def ended(self, name: str, status: Status, files: RunFiles) -> None:
        """A run has."""
        reason = f": {files.last_line}" if status == "failed" else ""
        self._say(self._shown(f"{name}: {status}{reason}"))

    def results(self, lines: Sequence[Line]) -> None:
        """All of them, the best first; those that have come to nothing last."""
        table = Table(
            title="Results, by validation accuracy", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
        )
        table.add_column("run", overflow="fold")
        table.add_column("status", no_wrap=True)
        for title in ("best", "in epoch", "of"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("recorded as", no_wrap=True)
        accuracies = {name: files.accuracies for name, _, files in lines}
        for name, status, files in sorted(lines, key=lambda line: -max(accuracies[line[0]], default=-1.0)):
            found = accuracies[name]
            best = max(found, default=None)
            cells = ("-", "-") if best is None else (f"{100 * best:.1f} %", f"{found.index(best) + 1}")
            table.add_row(self._shown(name), status, *cells, f"{len(found)}", files.run[:8])
        self._console.print(table)
        for name, status, files in lines:
            if status == "failed":
                self._say(self._shown(f"{name} failed; what it said is in {files.log}"))

    def no_plot(self) -> None:
        """It needs a package."""
        self._say('No picture: that needs matplotlib. pip install "penstock[plot]"')

    def wrote(self, path: Path) -> None:
        """The picture."""
        self._say(self._shown(f"Wrote {path}"))

    def _progress(self, lines: Sequence[Line]) -> Table:
        table = Table(box=box.SIMPLE_HEAD)
        for title in ("run", "status", "epochs", "best"):
            table.add_column(title, overflow="fold")
        first = sorted(lines, key=lambda line: _ORDER.index(line[1]))
        for name, status, files in first[:_MOST_LIVE]:
            found = files.accuracies if status != "waiting" else []
            table.add_row(self._shown(name), status, f"{len(found)}", f"{100 * max(found):.1f} %" if found else "")
        if len(lines) > _MOST_LIVE:
            table.add_row(f"and {len(lines) - _MOST_LIVE} more", "", "", "")
        return table

    def _shown(self, text: str) -> str:
        return printable(text, self._console.encoding)
