"""What `penstock tune` does, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.cli._endings import CommandError
from penstock.cli._photographs import make_crops, shipped_photographs
from penstock.cli._terminal import counted
from penstock.cli._tune_choice import choose
from penstock.cli._tune_findings import FirstPass, FoundImages, TuneJob, WorkersReading, by_workers
from penstock.cli._tune_process import MeasuringProcess
from penstock.cli._tune_report import TuneReport, Tuning

_PHOTOGRAPHS = Path("demo", "photographs")  # where `penstock demo` makes and finds them, too
_CROPS, _SEED = 640, 0


@dataclass(frozen=True)
class TuneOptions:
    """What the user chose.

    Attributes:
        directory: the images, in class folders or flat; None for crops of photographs.
        size: `(height, width)` in pixels.
        batch_size: images in a batch.
        interpolation: as `flow_from_directory` takes it.
        seconds: to measure for.
        step_ms: that the model takes for a batch; 0 for as fast as possible.
    """

    directory: Path | None
    size: tuple[int, int]
    batch_size: int
    interpolation: str
    seconds: float
    step_ms: float

    @property
    def needed_images_per_s(self) -> float | None:
        """What the model takes; None for as many as there are."""
        return self.batch_size * 1000 / self.step_ms if self.step_ms else None


def run_tune(options: TuneOptions, report: TuneReport) -> None:
    """Measure, and print the line to paste.

    Args:
        options: what the user chose.
        report: says it.

    What was measured before anything went wrong is printed.

    Raises:
        CommandError: not a batch could be measured in time, or the process that measures was killed.
        SystemExit: the folder holds no image, or one that cannot be read, which has been said.
        KeyboardInterrupt: on Ctrl-C.
    """
    directory = _photographs(report) if options.directory is None else options.directory
    job = TuneJob(str(directory), options.size, options.batch_size, options.interpolation, options.seconds)
    found: FoundImages | None = None
    first: FirstPass | None = None
    readings: list[WorkersReading] = []
    trouble: BaseException | None = None
    try:
        with MeasuringProcess(job) as process:
            findings = process.findings()
            with report.busy("Loading Keras"):
                next(findings)
            with report.busy("Looking for images") as now:
                for finding in findings:
                    if isinstance(finding, FoundImages):
                        found = finding
                        report.heading(job, found)
                    elif isinstance(finding, FirstPass):
                        first = finding
                        report.first_pass(first, job)
                    elif isinstance(finding, WorkersReading):
                        readings.append(finding)
                        rate, workers = finding.reading.value, finding.workers
                        now(f"Measuring: {counted(workers, 'worker')}, {rate:,.0f} images/s")
    except (KeyboardInterrupt, SystemExit, CommandError) as error:
        trouble = error
    if found is not None and first is not None and readings:
        measured = by_workers(readings)
        report.result(
            Tuning(
                job=job,
                found=found,
                first=first,
                readings=tuple(readings),
                measured=measured,
                needed_images_per_s=options.needed_images_per_s,
                choice=choose(measured, options.needed_images_per_s),
                stopped=trouble is not None,
            )
        )
    elif trouble is None:
        raise _too_slow(job, found)
    if trouble is not None:
        raise trouble


def _photographs(report: TuneReport) -> Path:
    shipped_photographs()
    with report.progress("Cutting photographs", _CROPS) as advance:
        return make_crops(_PHOTOGRAPHS, _CROPS, _SEED, advance).training


def _too_slow(job: TuneJob, found: FoundImages | None) -> CommandError:
    if found is None:
        return CommandError(f"DIR should be listed within {job.seconds:g} s, and was not. Give it more --seconds.")
    return CommandError(
        f"{job.seconds:g} s should be enough for a few batches, and of {counted(found.images, 'image')} not two "
        "could be measured. Give it more --seconds, or smaller images."
    )
