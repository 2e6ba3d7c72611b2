"""`penstock bench` and its options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli._endings import CANNOT_MEASURE, plain_endings
from penstock.cli._options import ends_in, one_of

_EXECUTORS = ("threads", "processes")
_PEERS = ("keras", "tfdata", "torch", "grain")
_DATASETS = ("cifar10", "cats-dogs")
_MODELS = ("cifar10", "cats-dogs")
_MOST_WORKERS, _LARGEST_BATCH = 512, 65_536

bench_app = typer.Typer(
    help="Measure what workers are worth: the study that penstock began with, on your machine and your images.",
    no_args_is_help=True,
)


def _words(text: str, known: tuple[str, ...]) -> str:
    words = [word.strip() for word in text.split(",")]
    if not all(word in known for word in words):
        raise typer.BadParameter(f"should be of {', '.join(known)}, separated by commas.")
    return ",".join(dict.fromkeys(words))


def _numbers(text: str, least: int, most: int) -> str:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and least <= int(word) <= most for word in words):
        raise typer.BadParameter(f"should be numbers from {least} to {most}, separated by commas.")
    return ",".join(dict.fromkeys(str(int(word)) for word in words))


def _workers(text: str) -> str:
    return text if text == "auto" else _numbers(text, 0, _MOST_WORKERS)


def _batch_sizes(text: str) -> str:
    return _numbers(text, 1, _LARGEST_BATCH)


def _executors(text: str) -> str:
    return _words(text, _EXECUTORS)


def _peers(text: str | None) -> str | None:
    return text if text is None else _words(text, _PEERS)


def _latency(seconds: float | None) -> float | None:
    if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= 60):
        raise typer.BadParameter("should be seconds above 0, and 60 at most.")
    return seconds


Directory = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Images in class folders, or the files of CIFAR-10. Left out: --dataset.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=one_of(*_DATASETS),
        help="cifar10: Keras's copy, if there is one, else made data of its shape. cats-dogs: crops of 8 photographs.",
    ),
]
Workers = Annotated[
    str,
    typer.Option(
        metavar="N,N,...",
        callback=_workers,
        help='Numbers to try; "auto" goes by the usable CPUs. 0, the caller\'s thread, is always among them.',
    ),
]
Executor = Annotated[
    str, typer.Option(metavar="NAME,...", callback=_executors, help="What workers are: threads, processes.")
]
BatchSize = Annotated[str, typer.Option(metavar="N,N,...", callback=_batch_sizes, help="Images in a batch.")]
Rounds = Annotated[int, typer.Option(min=1, max=1000, help="How often all are measured, in turns; medians count.")]
Images = Annotated[
    int | None,
    typer.Option(min=1, max=10**9, help="In each piece that is measured. Left out: what --seconds allow."),
]
Seconds = Annotated[float, typer.Option(min=1, max=86_400, help="About how long all rounds take, unless --images.")]
Peers = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        callback=_peers,
        help=f"Others to measure on the same work, in processes of their own: {', '.join(_PEERS)}.",
    ),
]
Size = Annotated[int, typer.Option(min=8, max=4096, metavar="PIXELS", help="Side that images in files are resized to.")]
Cold = Annotated[bool, typer.Option("--cold", help="Drop the files from the system's cache before each piece.")]
Latency = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", callback=_latency, help="Feed a sequence that sleeps so long for each batch."),
]
SplitFlat = Annotated[
    bool,
    typer.Option(
        "--split-flat",
        help="DIR is flat, of names as cat.8000.jpg: make DIR-classes of links. Numbers that begin with 8 validate.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        callback=ends_in(".json"),
        help="The record; a page and two pictures are written beside it. [default: penstock-bench-....json]",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=one_of(*_MODELS),
        help=f"{' or '.join(_MODELS)}: the study's networks. Left out: by the data.",
    ),
]


@bench_app.command()
def images(
    directory: Directory = None,
    dataset: Dataset = None,
    workers: Workers = "auto",
    executor: Executor = "threads,processes",
    batch_size: BatchSize = "32",
    rounds: Rounds = 5,
    images: Images = None,
    seconds: Seconds = 90,
    peers: Peers = None,
    size: Size = 150,
    cold: Cold = False,
    latency: Latency = None,
    split_flat: SplitFlat = False,
    out: Out = None,
) -> None:
    """Measure how fast augmented batches are made, by more and more workers.

    Exits with 2 where something cannot be measured, with 130 after Ctrl-C, which keeps what was measured so far.
    """
    _run("images", **locals())


@bench_app.command()
def train(
    directory: Directory = None,
    dataset: Dataset = None,
    workers: Workers = "auto",
    executor: Executor = "threads,processes",
    batch_size: BatchSize = "32",
    rounds: Rounds = 5,
    images: Images = None,
    seconds: Seconds = 90,
    peers: Peers = None,
    model: Model = None,
    size: Size = 150,
    cold: Cold = False,
    latency: Latency = None,
    split_flat: SplitFlat = False,
    out: Out = None,
) -> None:
    """Measure how fast a network trains on augmented batches, made by more and more workers.

    It trains on a GPU where there is one. Exits as `penstock bench images` does.
    """
    _run("train", **locals())


def _run(
    experiment: str,
    *,
    directory: Path | None,
    dataset: str | None,
    workers: str,
    executor: str,
    batch_size: str,
    rounds: int,
    images: int | None,
    seconds: float,
    peers: str | None,
    size: int,
    cold: bool,
    latency: float | None,
    split_flat: bool,
    out: Path | None,
    model: str | None = None,
) -> None:
    """Measure, by the options of both commands."""
    with plain_endings(failed=CANNOT_MEASURE):
        from rich.console import Console

        from penstock.cli._bench import BenchOptions, run_bench
        from penstock.cli._bench_report import BenchReport

        options = BenchOptions(
            experiment=experiment,
            directory=directory,
            dataset=dataset,
            workers=None if workers == "auto" else tuple(map(int, workers.split(","))),
            executors=tuple(executor.split(",")),
            batch_sizes=tuple(map(int, batch_size.split(","))),
            rounds=rounds,
            images=images,
            seconds=seconds,
            peers=tuple(peers.split(",")) if peers else (),
            model=model,
            side_px=size,
            cold=cold,
            latency_s=latency,
            is_flat=split_flat,
            out=Path(f"penstock-bench-{experiment}.json") if out is None else out,
        )
        run_bench(options, BenchReport(Console(highlight=False, markup=False, soft_wrap=True)))
