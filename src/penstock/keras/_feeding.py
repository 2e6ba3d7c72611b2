"""The feeding keywords, checked."""

from __future__ import annotations

import operator
import os
import re
import sys
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from penstock._types import Executor
from penstock.feeding._cpus import usable_cpus
from penstock.feeding._plan import ALL, Shard
from penstock.feeding.executors._pool_threads import PoolThreadExecutor
from penstock.feeding.executors._ray_cluster import RayCluster
from penstock.feeding.executors._ray_connect import check_ray, is_ray
from penstock.feeding.executors._serial import SerialExecutor
from penstock.feeding.executors._threads import ThreadExecutor
from penstock.feeding.executors._users_pool import UsersPool
from penstock.keras._notice import notice
from penstock.keras._ranks import find_ranks
from penstock.keras._trace import trace_for_backend

DEFAULT_TIMEOUT_S = 300.0
DEFAULT_QUEUE_SIZE = 10  # Keras's, too
_FIRST_WORKERS = 2  # enough to see whether they hold each other up

Place = Literal["caller", "threads", "processes", "pool's threads", "pool's processes", "Ray"]

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {f"{unit[0]}IB": 1024**power for power, unit in enumerate(("KB", "MB", "GB", "TB"), 1)}


class FeedingKeywords(TypedDict, total=False):
    """The keywords of `Feeding.parse`, for those who pass them on."""

    workers: int | str
    max_queue_size: int
    max_queue_bytes: int | str | None
    use_multiprocessing: bool | None
    timeout: float | None
    pool: Any
    on_error: str
    shard: tuple[int, int] | str


class Bounds(TypedDict):
    """The queue's keywords of `Feeder` and `Feeder.resize`."""

    max_queue_size: int
    max_queue_bytes: int | None
    timeout_s: float | None


@dataclass(frozen=True)
class Feeding:
    """How a flow makes its batches.

    Attributes:
        workers: threads or processes that make batches; 0 for the caller's thread.
        max_queue_size: batches ready ahead.
        max_queue_bytes: bound on their memory; None for none.
        use_multiprocessing: True for processes; None and False for threads.
        timeout_s: for one batch; None for no limit.
        pool: the user's, or a Ray cluster, which makes the batches; None for workers of our own.
        on_error: what becomes of samples that cannot be made: "raise", "skip" or "substitute".
        shard: whose batches they are.
        finds_ranks: whether it was found, and not given.
        is_auto: whether the number of workers, and if `use_multiprocessing` was None, their kind, follow from what is
            measured.
    """

    workers: int
    max_queue_size: int = DEFAULT_QUEUE_SIZE
    max_queue_bytes: int | None = None
    use_multiprocessing: bool | None = None
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    pool: UsersPool | RayCluster | None = None
    on_error: str = "raise"
    shard: Shard = ALL
    is_auto: bool = False
    finds_ranks: bool = False

    @classmethod
    def parse(
        cls,
        workers: Any = "auto",
        max_queue_size: Any = DEFAULT_QUEUE_SIZE,
        max_queue_bytes: Any = None,
        use_multiprocessing: Any = None,
        timeout: Any = DEFAULT_TIMEOUT_S,
        pool: Any = None,
        on_error: Any = "raise",
        shard: Any = "auto",
    ) -> Feeding:
        """Check the keywords as the user gave them."""
        users = parse_pool(pool)
        if users is not None and workers == "auto":
            workers = users.workers or usable_cpus()
        is_auto = isinstance(workers, str) and workers == "auto"
        finds_ranks = isinstance(shard, str) and shard == "auto"
        part = parse_shard(shard)
        if part.rows_multiple and on_error == "skip":
            raise ValueError(
                f'on_error="skip" leaves ranks with fewer rows than others, and the {part.world} processes of JAX need '
                'as many each. Use on_error="substitute".'
            )
        return cls(
            parse_workers(workers),
            parse_queue_size(max_queue_size),
            parse_bytes(max_queue_bytes),
            parse_multiprocessing(use_multiprocessing),
            parse_timeout(timeout),
            users,
            parse_on_error(on_error),
            part,
            is_auto,
            finds_ranks,
        )

    @property
    def place(self) -> Place:
        """Where batches are made; threads stand in for processes where there are none."""
        if not self.workers:
            return "caller"
        if isinstance(self.pool, RayCluster):
            return "Ray"
        if self.pool is not None and self.pool.has_threads:
            return "pool's threads"
        if self.pool is not None:
            return "pool's processes" if sys.platform == "linux" else "threads"
        return "processes" if self.use_multiprocessing and os.name == "posix" else "threads"

    @property
    def bounds(self) -> Bounds:
        """What a feeder is told of its queue."""
        return {
            "max_queue_size": self.max_queue_size,
            "max_queue_bytes": self.max_queue_bytes,
            "timeout_s": self.patience_s,
        }

    @property
    def has_processes(self) -> bool:
        """Whether each worker is a process, in which global random generators can be seeded for it alone."""
        return self.place in ("processes", "pool's processes", "Ray")

    @property
    def patience_s(self) -> float | None:
        """How long a consumer waits for a batch; processes of our own are watched by those that attend them."""
        return None if self.place == "processes" else self.timeout_s

    def executor(self, beside: Executor | None = None, *, probes: bool | None = None) -> Executor:
        """A new executor that makes batches this way.

        Args:
            beside: another one, already started, that ends together with it; of processes they share large arrays.
            probes: look whether threads wait for the interpreter lock; None for where there are, or may be, several.
        """
        # Those with processes are imported here, since elsewhere some of what they import is not there.
        if self.place == "caller":
            return SerialExecutor()
        if self.place == "processes":
            from penstock.feeding.executors._processes import ProcessExecutor

            sharing = beside if isinstance(beside, ProcessExecutor) else None
            return ProcessExecutor(self.workers, self.timeout_s, sharing)
        if isinstance(self.pool, RayCluster):
            from penstock.feeding.executors._ray import RayExecutor

            return RayExecutor(self.pool, self.workers)
        if self.pool is not None and self.place == "pool's processes":
            from penstock.feeding.executors._pool_processes import PoolProcessExecutor

            return PoolProcessExecutor(self.pool, self.workers)
        if self.pool is not None and self.place == "pool's threads":
            return PoolThreadExecutor(self.pool, self.workers, trace=trace_for_backend())
        if self.pool is not None:
            notice("penstock: a pool of processes needs Linux; threads make the batches.")
        elif self.use_multiprocessing:
            notice("penstock: worker processes need Linux or macOS; threads make the batches.")
        probes = self.workers > 1 or self.is_auto if probes is None else probes
        return ThreadExecutor(self.workers, probes=probes, trace=trace_for_backend())


