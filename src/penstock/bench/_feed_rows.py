"""What feeding by `feed` is worth and what it costs: threads beside processes, and torch's loader."""

from __future__ import annotations

from dataclasses import asdict

from penstock.bench._busy_rows import feed_busy
from penstock.bench._claim import PEER, SHARE, Claim
from penstock.bench._costs import hand_over, in_fresh_interpreter
from penstock.bench._feeds import from_penstock, from_sequence, rate_side
from penstock.bench._measure import Pace, Side
from penstock.bench._row import Row, pace_of
from penstock.bench._scale import Scale
from penstock.bench._sequences import Prepared, PurePython, Waiting
from penstock.bench._workloads import WORKERS
from penstock.bench.peers._catalogue import PENSTOCK, STORED_HOW, TORCH, versions
from penstock.bench.peers._in_process import peer_side

_MANY = 8
_LEAST_OF_MANY = 7.6  # of 8


def feed_waiting(scale: Scale) -> Row:
    """Batches that sleep: what many workers bring."""
    data = Waiting(scale.feeds.wait_s)
    names = {False: "threads", True: "processes"}
    return Row(
        "feed-waiting",
        f"Sequence that sleeps {data.wait_s:g} s a batch",
        tuple(
            _batches(f"{name}, {workers}", data, workers, processes=processes)
            for processes, name in names.items()
            for workers in (1, _MANY)
        ),
        tuple(
            Claim(f"{_MANY} {name} over 1", f"{name}, {_MANY}", f"{name}, 1", SHARE, _LEAST_OF_MANY)
            for name in names.values()
        ),
        asdict(data),
        "Workers have started before the clock does.",
    )


def feed_python(scale: Scale) -> Row:
    """Batches that hold the interpreter lock: what processes bring, and what threads cannot."""
    data = PurePython(scale.feeds.python_turns)
    serial, threads, processes = "no workers", f"{WORKERS} threads", f"{WORKERS} processes"
    return Row(
        "feed-python",
        "Sequence that computes in Python",
        (
            _batches(serial, data, 0),
            _batches(threads, data, WORKERS),
            _batches(processes, data, WORKERS, processes=True),
        ),
        (
            Claim(f"{processes} over none", processes, serial, SHARE, 1.8),
            Claim(f"{threads} over none", threads, serial, SHARE),
        ),
        asdict(data),
        "A loop of additions, about 25 ms a batch, that never gives up the interpreter lock by itself.",
    )


def feed_large(scale: Scale) -> Row:
    """Large batches of a Sequence: what it costs that they come from another process."""
    data = scale.feeds.stored
    threads, processes = f"{WORKERS} threads", f"{WORKERS} processes"
    return Row(
        "feed-large",
        f"Sequence of {data.shape} float32 (NumPy scales stored bytes, mirrors half)",
        (
            rate_side(threads, from_sequence(data, WORKERS, images=True), pace_of(WORKERS)),
            rate_side(processes, from_sequence(data, WORKERS, processes=True, images=True), pace_of(WORKERS)),
            peer_side(TORCH, data),
            peer_side(PENSTOCK, data),
        ),
        (
            Claim(f"{processes} over {threads}", processes, threads, SHARE, 0.85),
            Claim(TORCH, PENSTOCK, TORCH, PEER, 1),
        ),
        {
            **asdict(data),
            "peers": {
                PENSTOCK: {"how": STORED_HOW[PENSTOCK], "packages": versions(("keras", "jax"))},
                TORCH: {"how": STORED_HOW[TORCH], "packages": versions(("torch",))},
            },
        },
        "The same object feeds all sides: x[chosen].astype(float32) / 255, then half of the images mirrored.",
    )


def feed_images(scale: Scale) -> Row:
    """Large batches of images: here they are rendered where they are read, in shared memory."""
    data = scale.feeds.images
    threads, processes = f"{WORKERS} threads", f"{WORKERS} processes"
    return Row(
        "feed-images",
        f"ImageDataGenerator.flow of {data.batch_size}x{data.side_px}x{data.side_px}x3, rotated",
        (
            rate_side(threads, from_penstock(lambda: data.penstock_flow(WORKERS)), pace_of(WORKERS)),
            rate_side(processes, from_penstock(lambda: data.penstock_flow(WORKERS, processes=True)), pace_of(WORKERS)),
        ),
        (Claim(f"{processes} over {threads}", processes, threads, SHARE),),
        asdict(data),
        "uint8 images in memory, rescaled and centred; processes write into the memory that is delivered.",
    )


def feed_hand_over(scale: Scale) -> Row:
    """What a batch costs that takes no time to make."""
    del scale
    threads, processes, process = f"{WORKERS} threads", f"{WORKERS} processes", "1 process"
    return Row(
        "feed-handover",
        "Handing over a batch of one number",
        (
            hand_over(threads, from_sequence(Prepared(), WORKERS)),
            hand_over(processes, from_sequence(Prepared(), WORKERS, processes=True)),
            hand_over(process, from_sequence(Prepared(), 1, processes=True)),
        ),
        (Claim.cost(threads, threads, 60), Claim.cost(processes, processes, 250), Claim.cost(process, process)),
        {},
        "From batch to batch, nothing subtracted.",
    )


def feed_start(scale: Scale) -> Row:
    """What a script waits for, once it has imported what it needs."""
    del scale
    first, everyone, second = f"first of {WORKERS}", f"all of {_MANY}", "second epoch"
    return Row(
        "feed-start",
        "Start of a script",
        (
            in_fresh_interpreter(first, "s", "first_s", "first_batches", WORKERS),
            in_fresh_interpreter(everyone, "s", "all_s", "first_batches", _MANY),
            in_fresh_interpreter(second, "ms", "next_epoch_ms", "first_batches", WORKERS),
        ),
        (
            Claim.cost(f"the first batch from {WORKERS} processes", first, 2.5),
            Claim.cost(f"until all of {_MANY} processes have made a batch", everyone, 6),
            Claim.cost("the second epoch's first batch", second),
        ),
        {},
        "A PyDataset of the script's own, in a fresh interpreter; Keras is imported before the clock starts.",
    )


def feed_memory(scale: Scale) -> Row:
    """Whether memory grows with the epochs."""
    epochs, warm_up = scale.feeds.epochs, scale.feeds.epochs // 10
    return Row(
        "feed-memory",
        f"Memory after {epochs} epochs from {WORKERS} processes",
        (in_fresh_interpreter("in the end", "%", "share", "many_epochs", WORKERS, epochs, warm_up),),
        (Claim.cost(f"of what it was after {warm_up}", "in the end", 103),),
        {"epochs": epochs, "warm_up": warm_up},
        "PSS of the script and its workers, without files; the parts of a reading are MB after the warm-up and in the "
        "end, and percent.",
    )


FEED_ROWS = {
    "feed-waiting": feed_waiting,
    "feed-python": feed_python,
    "feed-large": feed_large,
    "feed-images": feed_images,
    "feed-handover": feed_hand_over,
    "feed-start": feed_start,
    "feed-memory": feed_memory,
    "feed-busy": feed_busy,
}


def _batches(name: str, data: Waiting | PurePython, workers: int, *, processes: bool = False) -> Side:
    """Batches a second. One worker is always waited for; of several, those that start first run ahead."""
    pace = pace_of(workers) if workers > 1 else Pace(1, 1)
    return rate_side(name, from_sequence(data, workers, processes=processes), pace, "batches/s")
