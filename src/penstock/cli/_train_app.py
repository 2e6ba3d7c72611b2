"""`penstock train`: its options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli._app import app
from penstock.cli._endings import CANNOT_TRAIN, plain_endings
from penstock.cli._options import LARGEST_PX, BatchSize, ClassFolders, number_or_auto


def _size(text: str) -> str:
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if found is None or not all(0 < int(side) <= LARGEST_PX for side in found.groups(default=found[1])):
        raise typer.BadParameter(f"should be HEIGHTxWIDTH, as 150x150, each from 1 to {LARGEST_PX} pixels.")
    return text


def _share(share: float) -> float:
    if not 0 < share < 1:
        raise typer.BadParameter("should be a share between 0 and 1.")
    return share


def _on_error(text: str) -> str:
    if text not in ("raise", "skip"):
        raise typer.BadParameter("should be raise or skip.")
    return text


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@app.command()
def train(
    context: typer.Context,
    directory: ClassFolders,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="small (the cats-and-dogs example's), cifar (the CIFAR-10 example's), or a model of "
            "keras.applications, as MobileNetV2.",
        ),
    ] = "small",
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Weights to begin with. Left out: random ones."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often training sees every image.")] = 10,
    batch_size: BatchSize = 32,
    workers: Annotated[
        str, typer.Option(metavar="N", callback=number_or_auto, help='That make batches; "auto" measures and chooses.')
    ] = "auto",
    augment: Annotated[
        str,
        typer.Option(metavar="TEXT", help='Parameters of ImageDataGenerator, as "rotation_range=45,zoom_range=.2".'),
    ] = "",
    size: Annotated[
        str, typer.Option(metavar="HxW", callback=_size, help="Pixels that images are resized to: height, width.")
    ] = "150x150",
    validation: Annotated[
        float, typer.Option(metavar="SHARE", callback=_share, help="Of each class, held out to validate with.")
    ] = 0.2,
    validation_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="Class folders to validate with instead."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="The same seed makes the same run: weights, order, augmentation.")
    ] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder.")] = Path("run"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out; options left out are that run's.")
    ] = False,
    on_error: Annotated[
        str, typer.Option(metavar="WHAT", callback=_on_error, help="With images that cannot be read: raise or skip.")
    ] = "raise",
    save_minutes: Annotated[float, typer.Option(min=0, help="Between two savings within an epoch.")] = 5.0,
    track: Annotated[
        bool, typer.Option("--track", help="Record the run in MLflow, for `penstock runs`, `compare` and `reproduce`.")
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where --track records it. Left out: MLFLOW_TRACKING_URI, else mlflow.db in this folder.",
        ),
    ] = None,
) -> None:
    """Train a model on class folders, and say what it has learnt.

    Ctrl-C stops after the batch, and --resume goes on with the next one, as if nothing had been. Exits with 0, with 2
    where something will not do, with 130 after Ctrl-C.
    """
    with plain_endings(failed=CANNOT_TRAIN):
        from rich.console import Console

        from penstock.cli._train import run_train
        from penstock.cli._train_options import TrainOptions
        from penstock.cli._train_report import TrainReport

        given = frozenset(name for name in context.params if _is_typed(context, name))
        if "validation" in given and validation_dir is not None:
            raise typer.BadParameter("give --validation or --validation-dir, not both.")
        if store is not None and not track:
            raise typer.BadParameter("--store says where a run is recorded: add --track.")
        height, _, width = size.partition("x")
        options = TrainOptions(
            directory=directory,
            out=out,
            model=model,
            weights=weights,
            epochs=epochs,
            batch_size=batch_size,
            workers=workers if workers == "auto" else int(workers),
            augment=augment,
            size=(int(height), int(width or height)),
            validation=validation,
            validation_dir=validation_dir,
            seed=seed,
            resume=resume,
            on_error=on_error,
            save_minutes=save_minutes,
            track=track,
            store=store,
            given=given,
        )
        run_train(options, TrainReport(Console(highlight=False, markup=False, soft_wrap=True)))
