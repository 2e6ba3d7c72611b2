"""What is compared with what, and what it should reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from penstock.bench._border import small_model
from penstock.bench._busy import beside_spinning_main, working_half_the_time, working_steadily
from penstock.bench._feeds import from_penstock, in_this_thread, in_threads, rate_side
from penstock.bench._measure import Pace, Side
from penstock.bench._photographs import Contents
from penstock.bench._record import EXTRA, SHARE, SPEED_UP, Claim
from penstock.bench._scale import Scale
from penstock.bench._workloads import QUEUE_BATCHES, WORKERS, InFiles, InMemory

KERAS = "Keras"


@dataclass(frozen=True)
class Row:
    """Sides that are measured in turn, and the claims about them; see `RowRecord`."""

    name: str
    title: str
    sides: tuple[Side, ...]
    claims: tuple[Claim, ...]
    settings: Mapping[str, Any]
    note: str = ""


def memory_uint8(scale: Scale) -> Row:
    """Bytes in memory to floats in -1 to 1, against Keras with the usual Python function."""
    data = scale.memory
    return Row(
        "memory-uint8",
        f"{data.side_px}x{data.side_px} uint8 in memory",
        (
            rate_side(KERAS, in_this_thread(data.keras_flow), Pace()),
            _ours("penstock", data),
            rate_side(
                "penstock, Python function",
                from_penstock(lambda: data.penstock_flow(WORKERS, python_function=True)),
                _pace(WORKERS),
            ),
        ),
        (
            Claim("compiled rescale and centre", "penstock", KERAS, SPEED_UP, 40),
            Claim("the same Python function", "penstock, Python function", KERAS, SPEED_UP),
        ),
        asdict(data),
        "Keras scales by `preprocessing_function=lambda image: image / 127.5 - 1`; penstock by rescale=1/127.5 and "
        "featurewise_center with mean 1, which gives the same values, and in the second line by Keras's function.",
    )


def memory_float32(scale: Scale) -> Row:
    """Floats in memory, no scaling on either side."""
    data = scale.memory_float
    return Row(
        "memory-float32",
        f"{data.side_px}x{data.side_px} float32 in memory",
        (rate_side(KERAS, in_this_thread(data.keras_flow), Pace()), _ours("penstock", data)),
        (Claim("", "penstock", KERAS, SPEED_UP, 25),),
        asdict(data),
        "Images and batches are in 0 to 1 on both sides; nothing is scaled.",
    )


def files(scale: Scale) -> Row:
    """JPEG files, against Keras alone and in two threads."""
    data = scale.files
    return Row(
        "files",
        f"JPEG files to {data.target_px}x{data.target_px}",
        (
            rate_side(KERAS, in_this_thread(data.keras_flow), Pace()),
            rate_side("Keras, 2 threads", in_threads(data.keras_flow, 2), Pace(lanes=2)),
            _ours("penstock", data),
        ),
        (
            Claim("against Keras", "penstock", KERAS, SPEED_UP, 10),
            Claim("against Keras in 2 threads", "penstock", "Keras, 2 threads", SPEED_UP, 6),
        ),
        _file_settings(scale),
        "Files are in the page cache. Keras in 2 threads is its iterator drawn by a ThreadPoolExecutor, faster than "
        "its OrderedEnqueuer, which loses 0.1 s at each epoch's end.",
    )


_FASTER_SWITCHING_S = 0.0005


def second_thread(scale: Scale) -> Row:
    """What the second worker brings."""
    return Row(
        "second-thread",
        "2 workers over 1",
        tuple(
            _ours(f"{place}, {workers} worker{'s' * (workers > 1)}", data, workers)
            for place, data in (("memory", scale.memory), ("files", scale.files))
            for workers in (1, 2)
        ),
        tuple(Claim(place, f"{place}, 2 workers", f"{place}, 1 worker", SHARE, 1.8) for place in ("memory", "files")),
        {"memory": asdict(scale.memory), "files": _file_settings(scale)},
    )


def busy_main(scale: Scale) -> Row:
    """What is left beside Python code that keeps the interpreter busy."""
    sides: list[Side] = []
    claims: list[Claim] = []
    for place, data in (("memory", scale.memory), ("files", scale.files)):
        feed = _feed(data, WORKERS)
        alone, spinning, switching = f"{place}, alone", f"{place}, main thread spins", f"{place}, switching faster"
        half, steady = f"{place}, consumer works", f"{place}, consumer works steadily"
        sides += [
            rate_side(alone, feed, _pace(WORKERS)),
            beside_spinning_main(spinning, feed, _pace(WORKERS)),
            beside_spinning_main(switching, feed, _pace(WORKERS), _FASTER_SWITCHING_S),
            working_half_the_time(half, feed, _pace(WORKERS)),
            working_steadily(steady, feed, _pace(WORKERS)),
        ]
        claims += [
            Claim(f"{place}, main thread spins in Python", spinning, alone, SHARE, 0.7),
            Claim(f"{place}, the same with sys.setswitchinterval(0.0005)", switching, alone, SHARE),
            Claim(f"{place}, consumer computes as long as it waited", half, alone, SHARE, 0.7),
            Claim(f"{place}, consumer computes the same after each batch", steady, alone, SHARE, 0.7),
        ]
    return Row(
        "busy-main",
        "Beside busy Python",
        tuple(sides),
        tuple(claims),
        {"memory": asdict(scale.memory), "files": _file_settings(scale)},
        "First: a thread drains the flow while the main thread counts in a loop that never gives up the interpreter "
        "lock by itself. With 2 cores for 3 busy threads, a fair share of the processor alone bounds this at about "
        "0.67 where the workers fill both cores; what is missing beyond that is waiting for the lock, 5 ms at a time "
        "unless it is told to switch faster. Then: the thread that takes the batches computes in Python after each "
        "one, for as long as it waited for it, or for half of what a batch takes undisturbed; 2.5 busy threads bound "
        "this at about 0.8.",
    )


def epoch_border(scale: Scale) -> Row:
    """What feeding adds to the first step of an epoch."""
    border = scale.border
    model = small_model(border.training.side_px)
    constant, ours = "constant batch", "penstock"
    return Row(
        "epoch-border",
        "First step of an epoch, with validation",
        (
            border.side(constant, model, border.constant, border.epochs),
            border.side(KERAS, model, border.keras, border.keras_epochs),
            border.side(ours, model, border.penstock(WORKERS), border.epochs),
        ),
        (Claim("penstock", ours, constant, EXTRA, 10), Claim("Keras", KERAS, constant, EXTRA)),
        asdict(border),
        "From on_epoch_begin to the end of the first training step, on the backend that the settings name; each "
        "reading is the median over a fit's epochs after the first.",
    )


ROWS = {
    "memory-uint8": memory_uint8,
    "memory-float32": memory_float32,
    "files": files,
    "second-thread": second_thread,
    "busy-main": busy_main,
    "epoch-border": epoch_border,
}
READS_FILES = frozenset({"files", "second-thread", "busy-main"})


def _pace(workers: int) -> Pace:
    return Pace(lanes=workers, ahead=QUEUE_BATCHES)


def _feed(data: InMemory | InFiles, workers: int) -> Any:
    return from_penstock(lambda: data.penstock_flow(workers))


def _ours(name: str, data: InMemory | InFiles, workers: int = WORKERS) -> Side:
    return rate_side(name, _feed(data, workers), _pace(workers))


def _file_settings(scale: Scale) -> dict[str, Any]:
    contents = Contents.of(scale.files.folder)
    return {**asdict(scale.files), "folder": scale.files.folder.name, **asdict(contents)}
