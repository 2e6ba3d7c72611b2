"""Workers that make a share of the parts each, merged into one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, final

from penstock._types import Executor, WorkerId
from penstock.batches._generator import GeneratorBatches
from penstock.batches._part import Part
from penstock.batches._rotation import Rotation
from penstock.feeding._batch import Batch
from penstock.feeding._cpus import usable_cpus
from penstock.feeding._feeder import Feeder
from penstock.feeding._plan import EndlessPlan
from penstock.feeding._stats import FeedStats
from penstock.keras._feeding import Feeding, parse_workers
from penstock.keras._notice import notice
from penstock.keras._trace import trace_for_backend


class _Producer(NamedTuple):
    first: Rotation  # of its parts, at its first item
    maker: GeneratorBatches
    feeder: Feeder


@final
class Producers:
    """One producer for each worker, or one for the caller's thread; items are taken from them in turn.

    Worker w of W makes parts w, w + W, w + 2W... in the order of all, with the others left out. So whosever turn it is,
    its item is the next that its worker has made.

    Args:
        parts: by number.
        rotation: of all, at the first item.
        feeding: at most as many workers as there are parts. They share the queue.
    """

    def __init__(self, parts: Sequence[Part], rotation: Rotation, feeding: Feeding) -> None:
        self._producers: list[_Producer] = []
        count = max(1, feeding.workers)
        one = replace(feeding, workers=min(1, feeding.workers))
        size, more = divmod(feeding.max_queue_size, count)
        executor: Executor | None = None
        try:
            for number in range(count):
                first = rotation.among(range(number, len(parts), count))
                maker = GeneratorBatches({part: parts[part] for part in first.given}, first)
                executor = one.executor(executor, probes=count > 1)
                if not executor.is_elsewhere:  # where processes cannot be had, once is enough to say so
                    one = replace(one, use_multiprocessing=False)
                feeder = Feeder(
                    EndlessPlan(),
                    maker,
                    executor,
                    max_queue_size=max(1, size + (number < more)),
                    max_queue_bytes=feeding.max_queue_bytes and max(1, feeding.max_queue_bytes // count),
                    timeout_s=one.patience_s,
                    trace=trace_for_backend(),
                )
                self._producers.append(_Producer(first, maker, feeder))
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Have all make batches ahead; else each would wait until the consumer comes to its first part."""
        for producer in self._producers:
            producer.feeder.look_ahead(0, EndlessPlan.steps_per_epoch)

    def get(self, rotation: Rotation) -> Batch:
        """The item of the part whose turn it is; see `Feeder.get`."""
        producer = self._producer(rotation)
        return producer.feeder.get(rotation.since(producer.first))

    def forget(self, rotation: Rotation) -> None:
        """The item of the part whose turn it is has been delivered."""
        producer = self._producer(rotation)
        producer.maker.forget(rotation.since(producer.first))

    def check_caller(self) -> None:
        """See `Feeder.check_caller`."""
        for producer in self._producers:
            producer.feeder.check_caller()

    @property
    def stats(self) -> FeedStats:
        """The counts of all, which take items for batches."""
        return sum((producer.feeder.stats for producer in self._producers), FeedStats())

    @property
    def worker_ids(self) -> list[WorkerId]:
        """See `Executor.worker_ids`."""
        return [worker for producer in self._producers for worker in producer.feeder.worker_ids]

    @property
    def waits_for_lock(self) -> bool:
        """See `Executor.waits_for_lock`."""
        return any(producer.feeder.waits_for_lock for producer in self._producers)

    def dismiss(self) -> None:
        """See `Feeder.dismiss`."""
        for producer in self._producers:
            producer.feeder.dismiss()

    def close(self) -> None:
        """See `Feeder.close`."""
        self.dismiss()  # all at once, so that none begins another batch while the others are waited for
        for producer in self._producers:
            producer.feeder.close()

    def _producer(self, rotation: Rotation) -> _Producer:
        return self._producers[rotation.part % len(self._producers)]


def workers_for(parts: int, workers: Any) -> int:
    """Workers for so many parts; "auto" is the usable CPUs, and never more than there is work for."""
    if workers == "auto":
        return min(parts, usable_cpus())
    count = parse_workers(workers)
    if parts == 1 or count <= parts:
        return count
    notice(f"penstock: {parts} workers make the batches, one for each part, instead of {count}.")
    return parts


def check_feeding(parts: Sequence[Part], feeding: Feeding) -> None:
    """Refuse settings that a single generator cannot be fed with.

    Raises:
        ValueError: several workers for it.
        TypeError: a process for one that is no function's.
    """
    if len(parts) == 1 and feeding.workers > 1:
        raise ValueError(
            f"A generator can be asked by one worker at a time. Received: workers={feeding.workers}. For several, feed "
            "a function of two arguments, `function(part, parts)`, that generates one part's batches of so many parts; "
            "or what has a length and gives batch number i for `data[i]`, as a keras.utils.PyDataset does."
        )
    if feeding.use_multiprocessing and not parts[0].again:
        raise TypeError(
            "A generator cannot be sent to a process. Give the function that makes it: `feed(function)` instead of "
            "`feed(function())`."
        )
