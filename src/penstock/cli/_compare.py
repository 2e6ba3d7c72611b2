"""What `penstock compare` does: in what runs differ, and how they went."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.cli._compare_report import CompareReport
from penstock.cli._endings import CommandError, in_the_way
from penstock.cli._run_store import find_run, open_store
from penstock.cli._runs_report import duration, keras_metrics
from penstock.cli._terminal import counted
from penstock.cli._then_and_now import stream_digests
from penstock.tracking._killed import mark_killed
from penstock.tracking._store import Point, Run, Store

# Settings that differ are listed by what they are settings of; a part that is named nowhere comes with the first.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "settings": ("flow", "generator", "model", "optimizer", "fit"),
    "data": ("data", "stream"),
    "code": ("code", "version"),
    "machine": ("machine",),
}
_MOST_CURVES = 12
_MOST_LINES = 400  # of a difference between scripts


@dataclass(frozen=True)
class CompareOptions:
    """What the user chose.

    Attributes:
        runs: ids, beginnings of ids, or names; two at least.
        store: its address; None for MLflow's default.
        out: the curves' file, .png or .html; None for none.
    """

    runs: tuple[str, ...]
    store: str | None
    out: Path | None


@dataclass(frozen=True)
class Row:
    """What differs.

    Attributes:
        name: of the setting.
        values: one for each run; None where it has none.
    """

    name: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: in the order in which they were named.
        differences: by section.
        same: how many settings are the same in all, by section.
        results: the last metrics, and how long it took; all of them.
        diffs: how the scripts, and what was not committed, differ from the first run's, by a heading.
        curves: by metric, the points of each run.
    """

    runs: tuple[Run, ...]
    differences: Mapping[str, tuple[Row, ...]]
    same: Mapping[str, int]
    results: tuple[Row, ...]
    diffs: Mapping[str, str]
    curves: Mapping[str, tuple[Sequence[Point], ...]]


def run_compare(
    options: CompareOptions, report: CompareReport, opened: Callable[[str | None], Store] = open_store
) -> None:
    """Compare, print, and draw.

    Raises:
        CommandError: there is no such run, or the file may not be written.
        ModuleNotFoundError: curves need matplotlib.
        StoreError: the store is not there, of another version, or does not answer.
    """
    if options.out is not None:
        check_out(options.out)
    with report.busy("Opening the store"):
        store = opened(options.store)
        mark_killed(store)
        runs = tuple(find_run(store, word) for word in options.runs)
        if len({run.id for run in runs}) < len(runs):
            raise CommandError(f"Runs should be different ones. Received: {', '.join(run.id[:12] for run in runs)}.")
        comparison = compare(store, runs)
    report.show(comparison)
    if options.out is not None:
        from penstock.cli._compare_page import write_page
        from penstock.cli._curves import write_png

        (write_page if options.out.suffix.lower() == ".html" else write_png)(comparison, options.out)
        report.wrote(options.out)


def check_out(path: Path) -> None:
    """Make sure that a file may be written there.

    Raises:
        CommandError: there is one that `penstock compare` has not made.
    """
    from penstock.cli._compare_page import SIGNATURE
    from penstock.cli._picture import check_picture

    if path.suffix.lower() == ".png":
        check_picture(path, "compare")
    elif path.exists() and (not path.is_file() or SIGNATURE.encode() not in path.read_bytes()[:2000]):
        raise in_the_way(path, "compare")


def compare(store: Store, runs: Sequence[Run]) -> Comparison:
    """Look everything up and put it side by side."""
    params = [{**_with_packages(store, run), **stream} for run, stream in zip(runs, _streams(runs), strict=True)]
    names = list(dict.fromkeys(name for each in params for name in each))
    differences: dict[str, tuple[Row, ...]] = {}
    same: dict[str, int] = {}
    for section in SECTIONS:
        own = [name for name in names if _section(name) == section]
        rows = [Row(name, tuple(each.get(name) for each in params)) for name in own]
        meant = _meaning if section == "settings" else str  # of versions, 2.1 and 2.10 are two
        differences[section] = tuple(row for row in rows if len(set(map(meant, row.values))) > 1)
        same[section] = len(rows) - len(differences[section])
    metrics = list(dict.fromkeys(name for run in runs for name, _ in keras_metrics(run)))
    curves = {}
    for name in metrics[:_MOST_CURVES]:
        curves[name] = tuple(store.history(run.id, name) if name in run.metrics else () for run in runs)
    return Comparison(tuple(runs), differences, same, _results(runs, metrics), _diffs(store, runs), curves)


def _section(name: str) -> str:
    part = name.partition(".")[0]
    return next((section for section, parts in SECTIONS.items() if part in parts), "settings")


def _with_packages(store: Store, run: Run) -> dict[str, str]:
    """A run's settings, and the versions of all packages that it had."""
    text = (store.read_file(run.id, "penstock/packages.txt") or b"").decode("utf-8", "replace")
    pairs = [line.partition("==") for line in text.splitlines()]
    params = {name: value for name, value in run.params.items() if not name.startswith("stream.")}
    return {**params, **{f"version.{name}": version for name, _, version in pairs if name}}


def _streams(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Digests of as many first batches as all runs have: a run has those that there was time for."""
    found = [stream_digests(run) for run in runs]
    counts = [digests.keys() for digests in found if digests]
    both = set(counts[0]).intersection(*counts) if counts else set()
    streams = []
    for run, digests in zip(runs, found, strict=True):
        epoch = run.params.get("stream.digest_epoch", "0")
        count = max(both or digests, default=0)
        name = f"stream.digest of epoch {epoch}, {counted(count, 'batch', 'batches')}"
        streams.append({name: digests[count]} if digests else {})
    return streams


def _meaning(value: str | None) -> str:
    """The same for 20 and 20.0."""
    try:
        return str(float(value or ""))
    except ValueError:
        return str(value)


def _results(runs: Sequence[Run], metrics: Sequence[str]) -> tuple[Row, ...]:
    others = ("images_per_s", "input_wait_share", "epoch_s", "cpu_percent", "memory_mb")
    rows = [
        Row("status", tuple(run.status for run in runs)),
        Row("took", tuple(duration(run) or None for run in runs)),
    ]
    for name in (*metrics, *others):
        values = tuple(f"{run.metrics[name]:.5g}" if name in run.metrics else None for run in runs)
        if any(value is not None for value in values):
            rows.append(Row(name, values))
    verdicts = tuple(run.tags.get("penstock.verdict") for run in runs)
    return (*rows, Row("verdict", verdicts)) if any(verdicts) else tuple(rows)


def _diffs(store: Store, runs: Sequence[Run]) -> dict[str, str]:
    found = {}
    for path, what in ((None, "script"), ("penstock/diff.patch", "what was not committed")):
        first, *rest = [_text(store, run, path) for run in runs]
        for run, text in zip(runs[1:], rest, strict=True):
            lines = list(
                difflib.unified_diff(first.splitlines(), text.splitlines(), runs[0].id[:8], run.id[:8], lineterm="")
            )
            if lines:
                more = [f"... {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
                found[f"{what}: {runs[0].id[:8]} and {run.id[:8]}"] = "\n".join([*lines[:_MOST_LINES], *more])
    return found


def _text(store: Store, run: Run, path: str | None) -> str:
    path = path or f"penstock/script/{os.path.basename(run.tags.get('mlflow.source.name', ''))}"
    return (store.read_file(run.id, path) or b"").decode("utf-8", "replace")
