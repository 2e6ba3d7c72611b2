"""How many workers a feed needs, from what it has measured of itself: `choose`, a pure function."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WAITS = 0.02  # share of the time; a consumer that waits less is kept busy
_SPARE = 1.1  # workers keep up if they could make so many times what is asked for
_IDLE = 0.25  # of the time that a batch computes; one that waits less is bound by cores
_CPU_HALF = 0.5  # share of the usable cores; where more are busy, twice as many batches cannot be had
_GAIN = 1.03  # what another number of workers has to bring, to be worth it
_SAME_COST = 1.5  # batches that cost between 1/so and so many times as much cost the same
_WORTH_SENDING_S = 1e-3  # four times what it costs that a batch comes from another process
_TINY_S = 2.5e-5  # a batch that is made as fast as it is handed over is best made by who asks for it
_NOT_TINY_S = 2e-4


@dataclass(frozen=True)
class Setting:
    """Who makes the batches.

    Attributes:
        workers: how many; 0 for the consumer itself.
        processes: processes instead of threads.
    """

    workers: int
    processes: bool = False


@dataclass(frozen=True)
class Limits:
    """What there is.

    Attributes:
        cpus: that the program may use, by affinity and quota.
        most_workers: that memory allows, at least 1.
        may_use_processes: whether processes can make the batches.
    """

    cpus: int
    most_workers: int = 32
    may_use_processes: bool = False


@dataclass(frozen=True)
class Period:
    """Some batches, made with one setting.

    Attributes:
        setting: the workers.
        batches: delivered.
        seconds: that it took.
        wait_s: how much of that the consumer waited.
        make_s: what workers spent on these batches, summed over workers.
        cpu_s: how much of that they computed.
        core_wait_s: how much of it they were ready to compute, and had no core; as far as that is known.
        waits_for_lock: whether threads have been found to wait for the interpreter lock.
    """

    setting: Setting
    batches: int
    seconds: float
    wait_s: float
    make_s: float
    cpu_s: float
    waits_for_lock: bool = False
    core_wait_s: float = 0.0

    @property
    def batches_per_s(self) -> float:
        """Delivered."""
        return self.batches / max(self.seconds, 1e-9)

    @property
    def wait_share(self) -> float:
        """Share of the time that the consumer waited, from 0 to 1."""
        return min(1.0, self.wait_s / max(self.seconds, 1e-9))

    @property
    def make_batch_s(self) -> float:
        """What one worker spends on a batch."""
        return self.make_s / max(self.batches, 1)

    @property
    def cpu_batch_s(self) -> float:
        """What a batch computes."""
        return self.cpu_s / max(self.batches, 1)

    @property
    def idle_batch_s(self) -> float:
        """What a batch waits, for anything but a core."""
        return max(0.0, self.make_s - self.cpu_s - self.core_wait_s) / max(self.batches, 1)

    @property
    def own_s(self) -> float:
        """What the consumer does with a batch."""
        return max(0.0, self.seconds - self.wait_s) / max(self.batches, 1)


def choose(periods: Iterable[Period], limits: Limits) -> Setting:
    """The smallest number of workers that keeps the consumer from waiting, as far as the last periods tell.

    A batch takes w seconds of a worker, c of them on a core. So n workers make n/w batches a second, and all cores c
    allow no more than cores/c. A consumer that needs o seconds for each takes up to 1/o. Wanted is the least n that
    makes as many as the smaller of these. A number that has been tried and brought nothing is not tried again, until
    batches cost something else.

    Args:
        periods: what was measured, oldest first, at least one; the last one is of the setting in use.
        limits: what there is.

    Returns:
        The setting to go on with.

    Example:
        >>> slow_disk = Period(Setting(2), batches=8, seconds=2.0, wait_s=1.9, make_s=4.0, cpu_s=0.1)
        >>> choose([slow_disk], Limits(cpus=4))
        Setting(workers=32, processes=False)
        >>> slow_model = Period(Setting(4), batches=8, seconds=2.0, wait_s=0.0, make_s=0.5, cpu_s=0.5)
        >>> choose([slow_model] * 3, Limits(cpus=4))
        Setting(workers=1, processes=False)
    """
    periods = list(periods)
    now = periods[-1]
    if now.setting.workers == 0:
        return Setting(1) if now.make_batch_s > _NOT_TINY_S else now.setting
    if now.waits_for_lock and not now.setting.processes:
        return _past_the_lock(periods, limits)
    if now.make_batch_s < _TINY_S and not now.setting.processes:
        return Setting(0)
    if now.wait_share > _WAITS:
        return _more(periods, limits)
    return _fewer(periods)


def batches_to_measure(setting: Setting) -> int:
    """How many tell what a setting is worth: as many as each worker's second one at least."""
    return max(4, 2 * setting.workers)


