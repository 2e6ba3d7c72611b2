"""The figures of the study that penstock began with, and ours beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.bench.study._findings import Findings
from penstock.bench.study._page import machine_line
from penstock.bench.study._record import IMAGES, TRAIN, StudyRecord
from penstock.bench.study._rows import rate
from penstock.bench.study._setting import MODEL_ALONE

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
        f"|  | the study ({MACHINE}) | here | images/s here, without workers and at best | model alone |",
        "|---|--:|--:|--:|--:|",
    ]
    for figure in FIGURES:
        title = _TITLES[figure.experiment, figure.place]
        if figure.batch_size is not None:
            title += f", batches of {figure.batch_size}"
        elif figure.experiment == TRAIN and figure.place == MEMORY:
            title += ", best number of processes"
        lines.append(f"| {' | '.join((title, figure.words(), *_ours(figure, records)))} |")
    return "\n\n".join(["\n".join(lines), *_remarks(records)]) + "\n"


def _ours(figure: Figure, records: Sequence[StudyRecord]) -> tuple[str, str, str]:
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
            words = "1x: no number of workers was faster"
            if not best.setting.is_baseline:
                words = f"{ratios[best]} with {best.setting.label}"
            return f"{words}{mark}", rates, _alone(findings.of_size(best.setting.batch_size))
    return "-", "-", "-"


def _alone(findings: Findings) -> str:
    """What the same model does without a feed: more than that no number of workers can bring."""
    alone = (each for each in findings.measured if each.setting.feed == MODEL_ALONE)
    speed_ups = (findings.speed_up(each) for each in alone)
    return next((f"{speed_up.value:.2f}x" for speed_up in speed_ups if speed_up is not None), "-")


def _remarks(records: Sequence[StudyRecord]) -> Iterator[str]:
    for record in records:
        where = machine_line(record.machine, record.devices)
        yield " ".join((f"{record.title}. {where}. `{record.settings['command']}`", *record.findings.warnings()))
    if any(each.summary.unstable for record in records for each in record.findings.measured):
        yield "⚠ unstable: quartiles more than 15 % of the median apart, or fewer than three rounds."
