"""What `penstock demo` does, step by step."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console

from penstock.cli._demo_report import DemoReport
from penstock.cli._endings import CommandError
from penstock.cli._load_keras import load_keras
from penstock.cli._photographs import make_crops, shipped_photographs
from penstock.cli._picture import check_picture, save_picture
from penstock.cli._training_images import TrainingImages, crops_to_train_on, folder_to_train_on


@dataclass(frozen=True)
class DemoOptions:
    """What the user chose.

    Attributes:
        data: class folders to train on; None for crops of photographs.
        out: the folder that everything is written to.
        epochs: of training.
        batch_size: images in a batch.
        workers: threads that feed, or "auto".
        photos: crops to make.
        rounds: of the measurement.
        seed: of crops, augmentation, order and weights.
    """

    data: Path | None
    out: Path
    epochs: int
    batch_size: int
    workers: int | str
    photos: int
    rounds: int
    seed: int


def run_demo(options: DemoOptions) -> None:
    """Run the demo, and print what comes of it.

    Raises:
        CommandError: one of the folders will not do; nothing has been written then.
    """
    began = perf_counter()
    report = DemoReport(Console(highlight=False, markup=False, soft_wrap=True))
    # What can be refused is refused before Keras is loaded, which takes seconds.
    own_images = None if options.data is None else folder_to_train_on(options.data)
    if own_images is None:
        shipped_photographs()
    _check_out(options.out, options.data)
    picture = options.out / "augmented.png"
    check_picture(picture, "demo")
    with report.busy("Loading Keras"):
        keras = load_keras()

        from penstock.bench.study._models import CATS_DOGS_SIDE_PX as INPUT_SIDE_PX
        from penstock.cli._feed_rates import measure_feeds
        from penstock.cli._feeds import training_flow, validation_flow
        from penstock.cli._grid import augmented_grid
        from penstock.cli._models import classic_model
        from penstock.cli._training import train

        keras.utils.set_random_seed(options.seed)
    report.heading(keras.version(), keras.config.backend())

    images = own_images or _make_images(options, report)
    report.images(images)

    with report.progress("Measuring", options.rounds) as advance, warnings.catch_warnings():
        # Keras still calls SciPy by a name that SciPy has deprecated; a user of the demo can do nothing about it.
        warnings.filterwarnings("ignore", "Please import", DeprecationWarning)
        rates = measure_feeds(
            images,
            INPUT_SIDE_PX,
            batch_size=options.batch_size,
            workers=options.workers,
            rounds=options.rounds,
            seed=options.seed,
            on_round=advance,
        )
    report.rates(rates)

    with (
        training_flow(
            images, INPUT_SIDE_PX, batch_size=options.batch_size, workers=options.workers, seed=options.seed
        ) as training,
        validation_flow(images, INPUT_SIDE_PX, batch_size=options.batch_size, workers=options.workers) as validation,
        report.progress("Training", options.epochs * len(training)) as advance,
    ):
        trained = train(
            classic_model(len(images.classes)),
            training,
            validation,
            options.epochs,
            on_step=advance,
            on_epoch=report.epoch,
        )
    report.training(trained, images)

    save_picture(augmented_grid(images, options.seed), picture, "demo")
    report.picture(picture, perf_counter() - began)


def _check_out(out: Path, data: Path | None) -> None:
    if out.exists() and not out.is_dir():
        raise CommandError(f"--out should be a folder. {str(out)!r} is a file.")
    # The picture would be an image of one more class at the next run.
    if data is not None and out.resolve().is_relative_to(data.resolve()):
        raise CommandError(f"--out should not lie in --data, and {str(out)!r} does. Choose another --out.")


def _make_images(options: DemoOptions, report: DemoReport) -> TrainingImages:
    with report.progress("Cutting photographs", options.photos) as advance:
        crops = make_crops(options.out / "photographs", options.photos, options.seed, advance)
    report.crops(crops)
    return crops_to_train_on(crops)
