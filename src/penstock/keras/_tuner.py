"""`workers="auto"`: measures a flow as it runs, and lets `autotune.choose` say with how many workers to go on."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import final

from penstock.autotune import Limits, Period, Setting, batches_to_measure, choose
from penstock.feeding._core_wait import core_wait_s
from penstock.feeding._cpus import usable_cpus
from penstock.feeding._feeder import Feeder
from penstock.feeding._free_memory import free_bytes
from penstock.feeding._stats import FeedStats
from penstock.keras._feeding import Feeding

_REMEMBERED = 50  # periods; what has failed longer ago is tried again
_SHORTEST_S = 0.005
_LONGEST_S = 1.0  # a look takes 0.1 ms
_MOST_THREADS = 32
_MOST_PROCESSES = 8  # or twice the cores; each takes some 100 MB, and a second of a core to start
_PROCESS_BYTES = 200_000_000
_MEMORY_SHARE = 0.25  # of what is free, for what workers are at


@final
class Tuner:
    """Counts batches, and has something to say every few of them.

    Args:
        feeding: what the user wants.
    """

    def __init__(self, feeding: Feeding) -> None:
        self._periods: deque[Period] = deque(maxlen=_REMEMBERED)
        self._may_use_processes = feeding.use_multiprocessing is None and feeding.place == "threads"
        self._most = _MOST_THREADS
        self._agreed = 0  # times in a row that the setting was right; the next look may then be later
        self._left = 1  # of the batches before the next look: the first one compiles and loads, and tells nothing
        self._began: tuple[FeedStats, float, float] | None = None

    def look(self, feeder: Feeder, feeding: Feeding) -> Setting | None:
        """After each batch: the setting to go on with, if it is another one."""
        self._left -= 1
        if self._left > 0:  # below, an interrupt came before it was set anew
            return None
        now = perf_counter()
        setting = Setting(feeding.workers, feeding.place == "processes")
        began, self._left = self._began, batches_to_measure(setting)
        if began is not None and now - began[1] < min(_SHORTEST_S * 2 ** min(self._agreed, 10), _LONGEST_S):
            return None  # and add the next ones to these
        stats, core_s = feeder.stats, core_wait_s(feeder.worker_ids)
        if began is None:
            self._began = stats, now, core_s
            return None
        before, began_s, began_core_s = began
        self._began = stats, now, core_s
        self._periods.append(
            Period(
                setting,
                stats.batches - before.batches,
                now - began_s,
                stats.wait_s - before.wait_s,
                sum(stats.make_s.values()) - sum(before.make_s.values()),
                stats.cpu_s - before.cpu_s,
                feeder.waits_for_lock,
                max(0.0, core_s - began_core_s),  # one whose worker has ended is missing
            )
        )
        chosen = choose(self._periods, self._limits(feeder, setting, feeding.max_queue_bytes))
        if chosen == setting:
            self._agreed += 1
            return None
        self._agreed = 0
        self._began = None
        # What the workers are at was begun before; and a process takes its time to start.
        self._left = 1 + setting.workers if not chosen.processes or setting.processes else 2 + 2 * chosen.workers
        return chosen

    @property
    def may_use_processes(self) -> bool:
        """Whether processes may yet be chosen, or have been."""
        return self._may_use_processes

    def rule_out(self, setting: Setting) -> None:
        """It could not be had, or made other batches."""
        if setting.processes:
            self._may_use_processes = False
            self._periods.clear()
        elif setting.workers > 1:
            self._most = setting.workers - 1
        self._began, self._left = None, 1

    def _limits(self, feeder: Feeder, setting: Setting, max_queue_bytes: int | None) -> Limits:
        cpus, batch_bytes = usable_cpus(), max(1, feeder.batch_bytes)
        most = self._most
        free = free_bytes()
        if setting.processes:
            most = max(_MOST_PROCESSES, 2 * cpus)
            batch_bytes += _PROCESS_BYTES
        if free is not None:
            most = min(most, setting.workers + int(_MEMORY_SHARE * free / batch_bytes))
        if max_queue_bytes is not None:
            most = min(most, max(1, max_queue_bytes // max(1, feeder.batch_bytes)))
        return Limits(cpus, max(1, most), self._may_use_processes)
