"""The figures of the study that penstock began with, and ours beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.bench.study._page import machine_line
from penstock.bench.study._record import IMAGES, TRAIN, StudyRecord
from penstock.bench.study._rows import rate

MACHINE = "Keras 1.2 on 6 cores and a TITAN X"
MEMORY, DISK = "memory", "disk"


@dataclass(frozen=True)
class Figure:
    """One of the study's.

    Attributes:
        experiment: "images" or "train".
        place: where images came from: "memory" or "disk".
        batch_size: images in a batch; None where the study does not say.
        speed_up: best, over no processes.
        processes: with how many; None where the study does not say.
    """

    experiment: str
    place: str
    batch_size: int | None
    speed_up: float
    processes: int | None

    def words(self) -> str:
        """Example: "3.51x with 9 processes"."""
        return f"{self.speed_up:g}x" + (f" with {self.processes} processes" if self.processes else "")


FIGURES = (
    Figure(IMAGES, MEMORY, None, 2.01, 7),
    Figure(TRAIN, MEMORY, 32, 1.8, None),
    Figure(TRAIN, MEMORY, 256, 3.3, None),
    Figure(TRAIN, MEMORY, 1024, 3.5, None),
    Figure(TRAIN, MEMORY, 4096, 3.4, None),
    Figure(TRAIN, MEMORY, None, 3.51, 9),
    Figure(TRAIN, DISK, None, 3.95, 11),
)
_TITLES = {
    (IMAGES, MEMORY): "Generating images, in memory",
    (TRAIN, MEMORY): "Generating and training, in memory",
    (TRAIN, DISK): "Generating and training, from disk, cold page cache",
}


def study_table(records: Sequence[StudyRecord]) -> str:
    """Markdown: a line for each of the study's figures, with what the records have for it."""
    lines = [
        f"|  | the study ({MACHINE}) | here | images/s here, without workers and at best |",
        "|---|--:|--:|--:|",
    ]
    for figure in FIGURES:
        title = _TITLES[figure.experiment, figure.place]
        if figure.batch_size is not None:
            title += f", batches of {figure.batch_size}"
        elif figure.experiment == TRAIN and figure.place == MEMORY:
            title += ", best number of processes"
        ours, rates = _ours(figure, records)
        lines.append(f"| {title} | {figure.words()} | {ours} | {rates} |")
    return "\n\n".join(["\n".join(lines), *_remarks(records)]) + "\n"


def _ours(figure: Figure, records: Sequence[StudyRecord]) -> tuple[str, str]:
    for record in records:
        if record.experiment != figure.experiment or record.settings["place"] != figure.place:
            continue
        findings = record.findings
        sizes = findings.batch_sizes if figure.batch_size is None else (figure.batch_size,)
        candidates = [best for size in sizes if (best := findings.best(size)) is not None]
        ratios = {best: speed_up for best in candidates if (speed_up := findings.speed_up(best)) is not None}
        if ratios:
            best = max(ratios, key=lambda each: ratios[each].value)
            baseline = findings.baseline(best.setting.batch_size)
            assert baseline is not None
            mark = " ⚠" if best.summary.unstable or baseline.summary.unstable else ""
            rates = f"{rate(baseline.summary.median)} → {rate(best.summary.median)}"
            if best.setting.is_baseline:
                return f"1x: no number of workers was faster{mark}", rates
            return f"{ratios[best]} with {best.setting.label}{mark}", rates
    return "-", "-"


def _remarks(records: Sequence[StudyRecord]) -> Iterator[str]:
    for record in records:
        yield f"{record.title}. {machine_line(record.machine, record.devices)}. `{record.settings['command']}`"
    if any(each.summary.unstable for record in records for each in record.findings.measured):
        yield "⚠ unstable: quartiles more than 15 % of the median apart, or fewer than three rounds."
