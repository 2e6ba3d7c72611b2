"""The command line: `python -m penstock.bench [run|table|readme|before-after|picture|study|plan]`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from penstock.bench._claim import KINDS
from penstock.bench._errors import BenchError
from penstock.bench._machine import Machine, keep_to_cores
from penstock.bench._measure import run_rounds
from penstock.bench._record import Record, RowRecord, SideRecord
from penstock.bench._table import PLACE, put_between_markers, table

if TYPE_CHECKING:
    from penstock.bench._scale import Scale

ROW_NAMES = ("memory-uint8", "memory-float32", "files", "second-thread", "busy-main", "epoch-border")
PEER_ROW_NAMES = ("peers-memory", "peers-files")  # only where they are asked for, as the next ones
FEED_ROW_NAMES = (
    "feed-waiting",
    "feed-python",
    "feed-large",
    "feed-images",
    "feed-handover",
    "feed-start",
    "feed-memory",
    "feed-busy",
)
AUTO_ROW_NAMES = ("auto-waiting", "auto-python", "auto-large", "auto-memory", "auto-files")
SMALL_ROW_NAMES = ("fast-decoding", "small-batches", "tiny-work", "start")
KERNEL_ROW_NAMES = ("kernels",)
PLAN_ROW_NAMES = ("plan-cost", "plan-waiting", "plan-latency")
REMOTE_ROW_NAMES = ("remote", "remote-large")
_ALL_ROW_NAMES = (
    *ROW_NAMES,
    *PEER_ROW_NAMES,
    *FEED_ROW_NAMES,
    *AUTO_ROW_NAMES,
    *SMALL_ROW_NAMES,
    *KERNEL_ROW_NAMES,
    *PLAN_ROW_NAMES,
    *REMOTE_ROW_NAMES,
)
_NEEDS_LINUX = {"feed-memory": "/proc/*/smaps_rollup"}
_TRAINING_BATCH = 32
_COMMANDS = ("run", "table", "readme", "before-after", "picture", "study", "plan")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; `run` is the one that needs not be named.

    Returns:
        The exit status: 0, or 2 for arguments and files that are not as they should be.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0] not in _COMMANDS and words[0] not in ("-h", "--help")):
        words.insert(0, "run")
    options = _parser().parse_args(words)
    try:
        if options.command == "run":
            _run(options)
        elif options.command == "before-after":
            _train_both(options)
        elif options.command == "picture":
            from penstock.bench._before_after import BeforeAfter
            from penstock.bench._before_after_picture import draw_before_after

            draw_before_after(BeforeAfter.load(options.record), options.path)
        elif options.command == "study":
            from penstock.bench.study._original import study_table
            from penstock.bench.study._record import StudyRecord

            block = study_table([StudyRecord.load(path) for path in options.records])
            _put(options.file, block, options.markers)
        elif options.command == "plan":
            from penstock.bench._plan_table import foretold_table, rates_table
            from penstock.planning._rates import Rates

            _put(options.file, rates_table(Rates.shipped()), "rates")
            _put(options.file, foretold_table(Record.load(options.record)), "foretold")
        elif options.command == "table":
            sys.stdout.write(table(Record.load(options.record)))
        else:
            _put(options.file, table(Record.load(options.record), options.kinds), options.markers)
    except (OSError, BenchError) as error:
        sys.stderr.write(f"penstock.bench: {error}\n")
        return 2
    return 0


def _put(file: Path, block: str, place: str) -> None:
    file.write_text(put_between_markers(file.read_text("utf-8"), block, place), "utf-8")


def _run(options: argparse.Namespace) -> None:
    # Both before anything of Keras or NumPy is imported: they read the one and count their threads by the other.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keep_to_cores(options.cores)
    import keras

    from penstock.bench._auto_rows import AUTO_ROWS
    from penstock.bench._feed_rows import FEED_ROWS
    from penstock.bench._kernel_rows import KERNEL_ROWS
    from penstock.bench._peer_rows import PEER_ROWS
    from penstock.bench._plan_rows import PLAN_ROWS
    from penstock.bench._remote_rows import REMOTE_ROWS
    from penstock.bench._rows import READS_FILES, ROWS
    from penstock.bench._small_rows import SMALL_ROWS
    from penstock.bench._workloads import QUEUE_BATCHES, WORKERS

    keras.utils.disable_interactive_logging()  # both sides would say how many files they found, for every reading
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)  # if it cannot be, better now than in six minutes
    rounds = options.rounds or (1 if options.quick else 5)
    seconds = options.seconds or (0.02 if options.quick else 2.0)
    began = perf_counter()
    records = []
    also = {"peers-files", "feed-busy", "auto-files", "plan-cost", "plan-waiting", "remote"}
    reads_files = {*READS_FILES, *also}.intersection(options.rows)
    has_large = not {"fast-decoding", "remote-large"}.isdisjoint(options.rows)
    with _scale(options, has_photographs=bool(reads_files), has_large=has_large) as made:
        scale = replace(made, yardstick=options.yardstick)
        for name in _ALL_ROW_NAMES:
            if name not in options.rows:
                continue
            if name in _NEEDS_LINUX and sys.platform != "linux":
                _tell(f"{name}: left out, since it reads {_NEEDS_LINUX[name]}, which only Linux has")
                continue
            _tell(f"{name}:")
            rows = ROWS | PEER_ROWS | FEED_ROWS | AUTO_ROWS | SMALL_ROWS | KERNEL_ROWS | PLAN_ROWS | REMOTE_ROWS
            row = rows[name](scale)
            readings = run_rounds(row.sides, rounds, seconds, _tell)
            sides = tuple(SideRecord(side.name, side.unit, readings[side.name]) for side in row.sides)
            records.append(RowRecord(row.name, row.title, row.note, row.settings, sides, row.claims))
    settings = {
        "rounds": rounds,
        "seconds": seconds,
        "quick": options.quick,
        "workers": WORKERS,
        "queue_batches": QUEUE_BATCHES,
        "backend": keras.backend.backend(),
    }
    record = Record(Machine.here(), settings, perf_counter() - began, tuple(records))
    sys.stdout.write(table(record))
    if options.out:
        record.save(options.out)


def _train_both(options: argparse.Namespace) -> None:
    # JAX hands an epoch's steps over at once and is waited for in the end; torch trains on a batch when it gets it.
    os.environ["KERAS_BACKEND"] = "torch"
    keep_to_cores(options.cores)
    import keras

    from penstock.bench._before_after import train_both

    keras.utils.disable_interactive_logging()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with _scale(options, has_photographs=True) as scale:
        train_both(replace(scale.files, batch_size=_TRAINING_BATCH), options.epochs, _tell).save(options.out)


@contextmanager
def _scale(options: argparse.Namespace, *, has_photographs: bool, has_large: bool = False) -> Iterator[Scale]:
    """How much data there is, in a folder that lasts as long as the block unless the user has given one."""
    from penstock.bench._photographs import ensure_photographs
    from penstock.bench._scale import Scale

    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as temporary:
        folder = options.data or Path(temporary, "photographs")
        large = Path(temporary, "large")
        scale = Scale.quick(folder, large) if options.quick else Scale.full(folder, large)
        if has_photographs:
            ensure_photographs(folder, scale.photographs)
        if has_large:
            ensure_photographs(large, scale.large_photographs, large=True)
        yield scale


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m penstock.bench",
        description="Measure penstock and Keras's own ImageDataGenerator, or other libraries, in turns.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    measured = argparse.ArgumentParser(add_help=False)
    measured.add_argument("--cores", type=_number(int, 0), default=2, help="keep to so many cores; 0 for all (2)")
    measured.add_argument(
        "--data", type=Path, metavar="FOLDER", help="class folders of JPEG files; made there if empty"
    )
    measured.add_argument("--quick", action="store_true", help="tiny data, rows in one round: to see that it works")
    run = commands.add_parser("run", parents=[measured], help="measure (the default)")
    run.add_argument(
        "--rows",
        nargs="+",
        choices=_ALL_ROW_NAMES,
        default=ROW_NAMES,
        help="what (all up to epoch-border)",
    )
    run.add_argument("--rounds", type=_number(int, 1), help="readings of each side (5)")
    run.add_argument("--seconds", type=_number(float, 0.001), help="least measured time of a reading (2)")
    run.add_argument("--yardstick", type=Path, metavar="FILE", help="C++ that the kernels are compared with: needs g++")
    run.add_argument("--out", type=Path, metavar="RECORD", help="write a JSON record")
    both = commands.add_parser(
        "before-after", parents=[measured], help="train on the same files with Keras's feed and with penstock's"
    )
    both.add_argument("--out", type=Path, metavar="RECORD", required=True, help="write a JSON record")
    both.add_argument("--epochs", type=_number(int, 1), default=4, help="of 512 files (4)")
    draw = commands.add_parser("picture", help="draw such a record")
    draw.add_argument("record", type=Path)
    draw.add_argument("path", type=Path, help="of the picture, without -light.png and -dark.png")
    show = commands.add_parser("table", help="print a record as Markdown")
    show.add_argument("record", type=Path)
    readme = commands.add_parser("readme", help="put a record's table between two markers of a file")
    readme.add_argument("record", type=Path)
    readme.add_argument("file", type=Path)
    readme.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of claims to show (all)")
    readme.add_argument("--markers", default=PLACE, metavar="NAME", help=f"their name in the file ({PLACE})")
    study = commands.add_parser("study", help="put records of `penstock bench` beside the original study's figures")
    study.add_argument("file", type=Path, help="with two markers, between which the table goes")
    study.add_argument("records", type=Path, nargs="+")
    study.add_argument("--markers", default="study", metavar="NAME", help="their name in the file (study)")
    foretold = commands.add_parser("plan", help="put the tables of guide/planning.md between its markers")
    foretold.add_argument("record", type=Path, help="of the rows plan-...")
    foretold.add_argument("file", type=Path)
    return parser


def _number(kind: type[int] | type[float], least: float) -> Callable[[str], float]:
    def parsed(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"should be {least} or more. Received: {text}")
        return value

    parsed.__name__ = kind.__name__  # argparse names it where the text is no number at all
    return parsed


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
