"""What `penstock reproduce` does, step by step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.cli._checkout import Checkout, check_folder, check_out, find_data
from penstock.cli._child import Ended, Launch, run_child
from penstock.cli._endings import StoppedInOrder
from penstock.cli._recipe import Recipe, filled_in, read_recipe
from penstock.cli._reproduce_report import ReproduceReport
from penstock.cli._run_store import find_run, open_store
from penstock.cli._then_and_now import changes_since, data_changes, match_metrics, match_streams
from penstock.tracking._processes import Process
from penstock.tracking._store import Run, Store

SAME, DIFFERENT = 0, 1  # to exit with
REPRODUCES = "penstock.reproduces"  # a tag: the run that this one repeats
_MOST = 1000  # runs that the new one is looked for among


@dataclass(frozen=True)
class ReproduceOptions:
    """What the user chose.

    Attributes:
        run: an id, its beginning, or a name.
        store: its address; None for MLflow's default.
        out: a folder to run in, which stays; None for one that goes.
        data: where the images are now; None for where they were.
        links: what else the script reads, relative to its working folder.
        arguments: `NAME=VALUE` for arguments that were masked.
    """

    run: str
    store: str | None = None
    out: Path | None = None
    data: Path | None = None
    links: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


def run_reproduce(
    options: ReproduceOptions,
    report: ReproduceReport,
    opened: Callable[[str | None], Store] = open_store,
    run_program: Callable[[Launch], Ended] = run_child,
) -> int:
    """Run a recorded run again, and compare.

    Args:
        options: what the user chose.
        report: says it.
        opened: a store by its address.
        run_program: runs the script to its end.

    Returns:
        `SAME` where the same bytes were fed; `DIFFERENT` where they were not, where that cannot be told, and where the
        script failed.

    Raises:
        CommandError: it cannot be run; nothing has been run or written then.
        StoreError: the store is not there, of another version, or does not answer.
        StoppedInOrder: on Ctrl-C and SIGTERM; the script has ended.
    """
    with report.busy("Opening the store"):
        store = opened(options.store)
        recipe = read_recipe(store, find_run(store, options.run))
    arguments = filled_in(recipe.arguments, options.arguments)
    found = find_data(recipe, options.data, options.links)
    if options.out is not None:
        check_folder(options.out)
    with _folder(options.out) as root:
        checkout = check_out(recipe, arguments, found, root)
        report.heading(recipe, store.uri)
        report.changes(changes_since(store, recipe))
        report.program(recipe, checkout)
        ended = run_program(Launch(checkout.command, checkout.folder, _environment(store, recipe, checkout)))
    if ended.signal is not None:
        raise StoppedInOrder("stopped; the script has ended, too", 128 + ended.signal)
    report.ended(ended.code)
    new = _new_run(store, recipe, ended.pid)
    if new is None:
        report.unrecorded(store.uri)
        return DIFFERENT
    store.set_tags(new.id, {REPRODUCES: recipe.run.id})
    report.changes(data_changes(recipe.run, new))
    stream = match_streams(recipe.first, new)
    report.result(recipe.run, new, stream, match_metrics(store, recipe.run, new))
    if options.out is not None:
        report.kept(options.out)
    return SAME if stream.verdict == "same" and ended.code == 0 else DIFFERENT


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is None:
        with tempfile.TemporaryDirectory(prefix="penstock-reproduce-") as made:
            yield Path(made).resolve()
    else:
        out.mkdir(parents=True, exist_ok=True)
        yield out.resolve()


def _environment(store: Store, recipe: Recipe, checkout: Checkout) -> Mapping[str, str]:
    path = [*checkout.path, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **recipe.environment_here(os.environ),
        "MLFLOW_TRACKING_URI": store.address,
        **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
    }


def _new_run(store: Store, recipe: Recipe, pid: int) -> Run | None:
    """The run that the program has recorded; of several, the one that comes where the old one came in its program."""
    here = Process.this()
    programs = [(run, Process.of_tags(run.tags)) for run in store.runs(_MOST)]
    ours = [by for _, by in programs if by and (by.pid, by.host, by.boot) == (pid, here.host, here.boot)]
    if not ours:
        return None
    latest = max(ours, key=lambda by: by.began_s)  # an earlier program may have had the number
    made = sorted((run for run, by in programs if by == latest), key=lambda run: run.began_s)
    old = recipe.run
    old_program = Process.of_tags(old.tags)
    number = sum(by is not None and by == old_program and run.began_s < old.began_s for run, by in programs)
    number = 0 if recipe.script is None else number  # `penstock train` has one run
    return made[number] if number < len(made) else None
