"""What `penstock plan` does, step by step."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from penstock.bench._errors import BenchError
from penstock.cli._curves import replace
from penstock.cli._endings import CommandError
from penstock.cli._plan_folder import PlannedFolder, look_into
from penstock.cli._plan_report import PlanReport
from penstock.cli._quiet import quiet_decoders
from penstock.planning._plan import Job, Plan, PlanError, Site, plan, waiting_by_cores
from penstock.planning._rates import Rates

_IMAGE_SIZE, _IMAGE_BYTES = (500, 375), 110e3  # about what ImageNet's are on average
_CROPS = 32


@dataclass(frozen=True)
class PlanOptions:
    """What the user chose.

    Attributes:
        directory: some of the images; None for what `image_size` and `image_bytes` say.
        images: in an epoch; None for those of the directory.
        image_size: `(width, height)` of an image as it is stored; None for the directory's, or ImageNet's.
        image_bytes: of its file; the same.
        target_size: `(height, width)` of an image in a batch.
        rates: a file of rates; None for those that come with the package, unless they are measured.
        measure, seconds, save_rates: whether they are, for how long, and where to.
        plot: a PNG file to draw, or None.
        price_per_million_requests: of the object store; None to say no price.
        seed: of the simulation.
        epochs, gpus, step_s, batch_size, waiting: see `Job`.
        site: see there.
        as_json: print that.
    """

    directory: Path | None
    images: int | None
    epochs: int
    gpus: int
    step_s: float
    batch_size: int
    image_size: tuple[int, int] | None
    image_bytes: float | None
    target_size: tuple[int, int]
    waiting: float
    site: Site
    price_per_million_requests: float | None = None
    rates: Path | None = None
    measure: bool = False
    seconds: float = 8.0
    save_rates: Path | None = None
    plot: Path | None = None
    as_json: bool = False
    seed: int = 0


def run_plan(options: PlanOptions, report: PlanReport) -> Plan:
    """Plan, and say it.

    Raises:
        CommandError: options contradict one another, there are no images or rates where they should be, or no number
            of cores would do.
        ImportError: a picture or a measurement needs an extra that is not installed.
    """
    if options.measure and options.rates is not None:
        raise CommandError("--rates FILE or --measure should be given, not both.")
    if options.save_rates is not None and not options.measure:
        raise CommandError("--save-rates needs --measure, which measures them.")
    if options.save_rates is not None:
        _check_rates_file(options.save_rates)
    if options.plot is not None:
        import matplotlib as mpl  # noqa: F401, better missed now than when all is done
    folder = None
    if options.directory is not None:
        with report.busy("Looking for images"):
            folder = look_into(options.directory)
    job = _job(options, folder)
    rates = _rates(options, folder, report)
    if options.save_rates is not None:
        replace(options.save_rates, rates.to_json().encode())
    try:
        with report.busy("Simulating"):
            answer = plan(job, options.site, rates, options.seed)
            curve = list(waiting_by_cores(answer, rates, options.seed)) if options.plot or options.as_json else []
    except PlanError as error:
        raise CommandError(str(error)) from error
    if options.plot is not None:
        from penstock.cli._plan_plot import save_plot

        save_plot(answer, curve, options.plot)
    if options.as_json:
        report.json(answer, rates, curve, options.price_per_million_requests)
    else:
        report.result(answer, rates, options.price_per_million_requests)
    for path in filter(None, (options.save_rates, options.plot)):
        report.wrote(path)
    return answer


def _job(options: PlanOptions, folder: PlannedFolder | None) -> Job:
    images = options.images
    if images is None:
        if folder is None:
            raise CommandError("--images N or DIR should say how many images there are.")
        images = folder.images
    if options.image_size is not None:
        image_px = float(options.image_size[0] * options.image_size[1])
    else:
        image_px = folder.image_px if folder else float(_IMAGE_SIZE[0] * _IMAGE_SIZE[1])
    image_bytes = options.image_bytes or (folder.image_bytes if folder else _IMAGE_BYTES)
    return Job(
        images=images,
        epochs=options.epochs,
        gpus=options.gpus,
        step_s=options.step_s,
        batch_size=options.batch_size,
        image_px=image_px,
        image_bytes=image_bytes,
        target_px=float(options.target_size[0] * options.target_size[1]),
        waiting=options.waiting,
    )


def _rates(options: PlanOptions, folder: PlannedFolder | None, report: PlanReport) -> Rates:
    if options.measure:
        return _measured(options, folder, report)
    if options.rates is None:
        return Rates.shipped()
    try:
        return read_rates(options.rates.read_text("utf-8"))
    except ValueError as error:
        raise CommandError(
            f"--rates should be a file that --save-rates wrote, or a record of the benchmark with rates in it. "
            f"{str(options.rates)!r} is neither: {error}"
        ) from error


def read_rates(text: str) -> Rates:
    """Rates of a file of their own, or of the first row of a benchmark's record that has some in its settings.

    Raises:
        ValueError: there are none.
    """
    whole = json.loads(text)
    if isinstance(whole, dict) and isinstance(whole.get("rows"), list):
        for row in whole["rows"]:
            settings = row.get("settings") if isinstance(row, dict) else None
            if isinstance(settings, dict) and "rates" in settings:
                return Rates.of(settings["rates"])
    return Rates.of(whole)


def _check_rates_file(path: Path) -> None:
    """Refuse, before anything is measured, to replace what is no file of rates."""
    if path.is_dir():
        raise CommandError(f"--save-rates should be a file, and {str(path)!r} is a folder.")
    if path.exists():
        try:
            Rates.of(json.loads(path.read_text("utf-8")))
        except ValueError as error:
            raise CommandError(
                f"{path} is in the way, and holds no rates. Choose another --save-rates, or move it away."
            ) from error


def _measured(options: PlanOptions, folder: PlannedFolder | None, report: PlanReport) -> Rates:
    import tempfile

    from penstock.bench._photographs import ensure_photographs
    from penstock.bench._plan_request import measure_request
    from penstock.cli._load_keras import load_keras
    from penstock.cli._photographs import shipped_photographs

    with report.busy("Loading Keras"):
        keras = load_keras()
        from penstock.bench._plan_rates import measure_rates
        from penstock.cli._feeds import AUGMENTATION

        keras.utils.disable_interactive_logging()  # it would say how many files each flow found
    side_px = round((options.target_size[0] * options.target_size[1]) ** 0.5)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="penstock-plan-") as temporary,
            quiet_decoders(),
            report.busy("Measuring") as now,
        ):
            if folder is None:
                shipped_photographs()  # says what is missing
                crops = Path(temporary, "photographs")
                ensure_photographs(crops, _CROPS)
                sample, images = sorted(crops.glob("*/*.jpg")), "crops of photographs"
            else:
                sample, images = list(folder.sample), f"images of {str(options.directory)!r}"
            rates = measure_rates(sample, side_px, options.seconds, AUGMENTATION, images, now)
            now("Measuring requests")
            shipped = Rates.shipped()
            request_s, requests = measure_request() or (shipped.request_s, shipped.requests)
            return dataclasses.replace(rates, request_s=request_s, requests=requests)
    except BenchError as error:
        raise CommandError(str(error)) from error
