"""`feed`: anybody's batches, made ahead."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from penstock._types import Indices
from penstock.batches._part import Part
from penstock.batches._sequence import SequenceBatches
from penstock.batches._structure import Structure, check_alike, unflatten
from penstock.feeding._batch import Batch
from penstock.feeding._feeder import Feeder
from penstock.keras._feeding import DEFAULT_QUEUE_SIZE, DEFAULT_TIMEOUT_S, Feeding, parse_shard
from penstock.keras._generator_feed import GeneratorFeed
from penstock.keras._producers import workers_for
from penstock.keras._settings import choose_seed
from penstock.keras._stream import Stream

_PARTS = 12  # divides evenly among 1, 2, 3, 4, 6 and 12 workers; the batches depend on it


class Feed(Stream):
    """A sequence's batches, made ahead; `feed` makes one.

    Endless in a loop, `len(feed)` an epoch; addressed by number; taken by `fit`, `evaluate` and `predict` as a
    `penstock.Flow` is. What the sequence returns is delivered in the same tuples, lists and dicts.

    The sequence's `on_epoch_begin` and `on_epoch_end`, if it defines any, run once an epoch, in this process, while no
    batch is under way; what they change is what the next epoch's batches are made of.
    """

    def __init__(self, data: Any, feeding: Feeding) -> None:
        # Ranks share one order of the batches, in which `fit` shuffles them: nobody can give a seed for it.
        seed = choose_seed(0 if feeding.shard.world > 1 else None, "corrected")
        # A sample is a batch of the user's here; how many rows that has is not ours to say.
        feeding = replace(feeding, shard=replace(feeding.shard, rows_multiple=0))
        super().__init__(len(data), 1, False, seed, feeding)
        self.data = data
        self._hooks = [name for name in ("on_epoch_begin", "on_epoch_end") if _is_defined(data, name)]
        self._open_epoch: int | None = None  # whose `on_epoch_begin` has been called, and not its `on_epoch_end`
        self._has_changed = False
        self._structure: Structure | None = None

    def _make_batches(self) -> SequenceBatches:
        return SequenceBatches(self.data, self.seed)

    def _order(self) -> Callable[[int], Indices]:
        n = self.n  # not the feed itself, which would then wait for the garbage collector
        return lambda _: np.arange(n)

    def _identity(self) -> tuple[Any, ...]:
        return "sequence", type(self.data).__qualname__

    def _finish(self, batch: Batch) -> Any:
        if self._structure is None:
            self._structure = batch.structure
        step, name = batch.step, type(self.data).__name__
        check_alike(batch.structure, self._structure, f"batch {step.number} of `{name}`", step.epoch, step.number)
        return unflatten(batch.structure, batch.arrays)

    def _delivered(self, batch: Batch) -> Any:
        return unflatten(batch.structure, batch.arrays)

    def _check_epoch(self, epoch: int) -> None:
        super()._check_epoch(epoch)
        if self._hooks and epoch != self._open_epoch:
            current = "no epoch has begun yet" if self._open_epoch is None else f"epoch {self._open_epoch} has begun"
            raise ValueError(
                f"`epoch` should be the one that has begun, since {' and '.join(self._hooks)} of "
                f"{type(self.data).__name__} may change the batches of each; {current}. Received: {epoch}"
            )

    @property
    def _stops_at_borders(self) -> bool:
        return bool(self._hooks)

    def _enter_epoch(self) -> None:
        if self._open_epoch is not None:
            # Its first batch may have failed, and is asked for again.
            is_same = self._open_epoch == self._position // self._steps
            if is_same or self._position % self._steps or self._read_by_address:
                return
        self._leave_epoch()
        self._call("on_epoch_begin", self._position // self._steps)

    def _leave_epoch(self) -> None:
        if self._open_epoch is not None:
            self._call("on_epoch_end", None)

    def _call(self, hook: str, open_epoch: int | None) -> None:
        """Call a hook, after which this is the epoch that is open."""
        if hook in self._hooks:
            self._has_changed = True  # first: what a hook has done before it failed counts, too
            getattr(self.data, hook)()
        # A hook that fails is called again. One that has ended is not: no call, and so no interrupt, comes in between.
        self._open_epoch = open_epoch
        self._follow_length()

    def _follow_length(self) -> None:
        """Go on with the epoch as long as it is by now."""
        n = len(self.data)
        if n != self.n:
            self._reopen()
            epoch = self._position // self._steps
            # Both or none: there is no call in between, and so no interrupt.
            self.n, self._position = n, epoch * max(1, -(-n // self._step_samples))

    def _opened(self) -> Feeder:
        with self.lock:
            if self._has_changed:
                self._follow_length()
            is_new = self._feeder is None
            feeder = super()._opened()
            if self._has_changed and not is_new:
                try:
                    feeder.renew()  # once for all hooks: it compares large arrays, and sends those that differ
                except TypeError:  # it cannot be sent any more
                    if not self._goes_back_to_threads():
                        raise
            self._has_changed = False
            return feeder


def feed(
    data: Any,
    *,
    workers: int | str = "auto",
    use_multiprocessing: bool | None = None,
    max_queue_size: int = DEFAULT_QUEUE_SIZE,
    max_queue_bytes: int | str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT_S,
    pool: Any = None,
    shard: tuple[int, int] | str = (0, 1),
) -> Feed | GeneratorFeed:
    """Have batches made ahead, in order, by several workers.

    Args:
        data: a `keras.utils.PyDataset`, a Keras 2 `Sequence`, a list, or anything else that has `len` and gives batch
            number i for `data[i]`; a generator; a function without arguments that makes one, and is called again
            whenever that has ended; or a function of `(part, parts)`, see below. A batch is an array, or a tuple, list
            or dict of arrays, nested or not.
        workers: threads or processes; 0 is the caller's thread. "auto" begins with two, measures as the feed runs, and
            goes on with the smallest number that keeps the consumer from waiting, within CPUs, quota and memory; the
            batches do not change. A generator has one worker, parts at most 12, and for "auto" the usable CPUs.
        use_multiprocessing: True for processes: for batches that take long in Python itself; None for threads, unless
            `workers` is "auto" and threads are found to take turns at the interpreter lock. What the object draws from
            `random` and NumPy's global generator is seeded for each batch in processes.
        max_queue_size: batches ready ahead; of a `PyDataset` with another one than 10, that. Workers that make parts
            share it, with one for each at least.
        max_queue_bytes: bound on their memory, in bytes or as "2GB"; shared in the same way.
        timeout: seconds after which a batch that does not come is an error; None for never.
        pool: an open multiprocessing.Pool or concurrent.futures.Executor that makes the batches of a sequence, and
            stays open, or a Ray cluster's address; None for workers of the feed's own.
        shard: `(rank, number of ranks)`: the batches of a sequence that this process trains on, dealt out one by one.
            "auto" takes them from the process group, as flows of images do; not the default here, since a sequence that
            is used in several processes shares itself out already.

    Returns:
        A stream to loop over, or to give to `fit`, `evaluate` and `predict`.

    A function of `(part, parts)` lets several workers generate. It is called for each part from 0 to `parts - 1`, and
    makes a generator of that part's batches. There are 12 parts, however many workers make them, and their batches come
    in turn: the first one of part 0, of part 1..., of part 11, then the second ones. A part that has ended is left out;
    when all have, all are called again. So the order is the same for any number of workers, and so are the batches, as
    long as each part's follow from its number alone. With threads that rules out global generators: draw from
    `np.random.default_rng(part)`.

    Raises:
        TypeError: none of these.
        ValueError: several workers for a single generator, or a value out of range.

    Example:
        >>> import numpy as np
        >>> from penstock import feed
        >>> with feed([np.arange(3), np.arange(3, 6)], workers=2) as batches:
        ...     next(batches), next(batches)
        (array([0, 1, 2]), array([3, 4, 5]))
        >>> def squares(part, parts):
        ...     for number in range(part, 100, parts):
        ...         yield np.array([number**2])
        >>> with feed(squares, workers=3) as batches:
        ...     [int(next(batches)[0]) for _ in range(5)]
        [0, 1, 4, 9, 16]
    """
    if isinstance(data, Stream | GeneratorFeed):
        raise TypeError(f"A {type(data).__name__} is made ahead already; set its `workers` and `max_queue_size`.")
    if isinstance(data, keras.utils.PyDataset) and workers == "auto" and data.workers > 1:
        workers = data.workers
        use_multiprocessing = data.use_multiprocessing if use_multiprocessing is None else use_multiprocessing
    if isinstance(data, keras.utils.PyDataset) and max_queue_size == DEFAULT_QUEUE_SIZE:
        max_queue_size = data.max_queue_size
    settings = max_queue_size, max_queue_bytes, use_multiprocessing, timeout
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, dict | str | bytes | type):
        return Feed(data, Feeding.parse(workers, *settings, pool=pool, shard=shard))
    if pool is not None:
        raise ValueError("A generator needs a worker of its own, which a pool cannot give: leave `pool` out.")
    if parse_shard(shard).world > 1:
        raise ValueError("A generator cannot be shared out: let each rank's own yield the batches of that rank.")
    makes_parts = not hasattr(data, "__next__") and not _takes(data) and _takes(data, 0, _PARTS)
    if hasattr(data, "__next__") or _takes(data) or makes_parts:
        feeding = Feeding.parse(workers_for(_PARTS if makes_parts else 1, workers), *settings, shard=(0, 1))
        return GeneratorFeed(_parts_of(data, makes_parts), feeding)
    raise TypeError(
        "`data` should have a length and give batch number i for `data[i]`, as a keras.utils.PyDataset does, or be a "
        "generator of batches, or a function that makes one, without arguments or of `(part, parts)`. "
        f"Received: {type(data).__name__}"
    )


def _parts_of(data: Any, makes_parts: bool) -> list[Part]:
    seed = choose_seed(None, "corrected")
    if hasattr(data, "__next__"):
        return [Part(lambda: data, again=False, seed=seed)]
    if not makes_parts:
        return [Part(data, again=True, seed=seed)]
    return [Part(data, (part, _PARTS), again=True, seed=seed) for part in range(_PARTS)]


def _takes(data: Any, *arguments: int) -> bool:
    """Whether this is a function that can be called with these arguments."""
    if not callable(data) or isinstance(data, type):
        return False
    try:
        inspect.signature(data).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True


def _is_defined(data: Any, hook: str) -> bool:
    """Whether an object has a hook of its own, beside the empty ones of Keras's base classes."""
    own = getattr(type(data), hook, None)
    return callable(getattr(data, hook, None)) and own is not getattr(keras.utils.PyDataset, hook)
