"""An endless stream of batches that Keras takes for a dataset, whatever the batches are."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import keras
import numpy as np

from penstock._types import BatchMaker, Indices, WorkerId
from penstock.feeding._batch import Batch
from penstock.feeding._feeder import Feeder
from penstock.feeding._plan import Plan, Shard
from penstock.feeding._stats import FeedStats
from penstock.image._draw import permutation
from penstock.keras._asker import Asker, caller_of, is_keras_asking
from penstock.keras._containers import for_keras
from penstock.keras._digest import digest_within
from penstock.keras._endless import Endless
from penstock.keras._feeding import Feeding
from penstock.keras._notice import notice
from penstock.keras._passes import Pass, Passes
from penstock.keras._rank_check import check_rank
from penstock.keras._state import FlowState, fingerprint
from penstock.keras._trace import trace_for_backend
from penstock.keras._tuned_dataset import TunedDataset


class Stream(TunedDataset):
    """What all flows have in common: `penstock.Flow` of images and `penstock.Feed` of anything.

    Args:
        n: samples in an epoch.
        batch_size: samples in a batch.
        shuffle: a new order of samples every epoch.
        seed: 0 to 2**64 - 1.
        feeding: workers and queue.
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int, feeding: Feeding) -> None:
        super().__init__(feeding)
        self.n = n
        self.seed = seed
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._position = 0
        self._resumed_at = (0, 0)
        self._passes = Passes()
        self._last_addresses = (-2, -2)
        self._read_by_address = False
        self._epoch_is_shuffled = False
        self._stats = FeedStats()
        self._made_with: tuple[Any, ...] = ()
        self._has_told_of_part = False

    # --- what a kind of stream says about itself ---

    def _make_batches(self) -> BatchMaker:
        """The maker of the batches, with the user's settings as they are now."""
        raise NotImplementedError

    def _order(self) -> Callable[[int], Indices]:
        """The samples of an epoch in order, as a function of the epoch."""
        raise NotImplementedError

    def _finish(self, batch: Batch) -> Any:
        """A batch as the user gets it."""
        raise NotImplementedError

    def _delivered(self, batch: Batch) -> Any:
        """What the user gets, and nothing else: no file is written, and no word said."""
        raise NotImplementedError

    def _check_epoch(self, epoch: int) -> None:
        """Refuse an epoch of which nobody can say beforehand, or any more, what is in it.

        Raises:
            ValueError: it is such a one.
        """
        if not 0 <= epoch < 2**63:  # what the counter of the random generator holds
            raise ValueError(f"`epoch` should be from 0 to {2**63 - 1}. Received: {epoch}")

    def _enter_epoch(self) -> None:
        """The stream is about to take an epoch's first batch."""

    def _leave_epoch(self) -> None:
        """The epoch that was entered is over."""

    def _settings(self) -> tuple[Any, ...]:
        """What the batches are made with, and the user may change; compared by identity."""
        return ()

    @property
    def _stops_at_borders(self) -> bool:
        """Whether nothing of an epoch may be made before the one before it has been left."""
        return False

    def _identity(self) -> tuple[Any, ...]:
        """What tells this stream's data from other data, as values whose `repr` is the same in every process."""
        raise NotImplementedError

    @property
    def _follows_batches(self) -> bool:
        """Whether what is drawn depends on the batch, not on the sample alone."""
        return False

    # --- the stream ---

    def __len__(self) -> int:
        return -(-self.n // self._step_samples)

    def __next__(self) -> Any:
        return self._take()

    def __getitem__(self, idx: int) -> Any:
        if not isinstance(idx, int | np.integer):
            raise TypeError(f"A batch's number should be an integer. Received: {idx!r}")
        if not -len(self) <= idx < len(self):
            raise ValueError(f"Asked to retrieve element {idx}, but the Sequence has length {len(self)}")
        idx = int(idx) % len(self)
        self._check_caller()
        return self._answer(caller_of(self, sys._getframe(1)), idx)

    def endless(self) -> keras.utils.PyDataset:
        """A view without an end, for `fit(steps_per_epoch=...)` above `len(flow)`."""
        return Endless(self)

    def digest(self, epoch: int = 0, *, batches: int | None = None) -> str:
        """A short text to compare or to quote: the same where every byte of an epoch is the same.

        BLAKE2b over dtype, shape and bytes of every array of every batch of the epoch, in the stream's own order; see
        `penstock.feeding._digest`. Where batches promise to be the same, so is this, for any number of workers of any
        kind. The batch size is part of it, and so are the last bits of floats.

        Made beside the stream, batch by batch, by as many workers of its own as the flow has by now: the stream stays
        where it is, and nothing is counted in `stats`. It takes as long as making the batches does. Settings are those
        of now.

        Args:
            epoch: from 0.
            batches: only so many of the epoch's first ones; None for all.

        Returns:
            32 hexadecimal digits.

        Raises:
            BatchError: a batch cannot be made.
            TypeError: a batch holds something else than arrays of numbers or text.
            ValueError: there is no such epoch, or nobody can tell what is in it.

        Example:
            >>> import numpy as np
            >>> from penstock import ImageDataGenerator
            >>> x = np.arange(8 * 9 * 9).reshape(8, 9, 9, 1).astype("float32")
            >>> generator = ImageDataGenerator(horizontal_flip=True)
            >>> with generator.flow(x, seed=1, workers=2) as one, generator.flow(x, seed=1, workers=0) as other:
            ...     one.digest() == other.digest(), one.digest() == one.digest(epoch=1)
            (True, False)
        """
        epoch = operator.index(epoch)
        most = None if batches is None else operator.index(batches)
        if most is not None and most < 1:
            raise ValueError(f"`batches` should be at least 1, or None for all of the epoch. Received: {batches}")
        self._check_caller()
        with self.lock:
            self._opened()
            self._check_epoch(epoch)
            plan, maker, feeding = self._planned(self._plan.order), self._maker, self._feeding
            first, count = epoch * self._steps, self._steps if most is None else min(most, self._steps)
        return digest_within(plan, maker, feeding, range(first, first + count), self._delivered)[0]

    def digests_of_first(self, epoch: int, most: int, seconds: float) -> tuple[str, ...]:
        """The digests of an epoch's first batch, first two and so on, made here and now; of one at least.

        For a look that must not take long: `digest(epoch, batches=...)` of as many is the same.

        Args:
            epoch: from 0.
            most: batches.
            seconds: after which no further one is begun.
        """
        self._check_caller()
        with self.lock:
            self._opened()
            self._check_epoch(epoch)
            plan, maker, first = self._planned(self._plan.order), self._maker, epoch * self._steps
            # Where processes make the batches, they seed for each; so is it done here.
            maker = maker.alone() if self._feeding.has_processes else maker
            positions = range(first, first + min(most, self._steps))
        feeding = replace(self._feeding, workers=0)
        return digest_within(plan, maker, feeding, positions, self._delivered, seconds)[1]

    def reset(self) -> None:
        """On to the next epoch's start; at an epoch's start already, nothing."""
        with self.lock:
            self._position = -(-self._position // self._steps) * self._steps

    def on_epoch_begin(self) -> None:
        """Keras announces an epoch, `evaluate` and the look before the first one included; the stream stays put."""
        self._epoch_begins(sys._getframe(1))

    def on_epoch_end(self) -> None:
        """Keras's epochs end by themselves. A loop of your own over `flow[i]` goes on to the next one by this."""
        self._epoch_ends(sys._getframe(1))

    def close(self) -> None:
        """End the workers and free the memory; may be called twice. Batches already delivered stay valid."""
        self._closed = True
        feeder = self._feeder  # no lock: a thread that waits for a batch holds it, and is to be woken
        if feeder is not None:
            feeder.close()

    # --- resuming ---

    def state_dict(self, *, position: int | None = None) -> dict[str, Any]:
        """Where the stream is, to go on from in another process: `{version, seed, epoch, samples, fingerprint}`.

        It counts samples, those of all ranks, so it holds no worker count, no batch size and no number of ranks. It can
        be written as JSON.

        Args:
            position: of the stream, in batches delivered; None for now.
        """
        with self.lock:
            self._check_samples()
            epoch, number = divmod(self._position if position is None else position, self._steps)
            samples = number * self._step_samples
            if epoch * self._steps + number == self._resumed_at[0]:
                samples += self._resumed_at[1]
            mark = self._fingerprint(shuffled=bool(samples) and self._epoch_is_shuffled)
            return FlowState(self.seed, epoch, samples, mark).as_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was, at once and with any number of workers.

        With another batch size the first batch is what is left up to the next of its multiples; no sample is lost or
        seen twice.

        Raises:
            ValueError: the state is none, or belongs to other data.
        """
        saved = FlowState.parse(state)
        with self.lock:
            self._leave_epoch()  # first, since a hook may change what the state is compared with
            shuffled = saved.fingerprint == self._fingerprint(shuffled=True)
            if not shuffled and saved.fingerprint != self._fingerprint():
                raise ValueError(
                    "This state belongs to other data: the number, names or shape of the samples, `shuffle` or "
                    "`semantics` differ, or the batch size where batches were shuffled. Load it into a flow like the "
                    "one that saved it."
                )
            number, skipped = divmod(saved.samples, self._step_samples)
            if skipped and self._follows_batches:
                raise ValueError(
                    f'semantics="keras" draws by batch, so {saved.samples} samples into an epoch it cannot go on with '
                    f"batches of {self._batch_size}. Use the batch size that the state was saved with."
                )
            self.seed = saved.seed
            self._position = saved.epoch * self._steps + number
            self._resumed_at = (self._position, skipped)
            self._epoch_is_shuffled = shuffled
            self._reopen()

    # --- what one can read off it ---

    @property
    def stats(self) -> FeedStats:
        """What feeding has cost so far."""
        feeder = self._feeder
        return self._stats if feeder is None else feeder.stats

    @property
    def shard(self) -> Shard:
        """Which part of each epoch this process gets: `rank`, from 0, of `world`."""
        return self._feeding.shard

    @property
    def is_running(self) -> bool:
        """See `FedDataset.is_running`."""
        return self._feeder is not None and not self._closed

    @property
    def worker_ids(self) -> Sequence[WorkerId]:
        """See `FedDataset.worker_ids`."""
        feeder = self._feeder
        return () if feeder is None else feeder.worker_ids

    @property
    def waits_for_lock(self) -> bool:
        """See `FedDataset.waits_for_lock`."""
        feeder = self._feeder
        return feeder is not None and feeder.waits_for_lock

    @property
    def peak_bytes(self) -> int:
        """The promised bound, in bytes, of the memory of batches made and not yet delivered."""
        return self._opened().peak_bytes

    @property
    def batch_index(self) -> int:
        """Number of the next batch within its epoch."""
        return self._position % self._steps

    @property
    def total_batches_seen(self) -> int:
        """Batches that the stream has delivered."""
        return self._position

    # --- inside ---

    @property
    def _step_samples(self) -> int:
        """Samples that all ranks together take in a step."""
        return self._batch_size * self._feeding.shard.world

    @property
    def _leaves_ranks_out(self) -> bool:
        """Whether a step has too few samples for all ranks: the last one, or the first after resuming."""
        position, skipped = self._resumed_at
        start = position % self._steps * self._step_samples
        sizes = [self.n % self._step_samples]
        if skipped:
            sizes.append(min(start + self._step_samples, self.n) - start - skipped)
        return any(map(self._feeding.shard.fills_up, sizes))

    @property
    def _steps(self) -> int:
        """Batches in an epoch, at least one, so that an empty flow has a position, too."""
        return max(1, len(self))

    def _border_after(self, position: int) -> int:
        """Position of the next epoch's first batch."""
        return (position // self._steps + 1) * self._steps

    def _take(self, asked: Pass | None = None) -> Any:
        """The stream's next batch; two threads that ask get one each."""
        self._check_caller()
        taken_at = -1
        try:
            with self.lock:
                # TensorFlow goes on asking when its last epoch is over: for batches that nobody will be trained on.
                late = 0 if asked is None else asked.ahead or 0
                at_border = (self._position + late) % self._steps == 0
                if at_border:  # an epoch keeps the order that it began in, so no batch is lost
                    by_batch = asked is not None and asked.asker is Asker.SHUFFLED_TRAINING and not self._shuffle
                    self._epoch_is_shuffled = by_batch
                if at_border and self._has_chosen_processes:
                    self._follow_changes()
                if at_border or not late:  # a state that was loaded may have led into the middle of one
                    self._enter_epoch()
                feeder, position = self._opened(), self._position + late  # a hook may have changed the epoch's length
                end = self._border_after(position) if self._stops_at_borders else None
                batch = self._finish(self._batch_at(feeder, position, end, shuffled=self._epoch_is_shuffled))
                # Last: whatever fails before is tried again.
                self._read_by_address = False
                if asked is not None:
                    asked.taken += 1
                if asked is not None and asked.ahead is not None:
                    asked.ahead += 1
                else:
                    taken_at = self._position
                    self._position += 1
            return batch
        except BaseException:
            # An interrupt may come while the lock is given back, too: nobody has got that batch.
            if taken_at >= 0 and self._position == taken_at + 1:
                self._position = taken_at
            raise

    def _answer(self, frame: FrameType | None, number: int) -> Any:
        """What `number` stands for to whoever asks, in containers that it takes."""
        batch = self._answered(frame, number)
        return for_keras(batch) if is_keras_asking(frame) else batch

    def _answered(self, frame: FrameType | None, number: int) -> Any:
        """What `number` stands for to whoever asks: the stream's next batch, or one of the epoch that it is in."""
        asked = self._passes.of(frame)
        if asked.asker.takes_tickets:
            return self._take(asked)
        if asked.asker is Asker.PEEK and self._feeding.shard.world > 1:
            self._check_rank(frame)  # TensorFlow builds its dataset here, and the model with what that gives
        # A dataset of the user's that reads this one by address, perhaps while Keras has a look at it or trains on it.
        around = self._passes.around(frame) if asked.asker is Asker.USER else None
        if around is not None and around.asker is Asker.PEEK:
            asked = around
        with self.lock:
            if asked.asker is Asker.USER:
                if around is not None and around.asker.takes_tickets:
                    self._follow(around)
                self._enter_epoch()
            feeder = self._opened()
            if asked.epoch_start is None:  # training may go on meanwhile, and the pass is to stay in one epoch
                asked.epoch_start = self._position - self._position % self._steps
            epoch_start = asked.epoch_start
            beside = asked.asker is Asker.PEEK or not self._reads_on(feeder, epoch_start, number, asked.asker)
            self._read_by_address |= asked.asker is Asker.USER
        position = epoch_start + number
        return self._finish(feeder.make(position) if beside else feeder.get(position, self._border_after(position)))

    def _follow(self, around: Pass) -> None:
        """On to the next epoch where Keras begins to train a new one on the dataset around this one."""
        if not around.taken and self._read_by_address:
            self._position = self._border_after(self._position)
            self._read_by_address = False
            self._leave_epoch()
        around.taken += 1

    def _epoch_begins(self, hook: FrameType) -> None:
        if is_keras_asking(hook):
            self._check_rank(hook)
        with self.lock:
            self._position += self._passes.epoch_begins(hook)
            if self._passes.announced(hook) is Asker.READING:
                self._enter_epoch()

    def _epoch_ends(self, hook: FrameType) -> None:
        with self.lock:
            if is_keras_asking(hook):
                self._position -= self._passes.epoch_ends(hook)
                asker = self._passes.announced(hook)
                if asker is Asker.READING or (asker is Asker.TRAINING and self._position % self._steps == 0):
                    self._leave_epoch()
            elif self._read_by_address and self._position % self._steps == 0:
                self._position += self._steps
                self._read_by_address = False
                self._leave_epoch()

    def _check_rank(self, asks: FrameType | None = None) -> None:
        """See `check_rank`; and say, once, that `predict` sees a part alone."""
        if check_rank(self._feeding, asks) == "predict" and not self._has_told_of_part:
            self._has_told_of_part = True
            shard = self._feeding.shard
            notice(
                f"penstock: `predict` gets the part of rank {shard.rank} of {shard.world} alone; a flow with "
                "shard=(0, 1) has all rows, in the order of its files.",
                aloud=self._talks,
            )

    def _check_caller(self) -> None:
        feeder = self._feeder
        if feeder is not None:
            feeder.check_caller()

    def _check_samples(self) -> None:
        if not self.n:
            raise ValueError("This flow has no samples, so there is no batch to make.")

    def _reads_on(self, feeder: Feeder, epoch_start: int, idx: int, asker: Asker) -> bool:
        """Whether the addressed batch is the next one in the queue; looks ahead if addresses come in order."""
        # TensorFlow looks at two batches before it begins, so two in a row say nothing.
        in_order = asker is Asker.READING or self._last_addresses == (idx - 2, idx - 1)
        self._last_addresses = (self._last_addresses[1], idx)
        if feeder.is_next(epoch_start + idx):
            return True
        if in_order:
            position = epoch_start + idx
            feeder.look_ahead(position + 1, self._border_after(position))
        return False

    def _opened(self) -> Feeder:
        with self.lock:
            self._check_open()
            settings = self._settings()
            if self._feeder is not None and not _are_same(settings, self._made_with):
                self._reopen()
            if self._feeder is None:
                self._check_samples()
                self._check_rank()
                self._made_with = settings
                self._maker = self._make_batches()
                self._plan = self._planned(self._order(), self._resumed_at)
                try:
                    self._feeder = self._made_feeder()
                except TypeError:  # it cannot be sent to processes any more
                    if not self._goes_back_to_threads():
                        raise
                    self._feeder = self._made_feeder()
                self._check_still_open(self._feeder)
            return self._feeder

    def _planned(self, order: Callable[[int], Indices], resumed_at: tuple[int, int] = (0, 0)) -> Plan:
        """Who is in each batch; not resumed, of whole epochs."""
        length, seed = len(self), self.seed

        def batch_order(epoch: int) -> Indices:  # does not know the stream, which would then wait for the collector
            return permutation(length, seed, epoch, stream=1)

        return Plan(self.n, self._batch_size, order, batch_order, resumed_at, self._feeding.shard)

    def _made_feeder(self) -> Feeder:
        feeding = self._feeding
        return Feeder(
            self._plan,
            self._maker,
            feeding.executor(),
            **feeding.bounds,
            stats=self._stats,
            trace=trace_for_backend(),
        )

    def _fingerprint(self, *, shuffled: bool = False) -> str:
        """What a state's flow must have in common with another one: its data, and its batches if they are shuffled."""
        batches = (self._batch_size,) if shuffled else ()
        return fingerprint(self.n, self._shuffle, self._follows_batches, *batches, *self._identity())

    def _reopen(self) -> None:
        feeder = self._feeder
        if feeder is not None:
            self._stats = replace(feeder.stats, ready=0, busy=0, depth=0)
            self._feeder = None  # first: after an interrupt in here it is one that is closed
            feeder.close()


def _are_same(settings: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return len(settings) == len(others) and all(map(operator.is_, settings, others))
