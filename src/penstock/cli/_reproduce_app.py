"""`penstock reproduce`: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli._app import app
from penstock.cli._endings import CANNOT_TRAIN, plain_endings
from penstock.cli._options import Store


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id, its beginning, or a name; see `penstock runs`.")],
    store: Store = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A new folder to run in, which stays. Left out: a temporary one."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="Where the images are now, if not where they were."
        ),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="What else the script reads, relative to its working folder; may be repeated."
        ),
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An argument that was masked when it was recorded; may be repeated."),
    ] = None,
) -> None:
    """Run a recorded run again, and say whether the model was fed the same bytes, and how close its metrics came.

    This runs the recorded script, in a folder of its own; it says which, with what arguments, before it does. Exits
    with 0 for the same stream, with 1 for another one or where the script failed, with 2 where it cannot be run, with
    130 after Ctrl-C.
    """
    with plain_endings(failed=CANNOT_TRAIN):
        from penstock.cli._reproduce import ReproduceOptions, run_reproduce
        from penstock.cli._reproduce_report import ReproduceReport
        from penstock.cli._terminal import wide_console

        options = ReproduceOptions(run, store, out, data, tuple(link or ()), tuple(arg or ()))
        raise typer.Exit(run_reproduce(options, ReproduceReport(wide_console())))
