"""The list of problems, in a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from penstock.batches._check import Finding
from penstock.cli._endings import CommandError, in_the_way

_COLUMNS = ("path", "problem", "detail")
_CSV_HEADER = ",".join(_COLUMNS)


def check_list(path: Path) -> None:
    """Make sure, before anything else is done, that a list may be written there.

    Raises:
        CommandError: it is a folder, or a file that `write_list` has not written.
        OSError: it cannot be written to.
    """
    if path.is_dir():
        raise CommandError(f"--out should be a file. {str(path)!r} is a folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() == 0:
            return
        file.seek(0)
        first = file.read(64).decode("ascii", "replace")
    ours = first.startswith(_CSV_HEADER) if path.suffix.lower() == ".csv" else _is_json_list(first)
    if not ours:
        raise in_the_way(path, "check")


def write_list(findings: Sequence[Finding], path: Path) -> None:
    """Write one row per problem.

    Paths are written byte for byte as the files are named, whether these bytes are UTF-8 or not: in CSV as they are, in
    JSON as `os.fsdecode` makes text of them.

    Args:
        findings: what to list, in order.
        path: ends in .csv or .json.
    """
    rows = [(finding.path, finding.problem.value, finding.detail) for finding in findings]
    if path.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
        written = text.getvalue().encode("utf-8", "surrogateescape")
    else:
        lines = ",\n".join(json.dumps(dict(zip(_COLUMNS, row, strict=True))) for row in rows)
        written = f"[\n{lines}\n]\n".encode("ascii") if rows else b"[]\n"
    path.write_bytes(written)


def _is_json_list(first: str) -> bool:
    return first == "[]\n" or first.startswith('[\n{"path": ')
