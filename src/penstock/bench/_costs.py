"""What feeding costs by itself: the hand-over, the start, and memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic, perf_counter

from penstock.bench._errors import BenchError
from penstock.bench._feeds import Feed
from penstock.bench._measure import Clock, Reading, Side

_CLUSTER = 500  # batches between two looks at the clock: some come at once, others after a wait
_LIMIT_S = 120.0  # a script takes 3 to 10 s


def hand_over(name: str, feed: Feed) -> Side:
    """Microseconds a batch of a feed whose batches take no time: the median of clusters of 500."""

    def measure(seconds: float) -> Reading:
        with feed() as batches:
            return timed(batches, seconds)

    return Side(name, "us", measure)


def timed(batches: Iterator[int], seconds: float, clock: Clock = perf_counter) -> Reading:
    """Take clusters of batches, the first uncounted, for so many seconds at least."""
    for _ in range(_CLUSTER):
        next(batches)
    costs_us: list[float] = []
    began = looked = clock()
    while not costs_us or looked - began < seconds:
        for _ in range(_CLUSTER):
            next(batches)
        now = clock()
        costs_us.append((now - looked) / _CLUSTER * 1e6)
        looked = now
    return Reading(statistics.median(costs_us), looked - began, _CLUSTER * len(costs_us), parts=tuple(costs_us))


def in_fresh_interpreter(name: str, unit: str, value: str, script: str, *arguments: int) -> Side:
    """One of the values that a script prints at its end.

    Args:
        value: its key.
        script: in `penstock.bench.scripts`, run as a user's is.
    """

    def measure(_: float) -> Reading:
        began = perf_counter()
        values = run_script(script, arguments)
        return Reading(values[value], perf_counter() - began, parts=tuple(values.values()))

    return Side(name, unit, measure)


def from_start_until(name: str, value: str, script: str) -> Side:
    """Seconds from the start of a script's process until something that it tells the time of.

    By the clock of the process that starts it: a start that the system knows is counted from its boot, of which two
    clocks may disagree by half a second on a virtual machine.

    Args:
        value: the time's key, on the system's monotonic clock.
        script: in `penstock.bench.scripts`.
    """

    def measure(_: float) -> Reading:
        began = monotonic()
        took = run_script(script, ())[value] - began
        return Reading(took, monotonic() - began, parts=(took,))

    return Side(name, "s", measure)


def run_script(script: str, arguments: tuple[int, ...]) -> dict[str, float]:
    """What a script of `penstock.bench.scripts` prints at its end.

    Raises:
        BenchError: it failed, or was not done in time.
    """
    command = [sys.executable, "-m", f"penstock.bench.scripts.{script}", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=True
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{script} should be done within {_LIMIT_S:g} s. It was stopped") from None
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{script} failed, exit status {error.returncode}. Its last words:\n{error.stderr}") from None
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values
