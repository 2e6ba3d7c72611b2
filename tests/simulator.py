"""A feed without threads or a clock: workers that compute and wait, cores that they share, a queue and a consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from penstock.autotune import Limits, Period, Setting, batches_to_measure, choose


@dataclass
class _Job:
    """A batch under way: first it waits for a disk, then it computes."""

    waits_s: float
    computes_s: float
    began_s: float


@dataclass
class Simulator:
    """Time passes from event to event; cores are shared evenly.

    Attributes:
        cpu_s: what a batch computes. wait_s: what it waits before.
        own_s: what the consumer does with batch k.
        cores: that workers have. has_lock: threads compute one at a time.
        queue: batches ready ahead.
        overhead_s: of handing a batch over.
    """

    cpu_s: float
    wait_s: float = 0.0
    own_s: Callable[[int], float] = lambda _: 0.0
    cores: int = 2
    has_lock: bool = False
    queue: int = 10
    overhead_s: float = 5e-5
    now_s: float = 0.0
    delivered: int = 0
    ready: deque[float] = field(default_factory=deque)  # what each took a worker
    jobs: list[_Job] = field(default_factory=list)

    def run(self, setting: Setting, batches: int) -> Period:
        """Deliver some batches."""
        began_s, waited_s, make_s = self.now_s, 0.0, 0.0
        for _ in range(batches):
            own_s = self.own_s(self.delivered)
            if setting.workers == 0:
                spent = self.wait_s + self.cpu_s
                self.now_s += spent + own_s
                waited_s += spent
                make_s += spent
            else:
                before = self.now_s
                self._advance(setting, until=lambda: bool(self.ready))
                waited_s += self.now_s - before + self.overhead_s
                make_s += self.ready.popleft()
                end_s = self.now_s + own_s + self.overhead_s
                self._advance(setting, until=lambda end_s=end_s: self.now_s >= end_s - 1e-12, end_s=end_s)
            self.delivered += 1
        seconds = self.now_s - began_s
        lock = self.has_lock and not setting.processes and setting.workers > 1 and self.cpu_s > self.wait_s
        return Period(setting, batches, seconds, waited_s, make_s, self.cpu_s * batches, lock)

    def _advance(self, setting: Setting, until: Callable[[], bool], end_s: float | None = None) -> None:
        """Let time pass."""
        while not until():
            while len(self.jobs) < setting.workers and len(self.ready) + len(self.jobs) < max(
                self.queue, setting.workers
            ):
                self.jobs.append(_Job(self.wait_s, self.cpu_s, self.now_s))
            computing = [job for job in self.jobs if job.waits_s <= 0]
            cores = 1 if self.has_lock and not setting.processes else self.cores
            speed = min(1.0, cores / len(computing)) if computing else 1.0
            steps = [job.waits_s for job in self.jobs if job.waits_s > 0]
            steps += [job.computes_s / speed for job in computing]
            if end_s is not None:
                steps.append(end_s - self.now_s)
            step_s = min(steps)
            self.now_s += step_s
            for job in self.jobs:
                if job.waits_s > 0:
                    job.waits_s = 0.0 if job.waits_s - step_s < 1e-12 else job.waits_s - step_s
                else:
                    job.computes_s -= step_s * speed
            over = [job for job in self.jobs if job.waits_s <= 0 and job.computes_s < 1e-12]
            self.ready.extend(self.now_s - job.began_s for job in over)
            self.jobs = [job for job in self.jobs if not (job.waits_s <= 0 and job.computes_s < 1e-12)]


def tuned(simulator: Simulator, limits: Limits, batches: int, start: Setting) -> tuple[list[Period], list[int]]:
    """Let `choose` lead; returns what was measured, and how many batches had been delivered at each change."""
    simulator.run(start, 1)
    periods: list[Period] = []
    changes = []
    setting = start
    while simulator.delivered < batches:
        periods.append(simulator.run(setting, batches_to_measure(setting)))
        chosen = choose(periods, limits)
        if chosen != setting:
            changes.append(simulator.delivered)
            setting = chosen
    return periods, changes


def best_rate(make: Callable[[], Simulator], limits: Limits, batches: int = 400) -> float:
    """Batches a second with the best fixed setting."""
    kinds = (False, True) if limits.may_use_processes else (False,)
    counts = range(limits.most_workers + 1)
    return max(make().run(Setting(n, p), batches).batches_per_s for n in counts for p in kinds if n or not p)
