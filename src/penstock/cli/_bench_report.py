"""What `penstock bench` says on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.bench.study._findings import Findings
from penstock.bench.study._page import STOPPED, how_line
from penstock.bench.study._record import TRAIN, StudyRecord
from penstock.bench.study._rows import rows_of, titles
from penstock.cli._bench_data import BenchData
from penstock.cli._bench_files import BenchFiles
from penstock.cli._terminal import TerminalReport, counted, printable
from penstock.feeding._cpus import usable_cpus

_WIDTH = 120
_UNBOUNDED = 1000  # characters

Show = Callable[[Findings, str], None]


class BenchReport(TerminalReport):
    """Prints a study: its table while it grows, and in the end."""

    def heading(self, found: BenchData, devices: str, has_gpu: bool) -> None:
        """What is measured, and where."""
        split = found.split
        if split is not None:
            validation = f", {split.validation_files:,} for validation" if split.validation_files else ""
            self._say_name(
                f"Linked {counted(split.training_files, 'image')} to train on{validation}: {split.training.parent}"
            )
            if split.left_out:
                self._say_name(
                    f"Left out {counted(len(split.left_out), 'image')} not named class.number.ext: {split.left_out[0]}"
                    f"{' and others' if len(split.left_out) > 1 else ''}"
                )
        self._say_name(f"Measuring {found.words}, on {counted(usable_cpus(), 'CPU')}")
        if devices:
            note = "" if has_gpu else " (no GPU is present; training and feeding share the CPU)"
            self._say(f"Training on {devices}{note}")

    def estimate(self, images: int, pieces: int, seconds: float) -> None:
        """How long it will take."""
        self._say(f"{counted(pieces, 'piece')} of {counted(images, 'image')} each, in turns: about {duration(seconds)}")

    @contextmanager
    def live(self, images: int, *, trained: bool) -> Iterator[Show]:
        """A table that shows what has been measured so far, and a line below; elsewhere the line, once a minute.

        It moves when it is told to, between two readings: a thread that draws would take time from them.
        """
        if not self._console.is_terminal:
            say = self._now_and_then()
            yield lambda _, line: say(line)
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:

            def show(findings: Findings, line: str) -> None:
                live.update(Group(self._table(findings, images, trained=trained), Text(line)), refresh=True)

            yield show

    def result(self, record: StudyRecord) -> None:
        """The table and, as the study ended, the best speed-up and at which count."""
        findings, images = record.findings, int(record.settings["images"])
        if not self._console.is_terminal:
            self._console.width = max(_WIDTH, self._console.width)  # where none is looked at, nothing is to be cut off
        several = len(findings.batch_sizes) > 1
        for batch_size in findings.batch_sizes:
            if several:
                self._say(f"\nBatches of {batch_size:,}:")
            of_size = findings.of_size(batch_size)
            self._console.print(self._table(of_size, images, trained=record.experiment == TRAIN))
        stopped = () if record.is_complete else (STOPPED,)
        for line in (how_line(record), *stopped, *findings.warnings()):
            # A terminal that is left to break long lines does it in the middle of words.
            self._console.print(line, soft_wrap=not self._console.is_terminal)
        for line in findings.closing_lines():
            self._say(line)

    def saved(self, files: BenchFiles) -> None:
        """Where it was written to."""
        self._say_name(f"Written: {files.page}, {files.record} and two pictures")

    def _say_name(self, text: str) -> None:
        """A line with a file's name in it, which may hold anything."""
        self._say(printable(text, self._console.encoding))

    def _table(self, findings: Findings, images: int, *, trained: bool) -> Table:
        """With all columns, or with those that fit."""
        whole = _table(findings, images, trained=trained)
        unbounded = self._console.options.update(width=_UNBOUNDED)
        if self._console.measure(whole, options=unbounded).maximum <= self._console.width:
            return whole
        return _table(findings, images, trained=trained, compact=True)


def duration(seconds: float) -> str:
    """A time that need not be exact.

    Example:
        >>> [duration(seconds) for seconds in (8, 95, 4000)]
        ['8 s', '2 minutes', '67 minutes']
    """
    return f"{max(1, round(seconds)):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _table(findings: Findings, images: int, *, trained: bool, compact: bool = False) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for title in titles(findings, trained=trained, compact=compact):
        table.add_column(title, justify="left" if title == "fed by" else "right", no_wrap=title != "fed by")
    for row in rows_of(findings, images, trained=trained, compact=compact):
        feed, *others = row.cells
        table.add_row(f"> {feed}" if row.is_best else feed, *others)
    return table
