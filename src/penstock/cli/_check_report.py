"""What `penstock check` says on the terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table

from penstock.batches._check import Finding, Problem
from penstock.cli._terminal import TerminalReport, counted, printable

_FIRST = 5  # of each kind on the terminal; the list has them all
_MEANINGS = {
    Problem.EMPTY: "no bytes at all; training stops there",
    Problem.UNREADABLE: "no image, or damaged; training stops there",
    Problem.TRUNCATED: "the data end early; training stops there",
    Problem.DAMAGED: "read, with parts of the picture lost",
    Problem.MISLABELLED: "read, if at all, as another format than the name says",
    Problem.LARGE: "more than {megapixels:g} megapixels, or as many bytes; slow",
    Problem.IGNORED: "images that are left out for their names",
}


@dataclass(frozen=True)
class CheckSummary:
    """What a check came to.

    Attributes:
        out: the list's file; None for none.
        images: files that flows take for images, whatever is wrong with them.
        size_bytes: of all of them.
        seconds: that it took.
        findings: what is wrong.
        max_pixels: what declares more was taken for large.
        interrupted: whether the user stopped it; there are more files then.
    """

    out: Path | None
    images: int
    size_bytes: int
    seconds: float
    findings: tuple[Finding, ...]
    max_pixels: int
    interrupted: bool


class CheckReport(TerminalReport):
    """Prints what was found."""

    def heading(self, directory: Path, images: int, workers: int) -> None:
        """What is about to be read."""
        self._say_name(f"Checking {counted(images, 'image')} of {directory} with {counted(workers, 'thread')}")

    def result(self, summary: CheckSummary) -> None:
        """Counts per kind, and where the list is; without one, the first files of each kind."""
        images_per_s, mb_per_s = summary.images / summary.seconds, summary.size_bytes / summary.seconds / 1e6
        done = f"Stopped after {counted(summary.images, 'image')} and" if summary.interrupted else "Checked in"
        self._say(f"{done} {summary.seconds:.1f} s ({images_per_s:,.0f} images and {mb_per_s:,.1f} MB per second)")
        if summary.findings:
            self._table(summary)
        self._verdict(summary)
        if summary.out is not None:
            self._say_name(f"The whole list: {summary.out}")
        elif summary.findings:
            self._first(summary.findings)

    def _table(self, summary: CheckSummary) -> None:
        counts = Counter(finding.problem for finding in summary.findings)
        table = Table("problem", box=box.SIMPLE_HEAD)
        table.add_column("files", justify="right")
        table.add_column("what it means")
        for problem, meaning in _MEANINGS.items():
            if counts[problem]:
                table.add_row(
                    problem.value, f"{counts[problem]:,}", meaning.format(megapixels=summary.max_pixels / 1e6)
                )
        self._console.print(table)

    def _verdict(self, summary: CheckSummary) -> None:
        wrong = len({finding.path for finding in summary.findings if finding.problem != Problem.IGNORED})
        far = " so far" if summary.interrupted else ""
        self._say(f"{counted(wrong, 'file')} with problems{far}." if wrong else f"No problems found{far}.")

    def _first(self, findings: tuple[Finding, ...]) -> None:
        cut = False
        for problem in _MEANINGS:
            of_kind = [finding for finding in findings if finding.problem == problem]
            if of_kind:
                self._say(f"\n{problem.value}:")
            for finding in of_kind[:_FIRST]:
                self._say_name(f"  {finding.path}: {finding.detail}")
            if len(of_kind) > _FIRST:
                self._say(f"  and {len(of_kind) - _FIRST:,} more")
                cut = True
        self._say(f"\nAdd --out problems.csv (or .json) for {'all of them' if cut else 'a list'} in a file.")

    def _say_name(self, text: str) -> None:
        """A line with a file's name in it, which may hold anything."""
        self._say(printable(text, self._console.encoding))
