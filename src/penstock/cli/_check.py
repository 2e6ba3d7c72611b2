"""What `penstock check` does, step by step."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from penstock.batches._check import Finding, Problem
from penstock.batches._scan import scan_files
from penstock.cli._check_list import check_list, write_list
from penstock.cli._check_report import CheckReport, CheckSummary
from penstock.cli._ctrl_c import remembered_ctrl_c
from penstock.cli._endings import FOUND, CommandError
from penstock.cli._quiet import quiet_decoders
from penstock.cli._terminal import counted
from penstock.feeding._cpus import usable_cpus
from penstock.sources._files import EXTENSIONS, image_extension
from penstock.sources._walk import FolderFiles, list_files


@dataclass(frozen=True)
class CheckOptions:
    """What the user chose.

    Attributes:
        directory: the images.
        out: the list's file, which ends in .csv or .json; None for a few lines on the terminal.
        workers: threads that read, or "auto".
        max_pixels: what declares more is large.
    """

    directory: Path
    out: Path | None
    workers: int | str
    max_pixels: int


def run_check(options: CheckOptions, report: CheckReport) -> int:
    """Check a folder, and print what comes of it.

    Args:
        options: what the user chose.
        report: says it.

    Returns:
        The exit code: 1 if there are problems, else 0. Images that are left out for their names are none.

    Raises:
        CommandError: the folder holds no image, or the list may not be written there.
        KeyboardInterrupt: on Ctrl-C; what was found until then has been written.
    """
    with report.busy("Looking for images"):
        listed = list_files(options.directory)
    images = sum(image_extension(os.path.basename(path)) is not None for path in listed.paths)
    if images == 0:
        raise _no_image(options.directory, listed)
    if options.out is not None:
        check_list(options.out)
    workers = usable_cpus() if isinstance(options.workers, str) else options.workers
    began = perf_counter()
    findings, done, size_bytes, interrupted = _unlisted(listed), 0, 0, False
    try:
        with remembered_ctrl_c() as check_ctrl_c:
            report.heading(options.directory, images, workers)
            with (
                report.progress("Checking", len(listed.paths)) as advance,
                quiet_decoders(),
                closing(scan_files(listed.paths, workers=workers, max_pixels=options.max_pixels)) as files,
            ):
                for file in files:
                    findings += file.findings
                    done += file.is_image
                    size_bytes += file.size_bytes
                    advance()
                    check_ctrl_c()
    except KeyboardInterrupt:
        interrupted = True
    seconds = perf_counter() - began

    if options.out is not None:
        write_list(findings, options.out)
    report.result(
        CheckSummary(
            out=options.out,
            images=done,
            size_bytes=size_bytes,
            seconds=seconds,
            findings=tuple(findings),
            max_pixels=options.max_pixels,
            interrupted=interrupted,
        )
    )
    if interrupted:
        raise KeyboardInterrupt
    return FOUND if any(finding.problem != Problem.IGNORED for finding in findings) else 0


def _no_image(directory: Path, listed: FolderFiles) -> Exception:
    if listed.unlisted:
        return listed.unlisted[0]
    return CommandError(
        f"DIR should hold images, in files whose names end in {', '.join(EXTENSIONS)}. {str(directory)!r} holds "
        f"{counted(len(listed.paths), 'other file')} (hidden folders do not count)."
    )


def _unlisted(listed: FolderFiles) -> list[Finding]:
    """Folders that flows refuse to list."""
    return [
        Finding(str(error.filename), Problem.UNREADABLE, f"this folder cannot be listed: {error.strerror}")
        for error in listed.unlisted
    ]
