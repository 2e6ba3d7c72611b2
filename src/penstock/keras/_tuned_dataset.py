"""A dataset fed by one feeder, by as many workers as measuring says."""

from __future__ import annotations

import threading
from dataclasses import replace

from penstock._errors import BatchError, WorkerError
from penstock._types import BatchMaker
from penstock.autotune import Setting
from penstock.feeding._batch import Batch
from penstock.feeding._feeder import Feeder
from penstock.keras._fed_dataset import FedDataset
from penstock.keras._feeding import Feeding
from penstock.keras._notice import notice
from penstock.keras._trial import makes_the_same
from penstock.keras._tuner import Tuner


class TunedDataset(FedDataset):
    """With `workers="auto"` the number of threads follows from what is measured, and so do processes.

    Nobody has asked for these: they are to make the same as threads, and where they cannot, threads go on.

    Args:
        feeding: workers and queue.
    """

    def __init__(self, feeding: Feeding) -> None:
        super().__init__(feeding)
        self.lock = threading.RLock()
        self._maker: BatchMaker
        self._feeder: Feeder | None = None
        self._has_chosen_processes = False
        self._tuner = Tuner(feeding) if feeding.is_auto else None

    def _batch_at(self, feeder: Feeder, position: int, end: int | None, *, shuffled: bool) -> Batch:
        """See `Feeder.get`; after it the number of workers may be another one."""
        tuner = self._tuner
        try:
            batch = feeder.get(position, end, shuffled=shuffled)
        except WorkerError as error:
            # Where processes cannot even take what makes the batches, threads go on; one that crashes in a user's code
            # must not do so here.
            if not (isinstance(error.__cause__, BatchError) and self._goes_back_to_threads()):
                raise
            batch = feeder.get(position, end, shuffled=shuffled)
        chosen = None if tuner is None else tuner.look(feeder, self._feeding)
        if tuner is not None and chosen is not None and not self._goes_on_with(chosen, batch):
            tuner.rule_out(chosen)
        if tuner is None or not tuner.may_use_processes:
            self._tell_of_lock()
        return batch

    def _goes_on_with(self, setting: Setting, batch: Batch) -> bool:
        """Have batches made this way from now on; returns False if that cannot be.

        Args:
            batch: the last one.
        """
        feeder, feeding = self._feeder, self._feeding
        assert feeder is not None, "it has just been asked"
        processes = setting.processes if setting.workers else feeding.use_multiprocessing
        wanted = replace(feeding, workers=setting.workers, use_multiprocessing=processes)
        try:
            if setting.workers and feeding.workers and setting.processes == (feeding.place == "processes"):
                feeder.set_workers(setting.workers)
            elif setting.processes and not self._has_chosen_processes:
                return self._goes_on_with_processes(feeder, wanted, batch)
            else:
                feeder.resize(wanted.executor(), **wanted.bounds)
        except Exception:  # no more threads, no space for shared memory
            return False
        self._feeding = wanted
        return True

    def _goes_on_with_processes(self, feeder: Feeder, wanted: Feeding, batch: Batch) -> bool:
        """Unless they make something else: nobody has asked for them."""
        executor = wanted.executor()
        try:
            if not makes_the_same(executor, self._maker, batch):
                executor.close()
                return False
            feeder.resize(executor, **wanted.bounds, is_started=True)
        except BaseException:
            executor.close()
            raise
        self._feeding, self._has_chosen_processes = wanted, True
        notice(
            f"penstock: much of a batch is made in Python, so {wanted.workers} processes make them from now on "
            '(workers="auto"; use_multiprocessing=False keeps threads).',
            aloud=self._talks,
        )
        return True

    def _follow_changes(self) -> None:
        """What the program has set since the last epoch reaches processes that nobody has asked for."""
        feeder = self._feeder
        if feeder is None or self._feeding.place != "processes":
            return
        try:
            if feeder.is_outdated():
                feeder.renew()
        except TypeError:  # it cannot be sent any more
            self._goes_back_to_threads()

    def _goes_back_to_threads(self) -> bool:
        """If nobody has asked for the processes that make the batches; returns whether it was so."""
        tuner, feeding = self._tuner, self._feeding
        if tuner is None or not (self._has_chosen_processes and feeding.place == "processes"):
            return False
        self._feeding = replace(feeding, use_multiprocessing=None)
        tuner.rule_out(Setting(feeding.workers, processes=True))
        if self._feeder is not None:
            self._feeder.resize(self._feeding.executor(), **self._feeding.bounds)
        return True

    def _refeed(self, feeding: Feeding) -> None:
        """See `FedDataset._refeed`."""
        with self.lock:
            if self._feeder is not None and not self._closed:
                self._feeder.resize(feeding.executor(), **feeding.bounds)
            self._feeding = feeding
            self._has_chosen_processes = False
            self._tuner = Tuner(feeding) if feeding.is_auto else None
