"""What `penstock runs` does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from penstock.cli._run_store import open_store
from penstock.cli._runs_report import RunsReport
from penstock.cli._where import check_known, lookup, parse_where
from penstock.tracking._killed import mark_killed
from penstock.tracking._store import Run, Store

_MOST = 10_000  # that conditions are looked for among


@dataclass(frozen=True)
class RunsOptions:
    """What the user chose.

    Attributes:
        store: its address; None for MLflow's default.
        where: conditions; empty for all runs.
        limit: runs to list.
        sort: a name to sort by, with "-" before it for the greatest first; empty for the newest first.
    """

    store: str | None
    where: str
    limit: int
    sort: str


def run_runs(options: RunsOptions, report: RunsReport, opened: Callable[[str | None], Store] = open_store) -> None:
    """List runs.

    Args:
        options: what the user chose.
        report: says it.
        opened: a store by its address.

    Raises:
        CommandError: a condition is none, or names what no run has.
        StoreError: the store is not there, of another version, or does not answer.
    """
    conditions = parse_where(options.where) if options.where else ()
    with report.busy("Opening the store"):
        store = opened(options.store)
        mark_killed(store)
        # All are needed to filter and to sort.
        runs = list(store.runs(_MOST if conditions or options.sort else options.limit))
    for condition in conditions:
        check_known(condition.name, runs, "--where")
    found = [run for run in runs if all(condition.holds(run) for condition in conditions)]
    if options.sort:
        name = options.sort.removeprefix("-")
        check_known(name, runs, "--sort")
        found = _sorted(found, name, downwards=options.sort.startswith("-"))
    report.table(found[: options.limit])
    report.summary(store.uri, len(found[: options.limit]), len(found), is_all=not conditions and not options.sort)


def _sorted(runs: list[Run], name: str, *, downwards: bool) -> list[Run]:
    """By number where there are numbers; those without the name last, either way."""

    def key(run: Run) -> tuple[int, float, str]:
        found = lookup(run, name)
        if found is None:
            return 2, 0.0, ""
        try:
            value = float(found)
        except ValueError:
            return 1, 0.0, found
        return (2, 0.0, "") if math.isnan(value) else (0, -value if downwards else value, "")

    return sorted(runs, key=key)