def parse_workers(workers: Any) -> int:
    """A number; "auto" begins with two, or as many as there are usable CPUs."""
    if isinstance(workers, str) and workers == "auto":
        return min(_FIRST_WORKERS, usable_cpus())
    if not isinstance(workers, int | np.integer) or isinstance(workers, bool) or workers < 0:
        raise ValueError(f'`workers` should be "auto" or an integer from 0 on. Received: {workers!r}')
    return int(workers)


def check_pool(pool: Any) -> None:
    """Refuse what `parse_pool` would; a Ray cluster is not looked for yet."""
    if is_ray(pool):
        check_ray(pool)
    elif pool is not None:
        UsersPool(pool)


def parse_pool(pool: Any) -> UsersPool | RayCluster | None:
    """A pool that is open, a Ray cluster by its address, or None."""
    if not is_ray(pool):
        return None if pool is None else UsersPool(pool)
    cluster = RayCluster(pool)
    if cluster.said is not None:
        notice(cluster.said)
    return cluster


def parse_queue_size(max_queue_size: Any) -> int:
    """Batches, at least 1."""
    if not isinstance(max_queue_size, int | np.integer) or isinstance(max_queue_size, bool) or max_queue_size < 1:
        raise ValueError(f"`max_queue_size` should be an integer from 1 on. Received: {max_queue_size!r}")
    return int(max_queue_size)


def parse_bytes(size: Any, name: str = "max_queue_bytes") -> int | None:
    """Bytes from an integer or a text such as "2GB" or "512 MiB"; `name` is that of the keyword."""
    if size is None:
        return None
    if isinstance(size, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?B)?\s*", size.upper())):
        unit = found[2] or ""
        nbytes = float(found[1]) * _UNITS["" if unit == "B" else unit]
        if 1 <= nbytes < float("inf"):
            return int(nbytes)
    elif isinstance(size, int | np.integer) and not isinstance(size, bool) and size > 0:
        return int(size)
    raise ValueError(f'`{name}` should be a positive integer or a text like "2GB". Received: {size!r}')


def parse_multiprocessing(use_multiprocessing: Any) -> bool | None:
    """None, True or False."""
    if use_multiprocessing is not None and not isinstance(use_multiprocessing, bool | np.bool_):
        raise ValueError(f"`use_multiprocessing` should be None, True or False. Received: {use_multiprocessing!r}")
    return None if use_multiprocessing is None else bool(use_multiprocessing)


def parse_timeout(timeout: Any) -> float | None:
    """Seconds; None for no limit."""
    if timeout is None:
        return None
    if isinstance(timeout, int | float | np.number) and not isinstance(timeout, bool) and timeout > 0:
        return float(timeout)
    raise ValueError(f"`timeout` should be a positive number of seconds, or None. Received: {timeout!r}")


def parse_on_error(on_error: Any) -> str:
    """One of three words."""
    if on_error not in ("raise", "skip", "substitute"):
        raise ValueError(f'`on_error` should be "raise", "skip" or "substitute". Received: {on_error!r}')
    return str(on_error)


def parse_shard(shard: Any) -> Shard:
    """A rank, from 0, and the number of ranks; or "auto" for what the framework that trains says."""
    found = find_ranks()
    if isinstance(shard, str) and shard == "auto":
        if found.shard.world > 1:
            notice(
                f"penstock: rank {found.shard.rank} of {found.shard.world} by {found.by}: of each step's "
                f"{found.shard.world} batches this process gets one (shard=(0, 1) has it get all)."
            )
        return found.shard
    try:
        rank, world = map(operator.index, shard)
    except (TypeError, ValueError):
        rank, world = -1, 0
    if not 0 <= rank < world:
        raise ValueError(
            f'`shard` should be a rank, from 0, and the number of ranks, as (0, 1), or "auto". Received: {shard!r}'
        )
    # (0, 1) is all samples, whatever others do.
    return Shard(rank, world, rows_multiple=found.shard.rows_multiple if world > 1 else 0)


def check_batch_size(batch_size: Any) -> None:
    """A positive integer."""
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"`batch_size` should be a positive integer. Received: {batch_size!r}")
