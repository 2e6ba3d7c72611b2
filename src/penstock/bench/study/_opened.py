"""Feeds, opened for a piece of work and closed after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from penstock.bench._measure import Pace
from penstock.bench._workloads import QUEUE_BATCHES, InMemory
from penstock.bench.study._data import Sleeping, StudyData, in_batches_of
from penstock.bench.study._setting import MODEL_ALONE, PROCESSES, Setting

_SMALL_BATCH = 64


@dataclass(frozen=True)
class Opened:
    """A feed that runs.

    Attributes:
        batches: its batches `(x, y)` without end.
        pace: how they are counted; see `Pace`.
        flow: one of penstock's, that knows how long it was waited for; None for others.
    """

    batches: Iterator[Any]
    pace: Pace
    flow: Any = None


Opener = Callable[[StudyData, Setting], AbstractContextManager[Opened]]


def queue_batches(data: StudyData, setting: Setting) -> int:
    """Batches ahead, all of which have to be taken before a measurement begins.

    A batch for each worker to be at and one more: of a longer queue none would come faster. But of small ones in memory
    what users have by default, since those that are quick to make are made together where the queue has room for it.
    """
    are_quick = isinstance(data, InMemory) and setting.batch_size <= _SMALL_BATCH
    return max(1, setting.workers, QUEUE_BATCHES if are_quick else min(QUEUE_BATCHES, 2 * setting.workers))


@contextmanager
def opened_here(data: StudyData, setting: Setting) -> Iterator[Opened]:
    """Penstock's feed, or a batch that is given again and again."""
    data = in_batches_of(data, setting.batch_size)
    if setting.feed == MODEL_ALONE:
        with _flow(data, 0, processes=False) as flow:
            x, y = next(flow)[:2]
        yield Opened(_again(x, y), Pace())
        return
    with _flow(data, setting.workers, processes=setting.feed == PROCESSES and setting.workers > 0) as flow:
        flow.max_queue_size = queue_batches(data, setting)
        pace = Pace(max(1, setting.workers), flow.max_queue_size if setting.workers else 0)
        yield Opened(iter(flow), pace, flow)


def _flow(data: StudyData, workers: int, *, processes: bool) -> Any:
    if isinstance(data, Sleeping):
        from penstock import feed

        return feed(data, workers=workers, use_multiprocessing=processes)
    return data.penstock_flow(workers, processes=processes)


def _again(x: Any, y: Any) -> Iterator[Any]:
    while True:
        yield x, y
