"""What is left of a flow's rate beside busy Python: from threads, and from processes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from penstock.bench._busy import beside_spinning_main, working_half_the_time, working_steadily
from penstock.bench._claim import SHARE, Claim
from penstock.bench._feeds import from_penstock, rate_side
from penstock.bench._measure import Side
from penstock.bench._row import Row, file_settings, pace_of
from penstock.bench._scale import Scale
from penstock.bench._workloads import WORKERS, InFiles, InMemory

_FASTER_SWITCHING_S = 0.0005
_NOTE = (
    "First: a thread drains the flow while the main thread counts in a loop that never gives up the interpreter "
    "lock by itself. With 2 cores for 3 busy threads, a fair share of the processor alone bounds this at about "
    "0.67 where the workers fill both cores; what is missing beyond that is waiting for the lock, 5 ms at a time "
    "unless it is told to switch faster. Then: the thread that takes the batches computes in Python after each "
    "one, for as long as it waited for it, or for half of what a batch takes undisturbed; 2.5 busy threads bound "
    "this at about 0.8."
)


def busy_main(scale: Scale) -> Row:
    """Beside worker threads."""
    return _row("busy-main", "Beside busy Python", scale, _NOTE, processes=False)


def feed_busy(scale: Scale) -> Row:
    """Beside worker processes, which need the lock only where a batch is handed over."""
    note = f"Worker processes instead of threads, against themselves undisturbed. {_NOTE}"
    return _row("feed-busy", "Processes beside busy Python", scale, note, processes=True)


def _row(name: str, title: str, scale: Scale, note: str, *, processes: bool) -> Row:
    sides: list[Side] = []
    claims: list[Claim] = []
    for place, data in (("memory", scale.memory), ("files", scale.files)):
        feed, pace = _feed(data, processes), pace_of(WORKERS)
        alone, spinning, switching = f"{place}, alone", f"{place}, main thread spins", f"{place}, switching faster"
        half, steady = f"{place}, consumer works", f"{place}, consumer works steadily"
        sides += [
            rate_side(alone, feed, pace),
            beside_spinning_main(spinning, feed, pace),
            beside_spinning_main(switching, feed, pace, _FASTER_SWITCHING_S),
            working_half_the_time(half, feed, pace),
            working_steadily(steady, feed, pace),
        ]
        claims += [
            Claim(f"{place}, main thread spins in Python", spinning, alone, SHARE, 0.7),
            Claim(f"{place}, the same with sys.setswitchinterval(0.0005)", switching, alone, SHARE),
            Claim(f"{place}, consumer computes as long as it waited", half, alone, SHARE, 0.7),
            Claim(f"{place}, consumer computes the same after each batch", steady, alone, SHARE, 0.7),
        ]
    settings = {"memory": asdict(scale.memory), "files": file_settings(scale.files)}
    return Row(name, title, tuple(sides), tuple(claims), settings, note)


def _feed(data: InMemory | InFiles, processes: bool) -> Any:
    return from_penstock(lambda: data.penstock_flow(WORKERS, processes=processes))
