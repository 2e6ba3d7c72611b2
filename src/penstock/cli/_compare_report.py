"""What `penstock compare` says on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from penstock.cli._terminal import TerminalReport, counted, printable

if TYPE_CHECKING:
    from penstock.cli._compare import Comparison, Row

_MOST_LINES = 40
_MOST_LETTERS = 300  # of a value


class CompareReport(TerminalReport):
    """Prints tables of what differs."""

    def show(self, comparison: Comparison) -> None:
        """Section by section, results last."""
        runs = [f"{run.id[:8]} {run.name}" for run in comparison.runs]
        for section, rows in comparison.differences.items():
            same = comparison.same[section]
            if rows:
                self._table(f"{section}: {counted(len(rows), 'difference')}, {same} the same", runs, rows)
            elif same:
                self._say(f"{section}: {counted(same, 'entry', 'entries')}, all the same")
        for heading, diff in comparison.diffs.items():
            lines = diff.splitlines()
            self._say(f"\n{self._shown(heading)}")
            for line in lines[:_MOST_LINES]:
                self._say(self._shown(line))
            if len(lines) > _MOST_LINES:
                self._say(f"... {len(lines) - _MOST_LINES} more lines; --out page.html has them")
        self._table("results", runs, comparison.results)

    def wrote(self, path: Path) -> None:
        """The curves."""
        self._say(self._shown(f"Wrote {path}"))

    def _table(self, title: str, runs: list[str], rows: tuple[Row, ...]) -> None:
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("", overflow="fold")
        for name in runs:
            table.add_column(self._shown(name), overflow="fold")
        for row in rows:
            table.add_row(
                row.name, *("-" if value is None else self._shown(value[:_MOST_LETTERS]) for value in row.values)
            )
        self._console.print(table)

    def _shown(self, text: str) -> str:
        return printable(text, self._console.encoding)