def _past_the_lock(periods: Sequence[Period], limits: Limits) -> Setting:
    """Threads take turns at the interpreter lock: processes, unless they have been tried and were no faster."""
    now = periods[-1]
    tried = [period for period in periods if period.setting.processes]
    # A consumer that finds batches ready is held up by the lock all the same, between one batch and the next.
    is_held_up = now.wait_share > _WAITS or now.cpu_s > _CPU_HALF * now.seconds
    if limits.may_use_processes and is_held_up and now.make_batch_s > _WORTH_SENDING_S and not tried:
        return Setting(min(limits.cpus, limits.most_workers), processes=True)
    return Setting(min(now.setting.workers, limits.cpus))


def _more(periods: Sequence[Period], limits: Limits) -> Setting:
    now = periods[-1]
    workers = now.setting.workers
    tried = {
        period.setting.workers: period.batches_per_s  # the latest counts
        for period in periods
        if period.setting.processes == now.setting.processes and _is_alike(period, now)
    }
    as_good = [count for count, rate in tried.items() if count < workers and rate * _GAIN > now.batches_per_s]
    if as_good:
        return Setting(min(as_good), now.setting.processes)
    threads = [period for period in periods if now.setting.processes and not period.setting.processes]
    if threads and threads[-1].batches_per_s > now.batches_per_s * _GAIN:
        return threads[-1].setting
    if workers >= limits.cpus and now.idle_batch_s < _IDLE * now.cpu_batch_s:
        return now.setting  # more would only take turns at the cores
    wanted_per_s = min(_SPARE / max(now.own_s, 1e-9), limits.cpus / max(now.cpu_batch_s, 1e-9))
    needed = (now.idle_batch_s + now.cpu_batch_s) * wanted_per_s
    wanted = max(workers + 1, math.ceil(needed - 0.25))  # measured, and so a little over
    if workers >= limits.cpus and now.cpu_s / max(now.seconds, 1e-9) > _CPU_HALF * limits.cpus:
        wanted = workers + 1  # there is not much to gain: one step, and see
    in_vain = [count for count, rate in tried.items() if workers < count <= wanted and rate < now.batches_per_s * _GAIN]
    between = [math.isqrt(workers * count) for count in in_vain]
    return Setting(max(1, min(wanted, limits.most_workers, *between)), now.setting.processes)


def _fewer(periods: Sequence[Period]) -> Setting:
    """As many as are busy, once three periods agree: what waits for nothing now may be needed after a validation."""
    now, last = periods[-1], periods[-3:]
    needed = max(1, math.ceil(max(period.make_s / max(period.seconds, 1e-9) for period in last) * _SPARE))
    has_been_so = len(last) == 3 and all(
        period.setting == now.setting and period.wait_share <= _WAITS for period in last
    )
    fell_short = any(
        period.setting.processes == now.setting.processes
        and period.setting.workers < now.setting.workers
        and period.wait_share > _WAITS
        and _is_alike(period, now)
        and period.setting.workers >= needed
        for period in periods
    )
    if needed >= now.setting.workers or not has_been_so or fell_short:
        return now.setting
    return Setting(needed, now.setting.processes)


def _is_alike(one: Period, other: Period) -> bool:
    """Whether batches have cost the same, so that numbers of workers can be compared."""
    low, high = sorted((one.cpu_batch_s, other.cpu_batch_s))
    return high <= _SAME_COST * low + 1e-4
