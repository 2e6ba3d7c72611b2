"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import penstock
from penstock.cli._bench_app import bench_app
from penstock.cli._endings import CANNOT_SCAN, plain_endings
from penstock.cli._options import AnyImages, BatchSize, Size, Store, ends_in, number_or_auto, one_of

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")

app = typer.Typer(
    name="penstock",
    help="Feeds images to Keras models: augmented, in order, on all cores.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback is a bug report: plain, and without the values of variables
)
app.add_typer(bench_app, name="bench")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {penstock.__version__}")
        raise typer.Exit


def _threads(text: str) -> str:
    if text != "auto" and (not text.isdecimal() or int(text) == 0):
        raise typer.BadParameter('should be "auto" or a number from 1 on.')
    return text


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Your own images, one folder per class. Left out: crops of 8 photographs."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the picture and the photographs are written.")] = Path(
        "demo"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="How often training sees every image.")] = 3,
    batch_size: BatchSize = 16,
    workers: Annotated[
        str, typer.Option(metavar="N", callback=number_or_auto, help='Threads that feed; "auto" is one per usable CPU.')
    ] = "auto",
    photos: Annotated[int, typer.Option(min=32, max=100_000, help="Crops to make of the photographs.")] = 640,
    rounds: Annotated[int, typer.Option(min=1, help="How often the feeds are measured; the medians count.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed makes the same images.")] = 0,
) -> None:
    """Train a small network on augmented photographs, and compare the feed with Keras's own."""
    with plain_endings():
        from penstock.cli._demo import DemoOptions, run_demo

        run_demo(
            DemoOptions(
                data=data,
                out=out,
                epochs=epochs,
                batch_size=batch_size,
                workers=workers if workers == "auto" else int(workers),
                photos=photos,
                rounds=rounds,
                seed=seed,
            )
        )


@app.command()
def check(
    directory: AnyImages,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=ends_in(".csv", ".json"), help="Write the whole list there, as .csv or .json."
        ),
    ] = None,
    workers: Annotated[
        str, typer.Option(metavar="N", callback=_threads, help='Threads that read; "auto" is one per usable CPU.')
    ] = "auto",
    max_pixels: Annotated[
        int,
        typer.Option(min=1, help="An image of more pixels is large, and so is a file of more than 3 bytes for each."),
    ] = 50_000_000,
) -> None:
    """Read every image of a folder as training would, and list those that are damaged, mislabelled or very large.

    Exits with 0 where nothing is wrong, with 1 where something is, with 2 where there is nothing to check.
    """
    with plain_endings(failed=CANNOT_SCAN):
        from rich.console import Console

        from penstock.cli._check import CheckOptions, run_check
        from penstock.cli._check_report import CheckReport

        options = CheckOptions(
            directory=directory,
            out=out,
            workers=workers if workers == "auto" else int(workers),
            max_pixels=max_pixels,
        )
        raise typer.Exit(run_check(options, CheckReport(Console(highlight=False, markup=False, soft_wrap=True))))


@app.command()
def preview(
    directory: AnyImages,
    out: Annotated[
        Path, typer.Option(metavar="FILE", callback=ends_in(".png"), help="The picture, outside DIR.")
    ] = Path("preview.png"),
    rows: Annotated[int, typer.Option(min=1, max=100, help="Images, taken from all through the folder.")] = 4,
    columns: Annotated[int, typer.Option(min=1, max=100, help="Epochs.")] = 4,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the originals, too, and write what was drawn under each image.")
    ] = False,
    size: Size = (256, 256),
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="The same seed makes the same picture.")] = 0,
    rotation_range: Annotated[float, typer.Option(help="Degrees.")] = 0.0,
    width_shift_range: Annotated[float, typer.Option(help="Below 1 a share of the width, else pixels.")] = 0.0,
    height_shift_range: Annotated[float, typer.Option(help="Below 1 a share of the height, else pixels.")] = 0.0,
    zoom_range: Annotated[float, typer.Option(help="Z for 1 - Z to 1 + Z; above 1 zooms out.")] = 0.0,
    shear_range: Annotated[float, typer.Option(help="Degrees.")] = 0.0,
    brightness_range: Annotated[
        tuple[float, float] | None, typer.Option(metavar="LOW HIGH", help="Two factors; 1 changes nothing.")
    ] = None,
    channel_shift_range: Annotated[float, typer.Option(help="Added to all channels, of 0 to 255.")] = 0.0,
    horizontal_flip: Annotated[bool, typer.Option("--horizontal-flip", help="Flip every second image.")] = False,
    vertical_flip: Annotated[bool, typer.Option("--vertical-flip", help="Flip every second image.")] = False,
    fill_mode: Annotated[str, typer.Option(help="What lies outside the image, as SciPy names it.")] = "nearest",
) -> None:
    """Show what augmentation does to the images of a folder, as a picture.

    It has a row for each of some images and a column for each epoch. The ranges are those of ImageDataGenerator.
    """
    with plain_endings():
        from penstock.cli._preview import PreviewOptions, run_preview

        run_preview(
            PreviewOptions(
                directory=directory,
                out=out,
                rows=rows,
                columns=columns,
                explain=explain,
                size=size,
                seed=seed,
                rotation_range=rotation_range,
                width_shift_range=width_shift_range,
                height_shift_range=height_shift_range,
                zoom_range=zoom_range,
                shear_range=shear_range,
                brightness_range=brightness_range,
                channel_shift_range=channel_shift_range,
                horizontal_flip=horizontal_flip,
                vertical_flip=vertical_flip,
                fill_mode=fill_mode,
            ),
            typer.echo,
        )


