"""How a flow is drained: one context manager per side, which leaves nothing running behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from penstock import feed
from penstock.bench._measure import Pace, Reading, Side, drain
from penstock.bench._workloads import QUEUE_BATCHES

Feed = Callable[[], AbstractContextManager[Iterator[int]]]
"""Opens a feed that yields the number of images in each batch, without end."""


def rate_side(name: str, opened: Feed, pace: Pace, unit: str = "images/s") -> Side:
    """Images per second, or whatever a feed counts, of one that is drained and nothing else."""

    def measure(seconds: float) -> Reading:
        with opened() as batches:
            return drain(batches, pace, seconds)

    return Side(name, unit, measure)


def in_this_thread(make_flow: Callable[[], Any]) -> Feed:
    """Keras's iterator as its `fit` uses it by default: each batch is made when it is asked for."""

    @contextmanager
    def opened() -> Iterator[Iterator[int]]:
        yield (_images_in(batch) for batch in make_flow())

    return opened


def in_threads(make_flow: Callable[[], Any], threads: int) -> Feed:
    """Keras's iterator drawn from several Python threads.

    Keras's own `OrderedEnqueuer` does the same work in the same kind of thread pool, but ends the pool with each epoch:
    197 images/s where this gives 211, with epochs of 512 files. So this is what Keras can do at best.
    """

    @contextmanager
    def opened() -> Iterator[Iterator[int]]:
        flow = make_flow()
        executor = ThreadPoolExecutor(threads)

        def batches() -> Iterator[int]:
            # Two per thread: one that is made, and one to go on with while this thread looks at the result.
            pending: deque[Future[Any]] = deque(executor.submit(next, flow) for _ in range(2 * threads))
            while True:
                images = _images_in(pending.popleft().result())
                pending.append(executor.submit(next, flow))
                yield images

        try:
            yield batches()
        finally:
            executor.shutdown(cancel_futures=True)

    return opened


def from_penstock(make_flow: Callable[[], Any]) -> Feed:
    """A flow of ours, closed at the end."""

    @contextmanager
    def opened() -> Iterator[Iterator[int]]:
        with make_flow() as flow:
            yield (_images_in(batch) for batch in flow)

    return opened


def from_sequence(data: Any, workers: int | str, *, processes: bool = False, images: bool = False) -> Feed:
    """Anybody's batches, made ahead by `penstock.feed`.

    Args:
        data: has a length and gives batch number i for `data[i]`.
        workers: threads, or processes if so told; "auto" ones may be either.
        images: count those in a batch; else batches are counted.
    """

    @contextmanager
    def opened() -> Iterator[Iterator[int]]:
        kind = processes or None
        with feed(data, workers=workers, use_multiprocessing=kind, max_queue_size=QUEUE_BATCHES) as batches:
            yield (_images_in(batch) if images else 1 for batch in batches)

    return opened


def _images_in(batch: Any) -> int:
    return len(batch[0])
