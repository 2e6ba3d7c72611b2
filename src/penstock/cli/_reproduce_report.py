"""What `penstock reproduce` says on the terminal."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from penstock.cli._terminal import TerminalReport, counted, printable
from penstock.tracking._scribe import KEY_PACKAGES
from penstock.tracking._secrets import MASK, mask_value

if TYPE_CHECKING:
    from penstock.cli._checkout import Checkout
    from penstock.cli._recipe import Recipe
    from penstock.cli._then_and_now import Change, MetricMatch, StreamMatch
    from penstock.tracking._store import Run

_MOST_LETTERS = 60
_MOST_OTHERS = 10  # packages that are not among those that make batches


class ReproduceReport(TerminalReport):
    """Prints what is run, and what came of it."""

    def heading(self, recipe: Recipe, uri: str) -> None:
        """Which run."""
        run = recipe.run
        began = datetime.fromtimestamp(run.began_s).strftime("%Y-%m-%d %H:%M")
        self._say(self._shown(f"Reproducing run {run.id[:8]} {run.name} of {began} ({run.status}) in {uri}"))
        if recipe.first.id != run.id:
            first = recipe.first.id[:8]
            self._say(f"It went on with run {first}, which is where the stream began; all epochs are trained again.")

    def changes(self, changes: Sequence[Change]) -> None:
        """What is not as it was."""
        others = [each for each in changes if each.part == "package" and each.name not in KEY_PACKAGES]
        shown = [each for each in changes if each not in others] + others[:_MOST_OTHERS]
        if not shown:
            return
        table = Table(title="What differs", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for title in ("", "", "recorded", "here"):
            table.add_column(title)
        for each in shown:
            cells = (each.part, each.name, each.then or "-", each.now or "-")
            table.add_row(*(self._shown(cell)[:_MOST_LETTERS] for cell in cells))
        self._console.print(table)
        if len(others) > _MOST_OTHERS:
            self._say(f"and {counted(len(others) - _MOST_OTHERS, 'other package')}")

    def program(self, recipe: Recipe, checkout: Checkout) -> None:
        """What is going to run, before it does."""
        if recipe.masked:
            self._say(f"Not known, for they were masked: {', '.join(recipe.masked)} of the environment, as it is here.")
        if recipe.script is not None and MASK.encode() in checkout.text:
            self._say(f'The script as it was recorded holds "{MASK}", which may stand for a secret that was masked.')
        settings = [f"{name}={value}" for name, value in recipe.environment.items() if os.environ.get(name) != value]
        if settings:
            self._say(self._shown(f"With {shlex.join(settings)}"))
        if new := [f"{name}={mask_value(name, value)}" for name, value in recipe.unknown_then(os.environ).items()]:
            self._say(self._shown(f"Set here, and not when it was recorded: {shlex.join(new)}"))
        for place, target in checkout.linked:
            self._say(self._shown(f"{place} is a link to {target}"))
        what = "the recorded text of " + str(recipe.script) if recipe.script is not None else "penstock train"
        self._say(self._shown(f"This runs {what}, in {checkout.folder}:"))
        self._say(self._shown(f"  {shlex.join(checkout.shown)}"))
        self._say("")
        self._console.file.flush()
        sys.stdout.flush()  # what the program prints comes after it

    def ended(self, code: int) -> None:
        """How the program ended."""
        if code:
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            self._say(f"\nThe program failed: it ended {how}.")
        else:
            self._say("")

    def unrecorded(self, uri: str) -> None:
        """There is nothing to compare."""
        self._say(
            self._shown(
                f"It has recorded no run in {uri}: it ended before training, or its Tracker was given another store."
            )
        )

    def result(self, then: Run, now: Run, stream: StreamMatch, metrics: Sequence[MetricMatch]) -> None:
        """What came of it."""
        if metrics:
            table = Table(title="Metrics", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
            table.add_column("")
            table.add_column("after epoch", justify="right")
            for title in (f"recorded {then.id[:8]}", f"now {now.id[:8]}", "difference"):
                table.add_column(title, justify="right")
            for each in metrics:
                change = "none" if each.now == each.then else f"{each.now - each.then:+.3g}"
                table.add_row(
                    self._shown(each.name), f"{each.epoch + 1}", f"{each.then:.6g}", f"{each.now:.6g}", change
                )
            self._console.print(table)
        words = {
            "same": "The same stream",
            "different": "Another stream",
            "unknown": "Cannot tell whether the stream is the same",
        }
        self._say(self._shown(f"{words[stream.verdict]}: {stream.reason}"))
        self._say(f"Recorded as run {now.id[:8]}; `penstock compare {then.id[:8]} {now.id[:8]}` shows more.")

    def kept(self, out: Path) -> None:
        """Where its files are."""
        self._say(self._shown(f"What it wrote is in {out}"))

    def _shown(self, text: str) -> str:
        return printable(text, self._console.encoding)
