"""What `penstock bench` does, step by step."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from penstock._errors import PenstockError
from penstock.bench._errors import BenchError
from penstock.bench._machine import Machine
from penstock.bench.peers._catalogue import versions
from penstock.bench.study._data import StudyData
from penstock.bench.study._findings import Findings
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._page_cache import can_forget
from penstock.bench.study._peer import HOW, NEEDS, check_peer
from penstock.bench.study._record import TRAIN, StudyRecord
from penstock.bench.study._setting import PEERS_BY_WORD, Setting, settings_for, usual_workers
from penstock.bench.study._study import Study
from penstock.cli._bench_data import CATS_DOGS, CIFAR10, BenchData, bench_data
from penstock.cli._bench_files import BenchFiles
from penstock.cli._bench_report import BenchReport, duration
from penstock.cli._ctrl_c import remembered_ctrl_c
from penstock.cli._devices import training_devices
from penstock.cli._endings import CommandError
from penstock.cli._load_keras import load_keras
from penstock.feeding._cpus import usable_cpus

USUAL_SIDE_PX = 150  # of the cats-and-dogs example
LEAST_SIDES_PX = {CIFAR10: 10, CATS_DOGS: 22}  # of which the networks' convolutions leave something


@dataclass(frozen=True)
class BenchOptions:
    """What the user chose.

    Attributes:
        experiment: "images" or "train".
        directory: of images; None for `dataset`.
        dataset: "cifar10" or "cats-dogs"; None for what the folder is.
        workers: numbers to try; None for those that go by the CPUs there are.
        executors: "threads", "processes".
        batch_sizes: images in a batch.
        rounds: how often everything is measured.
        images: in a piece; None to choose by `seconds`.
        seconds: that all rounds should take.
        peers: words of `PEERS_BY_WORD`.
        model: name of the network; None for the one that goes with the data.
        side_px: of images in files.
        cold: drop files from the cache first.
        latency_s: sleep so long for each batch instead.
        is_flat: link the images of a flat folder into class folders first.
        out: the record.
    """

    experiment: str
    directory: Path | None
    dataset: str | None
    workers: tuple[int, ...] | None
    executors: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    rounds: int
    images: int | None
    seconds: float
    peers: tuple[str, ...]
    model: str | None
    side_px: int
    cold: bool
    latency_s: float | None
    is_flat: bool
    out: Path

    def command(self, images: int) -> str:
        """The line that does the same again.

        Args:
            images: that were measured in a piece.
        """
        words = ["penstock", "bench", self.experiment]
        words += [] if self.directory is None else [self.directory.name]
        words += [] if self.dataset is None else ["--dataset", self.dataset]
        words += [] if self.latency_s is None else ["--latency", f"{self.latency_s:g}"]
        words += ["--workers", _listed(self.workers or usual_workers(usable_cpus()))]
        words += ["--executor", _listed(self.executors), "--batch-size", _listed(self.batch_sizes)]
        words += ["--rounds", f"{self.rounds}", "--images", f"{images}"]
        words += ["--peers", _listed(self.peers)] if self.peers else []
        words += [] if self.model is None else ["--model", self.model]
        words += [] if self.side_px == USUAL_SIDE_PX else ["--size", f"{self.side_px}"]
        words += [word for word, is_set in (("--cold", self.cold), ("--split-flat", self.is_flat)) if is_set]
        return shlex.join(words)


def run_bench(options: BenchOptions, report: BenchReport) -> None:
    """Measure, and print and save what comes of it; what was measured before anything went wrong, too.

    Raises:
        CommandError: what was asked for cannot be done, or a peer failed.
        PenstockError: an image cannot be read.
        KeyboardInterrupt: on Ctrl-C.
    """
    # What can be refused is refused before Keras is loaded, and before anything is measured.
    import_module("matplotlib")
    files = BenchFiles(options.out)
    files.check(options.directory)
    peers = tuple(PEERS_BY_WORD[word] for word in options.peers)
    try:
        for peer in peers:
            check_peer(peer, options.latency_s is not None)
    except BenchError as error:
        raise CommandError(str(error)) from None
    found = bench_data(
        options.directory,
        options.dataset,
        images=None if options.images is None else max(options.images, *options.batch_sizes),
        side_px=options.side_px,
        latency_s=options.latency_s,
        is_flat=options.is_flat,
        progress=report.progress,
    )
    _check(options, found)
    if peers:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or a GPU has no memory left for theirs
    with report.busy("Loading Keras"):
        keras = load_keras()
    began = perf_counter()
    trained = options.experiment == TRAIN
    devices, has_gpu = training_devices(keras) if trained else ("", False)
    report.heading(found, devices, has_gpu)
    study = Study(
        data=found.data,
        settings=settings_for(
            options.workers or usual_workers(usable_cpus()),
            options.executors,
            options.batch_sizes,
            peers,
            peer_workers=usable_cpus(),
            model_alone=trained,
        ),
        rounds=options.rounds,
        images=options.images,
        seconds=options.seconds,
        model=(options.model or found.model) if trained else None,
        backend=keras.config.backend(),
        cold=options.cold,
    )
    progress = _Progress(study, report)
    trouble: BaseException | None = None
    try:
        with remembered_ctrl_c() as check:
            progress.run(check)
    except (KeyboardInterrupt, BenchError, PenstockError, OSError) as error:
        trouble = error
    findings = progress.findings
    if findings.measured:
        record = StudyRecord(
            machine=Machine.here(),
            experiment=options.experiment,
            data=found.words,
            devices=devices,
            settings=_settings(options, found, study, progress.images),
            findings=findings,
            wall_s=perf_counter() - began,
            is_complete=trouble is None,
        )
        report.result(record)
        files.save(record)
        report.saved(files)
    if isinstance(trouble, BenchError):
        raise CommandError(str(trouble)) from None
    if trouble is not None:
        raise trouble


class _Progress:
    """Runs a study, and keeps what it has told.

    Args:
        study: what to measure.
        report: shows it.
    """

    def __init__(self, study: Study, report: BenchReport) -> None:
        self._study, self._report = study, report
        self._readings: dict[Setting, list[PieceReading]] = {}
        self.images = 1

    @property
    def findings(self) -> Findings:
        """Of what has been measured so far."""
        return Findings.of(self._study.settings, self._readings)

    def run(self, check: Any) -> None:
        """All of it."""
        study, report = self._study, self._report
        measure = study.measure(check)
        with report.busy("Warming up") as now:
            warm = study.warm_up(measure, lambda setting: now(f"Warming up: {_named(setting, study)}"))
        self.images = study.images_in_piece(warm)
        pieces = study.rounds * len(study.settings)
        seconds = warm.seconds(self.images, study.rounds)
        report.estimate(self.images, pieces, seconds)
        began, done = perf_counter(), 0

        def tell(setting: Setting, number: int) -> None:
            left_s = seconds if not done else (perf_counter() - began) / done * (pieces - done)
            show(
                self.findings.of_size(setting.batch_size),
                f"Round {number} of {study.rounds}: {_named(setting, study)}; about {duration(left_s)} left",
            )

        def take(setting: Setting, reading: PieceReading) -> None:
            nonlocal done
            done += 1
            self._readings.setdefault(setting, []).append(reading)

        with report.live(self.images, trained=study.model is not None) as show:
            study.run(measure, self.images, tell, take)


def _named(setting: Setting, study: Study) -> str:
    several = len({each.batch_size for each in study.settings}) > 1
    return f"{setting.label}, batches of {setting.batch_size}" if several else setting.label


def _check(options: BenchOptions, found: BenchData) -> None:
    data: StudyData = found.data
    if max(options.batch_sizes) > data.images:
        raise CommandError(
            f"--batch-size should be at most the number of images, {data.images}. Received: {max(options.batch_sizes)}"
        )
    least_px = LEAST_SIDES_PX[options.model or found.model]
    if options.experiment == TRAIN and data.side_px < least_px:
        raise CommandError(f"--size should be from {least_px} on for the network that trains. Received: {data.side_px}")
    if options.cold:
        if found.place != "disk":
            raise CommandError("--cold is for images in files: give DIR, or --dataset cats-dogs.")
        if not can_forget():
            raise CommandError("--cold needs posix_fadvise, which only Linux and its kin have. Leave it out.")
        if options.images is not None and options.images > data.images:
            raise CommandError(
                f"--images should be at most the number of files with --cold, {data.images}: those that are read twice "
                f"are in the cache. Received: {options.images}"
            )


def _settings(options: BenchOptions, found: BenchData, study: Study, images: int) -> Mapping[str, Any]:
    return {
        "command": options.command(images),
        "place": found.place,
        "images": images,
        "rounds": options.rounds,
        "workers": list(options.workers or usual_workers(usable_cpus())),
        "executors": list(options.executors),
        "batch_sizes": list(options.batch_sizes),
        "model": study.model,
        "backend": study.backend,
        "cold": options.cold,
        "latency_s": options.latency_s,
        "peers": {
            peer: {"how": HOW[peer], "packages": versions(NEEDS[peer])}
            for peer in (PEERS_BY_WORD[word] for word in options.peers)
        },
    }


def _listed(values: tuple[Any, ...]) -> str:
    return ",".join(map(str, values))