@app.command()
def tune(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="The images, in class folders or flat. Left out: the photographs of `penstock demo`.",
        ),
    ] = None,
    size: Size = (224, 224),
    batch_size: BatchSize = 32,
    interpolation: Annotated[
        str, typer.Option(metavar="NAME", callback=one_of(*INTERPOLATIONS), help=f"One of {', '.join(INTERPOLATIONS)}.")
    ] = "nearest",
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long to measure, once Keras is loaded.")] = 60,
    step_ms: Annotated[
        float, typer.Option(min=0, help="What your model takes for a batch, in milliseconds; 0: as little as can be.")
    ] = 0,
) -> None:
    """Measure a folder of images with more and more workers, and print the line to paste.

    The augmentation is that of the cats-and-dogs example: rotation, shifts, zoom and flips.
    """
    with plain_endings():
        from rich.console import Console

        from penstock.cli._tune import TuneOptions, run_tune
        from penstock.cli._tune_report import TuneReport

        options = TuneOptions(
            directory=directory,
            size=size,
            batch_size=batch_size,
            interpolation=interpolation,
            seconds=seconds,
            step_ms=step_ms,
        )
        run_tune(options, TuneReport(Console(highlight=False, markup=False, soft_wrap=True)))


@app.command()
def verify(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="The images, in class folders or flat. Left out: images that are made for it.",
        ),
    ] = None,
    size: Size = (224, 224),
    batch_size: BatchSize = 32,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="The same seed makes the same batches.")] = 0,
    augment: Annotated[
        str,
        typer.Option(metavar="SETTINGS", help="Those of ImageDataGenerator, as in a call."),
    ] = "rotation_range=40,width_shift_range=.2,height_shift_range=.2,zoom_range=.2,horizontal_flip=True,rescale=1/255",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Threads, and then processes.")] = 3,
    batches: Annotated[int, typer.Option(min=0, help="Only so many; 0 for the whole epoch.")] = 0,
) -> None:
    """Prove on your own images that serial, threads and processes make the same bytes, and print their digest.

    It is `flow.digest()`. Exits with 0 where all are the same, with 1 where they differ, with 2 where there is nothing
    to compare.
    """
    with plain_endings(failed=CANNOT_SCAN):
        from rich.console import Console

        from penstock.cli._augment_option import parse_augment
        from penstock.cli._load_keras import load_keras
        from penstock.cli._verify import VerifyOptions, run_verify
        from penstock.cli._verify_report import VerifyReport

        report = VerifyReport(Console(highlight=False, markup=False, soft_wrap=True))
        with report.busy("Loading Keras"):
            load_keras()
        options = VerifyOptions(directory, size, batch_size, seed, parse_augment(augment), workers, batches)
        raise typer.Exit(run_verify(options, report))


@app.command()
def runs(
    where: Annotated[
        str, typer.Option(metavar="CONDITION", help='Only those, such as "val_accuracy > 0.8 and batch_size = 32".')
    ] = "",
    sort: Annotated[
        str, typer.Option(metavar="NAME", help="A metric or a setting; -NAME for the greatest first.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Runs to list.")] = 20,
    store: Store = None,
) -> None:
    """List the runs that penstock.callbacks.Tracker has recorded, the newest first."""
    with plain_endings(failed=CANNOT_SCAN):
        from penstock.cli._runs import RunsOptions, run_runs
        from penstock.cli._runs_report import RunsReport
        from penstock.cli._terminal import wide_console

        run_runs(RunsOptions(store, where, limit, sort), RunsReport(wide_console()))


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Ids, their beginnings, or names.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=ends_in(".png", ".html"), help="Draw the curves there, .png; or all of it, .html."
        ),
    ] = None,
    store: Store = None,
) -> None:
    """Show in what runs differ, settings, data and code, and how they went."""
    with plain_endings(failed=CANNOT_SCAN):
        from penstock.cli._compare import CompareOptions, run_compare
        from penstock.cli._compare_report import CompareReport
        from penstock.cli._terminal import wide_console

        if len(runs) < 2:
            raise typer.BadParameter("should be two runs or more.", param_hint="RUN RUN...")
        run_compare(CompareOptions(tuple(runs), store, out), CompareReport(wide_console()))
