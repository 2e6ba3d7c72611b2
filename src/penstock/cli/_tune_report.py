"""What `penstock tune` says on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

from rich import box
from rich.table import Table

from penstock.bench._measure import Summary
from penstock.cli._file_reads import summed
from penstock.cli._terminal import TerminalReport, counted, printable
from penstock.cli._tune_choice import Choice, Limit, Measured, fastest, limit_of
from penstock.cli._tune_findings import QUEUE_BATCHES, FirstPass, FoundImages, TuneJob, WorkersReading
from penstock.feeding._cpus import usable_cpus

_WORTH_SAYING = 0.005  # of the time that a model waits: half a percent


@dataclass(frozen=True)
class Tuning:
    """What was measured.

    Attributes:
        job: what was asked for.
        found: in the folder.
        first: the first pass over files.
        readings: in the order of time.
        measured: the same by the number of workers.
        needed_images_per_s: what the model takes; None where that was not said.
        choice: what is recommended.
        stopped: whether the user, or an error, ended it before its time.
    """

    job: TuneJob
    found: FoundImages
    first: FirstPass
    readings: tuple[WorkersReading, ...]
    measured: tuple[Measured, ...]
    needed_images_per_s: float | None
    choice: Choice
    stopped: bool


class TuneReport(TerminalReport):
    """Prints what was measured, and the line to paste."""

    def heading(self, job: TuneJob, found: FoundImages) -> None:
        """What is measured."""
        classes = f" of {counted(found.classes, 'class', 'classes')}" if found.classes else ""
        height, width = job.size
        self._say_name(
            f"Measuring {counted(found.images, 'image')}{classes} in {job.directory}: to {height}x{width}, in batches "
            f"of {job.batch_size}, for {job.seconds:g} s on {counted(usable_cpus(), 'CPU')}"
        )

    def first_pass(self, first: FirstPass, job: TuneJob) -> None:
        """How fast files came that nobody had read before."""
        with_workers = f" with {counted(first.workers, 'worker')}" if first.workers else ""
        came = "" if first.reads is None else f", {first.reads.words()}"
        self._say(
            f"First pass, {counted(first.images, 'image')}{with_workers}: {_rate(first.images_per_s)} images/s{came}"
        )
        if first.batch_size < job.batch_size:
            self._say(f"Measured in batches of {first.batch_size}, since larger ones would not be done in time")

    def result(self, tuning: Tuning) -> None:
        """The table, what limits, and the line."""
        self._table(tuning)
        rounds = min(len(each.images_per_s) for each in tuning.measured)
        reads = summed([each.reads for each in tuning.readings])
        came = "" if reads is None else f"; files {reads.words()}"
        stopped = "Stopped. " if tuning.stopped else ""
        if any(_is_unstable(each) for each in tuning.measured):
            self._say("* unstable: quartiles more than 15 % of the median apart, or fewer than three rounds")
        self._say(f"{stopped}Medians of {counted(rounds, 'round')}, taken in turns{came}.")
        self._say(f"{_verdict(tuning)}\n")
        self._say_name(line_to_paste(tuning))

    def _table(self, tuning: Tuning) -> None:
        table = Table(box=box.SIMPLE_HEAD)
        for title in ("workers", "images/s", "slowest to fastest", "CPU use", "memory of a full queue"):
            table.add_column(title, justify="right")
        cpus = usable_cpus()
        for each in tuning.measured:
            mark = " *" if _is_unstable(each) else ""
            table.add_row(
                f"{'> ' if each.workers == tuning.choice.workers else ''}{each.workers}",
                f"{_rate(each.median_images_per_s)}{mark}",
                f"{_rate(min(each.images_per_s))} to {_rate(max(each.images_per_s))}",
                f"{100 * mean(each.own_cores) / cpus:.0f} %",
                _megabytes(tuning.first.queue_batch_bytes * (max(QUEUE_BATCHES, each.workers) if each.workers else 1)),
            )
        self._console.print(table)

    def _say_name(self, text: str) -> None:
        """A line with a file's name in it, which may hold anything."""
        self._say(printable(text, self._console.encoding))


def _is_unstable(measured: Measured) -> bool:
    return Summary.of(measured.images_per_s).unstable


def line_to_paste(tuning: Tuning) -> str:
    """A call of `flow_from_directory` with the settings that were measured, and the workers that are recommended."""
    job = tuning.job
    height, width = job.size
    words = [_quoted(job.directory)]
    if not tuning.found.classes:
        words += ['classes=["."]', "class_mode=None"]
    words += [f"target_size=({height}, {width})", f"batch_size={job.batch_size}"]
    if job.interpolation != "nearest":
        words.append(f"interpolation={_quoted(job.interpolation)}")
    words += [f"workers={tuning.choice.workers}", f"max_queue_size={QUEUE_BATCHES}"]
    return f"flow = generator.flow_from_directory({', '.join(words)})"


def _verdict(tuning: Tuning) -> str:
    choice, cpus = tuning.choice, usable_cpus()
    best = fastest(tuning.measured)
    reads = summed([each.reads for each in tuning.readings if each.workers == best.workers])
    limit = limit_of(best, cpus, from_disk=reads is not None and reads.is_from_disk, keeps_up=choice.keeps_up)
    own, others = mean(best.own_cores), mean(best.others_cores)
    need = tuning.needed_images_per_s
    feeds = f"{counted(choice.workers, 'worker')} feed{'s' if choice.workers == 1 else ''}"
    short = ""
    if choice.keeps_up is False and need is not None:
        waits = 1 - choice.images_per_s / need
        trouble = f"would wait {100 * waits:.0f} % of the time"
        if waits < _WORTH_SAYING:
            trouble = "leaves the feed less than 10 % to spare"
        short = f"The model takes {_rate(need)} images/s and {trouble}: "
    said = {
        Limit.MODEL: f"Nothing limits but the model: it takes {_rate(need or 0)} images/s, and {feeds} "
        f"{_rate(choice.images_per_s)}.",
        Limit.CPU: f"{short}the CPU limits: {own:.1f} of {counted(cpus, 'CPU')} {'is' if cpus == 1 else 'are'} busy.",
        Limit.OTHERS: f"{short}the CPU limits, of which other programs take a part: {others:.1f} of "
        f"{counted(cpus, 'CPU')}; measure again without them.",
        Limit.STORAGE: f"{short}storage limits: files came from the disk while only {own:.1f} of "
        f"{counted(cpus, 'CPU')} {'was' if cpus == 1 else 'were'} busy.",
        Limit.UNKNOWN: f"{short}neither the CPU ({own:.1f} of {cpus} busy) nor, as far as this system tells, the disk "
        "limits: a network drive, or workers that wait for one another.",
    }[limit]
    return said[0].upper() + said[1:]


def _rate(images_per_s: float) -> str:
    return f"{images_per_s:,.0f}" if images_per_s >= 10 else f"{images_per_s:.2g}"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e6:.1g} MB"


def _quoted(text: str) -> str:
    """Text as Python reads it, in the quotes of most examples."""
    shown = repr(text)
    return shown if '"' in shown or "\\" in shown or shown[0] == '"' else f'"{shown[1:-1]}"'
