"""`penstock sweep`: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli._app import app
from penstock.cli._endings import CANNOT_TRAIN, plain_endings

_OWN = ("directory", "out", "resume", "track", "store", "help")  # of `penstock train`, which a sweep sets itself


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sweep(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The images, one folder per class.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where each run gets a folder.")] = Path("sweep"),
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Runs side by side on this machine.")] = 1,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="Where runs are recorded. Left out: MLFLOW_TRACKING_URI, else mlflow.db in this folder."
        ),
    ] = None,
) -> None:
    """Train every combination of what options of `penstock train` are given, as --seed 0,1 --batch-size 32,256.

    An option whose values hold commas, as --augment, is repeated instead. Every run is recorded. Run the same line
    again to go on: what is finished is left out, what was stopped resumes. Exits with 0, with 1 where a run failed,
    with 2 for bad input, with 130 after Ctrl-C.
    """
    with plain_endings(failed=CANNOT_TRAIN):
        from penstock.cli._sweep import SweepOptions, run_sweep
        from penstock.cli._sweep_grid import read_grid
        from penstock.cli._sweep_report import SweepReport
        from penstock.cli._terminal import wide_console

        train = _train_command()
        known = [param.name.replace("_", "-") for param in train.params if param.name and param.name not in _OWN]
        words = tuple(context.args)
        points = read_grid(words, known)
        for point in points:  # all are checked before one is run
            train.make_context("penstock train", [str(directory), *point.arguments])
        options = SweepOptions(directory, points, words, out, jobs, store)
        raise typer.Exit(run_sweep(options, SweepReport(wide_console())))


def _train_command() -> Any:
    import penstock.cli._train_app  # noqa: F401, it adds the command

    group: Any = typer.main.get_command(app)
    return group.commands["train"]
