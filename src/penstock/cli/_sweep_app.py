"""`penstock sweep`: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli._app import app
from penstock.cli._endings import CANNOT_TRAIN, CommandError, plain_endings
from penstock.cli._options import ClassFolders, Store

_OWN = ("directory", "out", "resume", "track", "store", "help")  # of `penstock train`, which a sweep sets itself


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sweep(
    context: typer.Context,
    directory: ClassFolders,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where each run gets a folder.")] = Path("sweep"),
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Runs side by side on this machine.")] = 1,
    ray: Annotated[
        bool, typer.Option("--ray", help="Run them on a Ray cluster, where they go on by themselves.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Of the cluster. Left out: RAY_ADDRESS, else that on this machine."),
    ] = None,
    run_cpus: Annotated[float, typer.Option(min=0, help="CPUs that a run takes of its machine in the cluster.")] = 1,
    run_gpus: Annotated[float, typer.Option(min=0, help="GPUs that a run takes of its machine in the cluster.")] = 0,
    stop: Annotated[bool, typer.Option("--stop", help="End what goes on in the cluster; it can be resumed.")] = False,
    store: Store = None,
) -> None:
    """Train every combination of what options of `penstock train` are given, as --seed 0,1 --batch-size 32,256.

    An option whose values hold commas, as --augment, is repeated instead. Every run is recorded. Run the same line
    again to go on: what is finished is left out, what was stopped resumes. Exits with 0, with 1 where a run failed,
    with 2 for bad input, with 130 after Ctrl-C.
    """
    with plain_endings(failed=CANNOT_TRAIN):
        from penstock.cli._sweep import SweepOptions, ThisMachine, run_sweep
        from penstock.cli._sweep_grid import read_grid
        from penstock.cli._sweep_report import SweepReport
        from penstock.cli._terminal import wide_console

        train = _train_command()
        known = [param.name.replace("_", "-") for param in train.params if param.name and param.name not in _OWN]
        words = tuple(context.args)
        points = read_grid(words, known)
        for point in points:  # all are checked before one is run
            train.make_context("penstock train", [str(directory), *point.arguments])
        if ray:
            place: Any = _cluster(address, run_cpus, run_gpus, stop)
        elif stop or address is not None:
            raise CommandError("--stop and --address are for runs on a Ray cluster. Give --ray, too.")
        else:
            place = ThisMachine(jobs)
        options = SweepOptions(directory, points, words, out, store)
        raise typer.Exit(run_sweep(options, SweepReport(wide_console()), place))


def _cluster(address: str | None, run_cpus: float, run_gpus: float, stop: bool) -> Any:
    from penstock.cli._sweep_cluster import Cluster
    from penstock.cli._sweep_ray import RaySweep

    if not run_cpus and not run_gpus:
        raise CommandError("--run-cpus or --run-gpus should be above 0: else all runs would begin at once.")
    for name, number in (("--run-cpus", run_cpus), ("--run-gpus", run_gpus)):
        if number > 1 and number % 1:  # Ray's rule
            raise CommandError(f"{name} should be a whole number, or below 1. Received: {number:g}")
    own = ["--ray", *(["--address", address] if address else [])]
    own += [word for name, n in (("--run-cpus", run_cpus), ("--run-gpus", run_gpus)) for word in (name, f"{n:g}")]
    return Cluster(RaySweep(address, run_cpus, run_gpus), tuple(own), stops=stop)


def _train_command() -> Any:
    import penstock.cli._train_app  # noqa: F401, it adds the command

    group: Any = typer.main.get_command(app)
    return group.commands["train"]
