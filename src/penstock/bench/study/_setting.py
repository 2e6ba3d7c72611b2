"""Who feeds, with how many workers, in which batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.bench.peers._catalogue import GRAIN, TF_DATA, TORCH

THREADS, PROCESSES = "threads", "processes"
EXECUTORS = (THREADS, PROCESSES)
_ONE_OF = {THREADS: "thread", PROCESSES: "process"}
KERAS, MODEL_ALONE = "Keras", "model alone"
PEERS_BY_WORD = {"keras": KERAS, "tfdata": TF_DATA, "torch": TORCH, "grain": GRAIN}
CHOOSES_ITSELF = frozenset({TF_DATA})
_WITHOUT_WORKERS = frozenset({KERAS, TF_DATA, MODEL_ALONE})


@dataclass(frozen=True)
class Setting:
    """One way of feeding.

    Attributes:
        feed: "threads" or "processes" of penstock, a peer's name, or "model alone": the same batch again and again.
        workers: that make batches; 0 for the caller's thread, and where a peer has no such number.
        batch_size: images in a batch.
    """

    feed: str
    workers: int
    batch_size: int

    @property
    def is_ours(self) -> bool:
        """Whether penstock feeds."""
        return self.feed in EXECUTORS

    @property
    def is_baseline(self) -> bool:
        """Whether it is what others of its batch size are compared with: each batch made when it is asked for."""
        return self.is_ours and self.workers == 0

    @property
    def label(self) -> str:
        """In words.

        Example:
            >>> [Setting(feed, 2, 32).label for feed in ("threads", "torch DataLoader", "Keras")]
            ['2 threads', 'torch DataLoader, 2 workers', 'Keras']
        """
        if self.is_baseline:
            return "no workers"
        if self.is_ours:
            return f"{self.workers} {_ONE_OF[self.feed] if self.workers == 1 else self.feed}"
        return self.feed if self.feed in _WITHOUT_WORKERS else f"{self.feed}, {counted_workers(self.workers)}"


def counted_workers(workers: int) -> str:
    """A number and its noun."""
    return f"{workers} worker{'' if workers == 1 else 's'}"


def settings_for(
    workers: Sequence[int],
    executors: Sequence[str],
    batch_sizes: Sequence[int],
    peers: Sequence[str] = (),
    *,
    peer_workers: int = 1,
    model_alone: bool = False,
) -> tuple[Setting, ...]:
    """All that are to be measured, batch size by batch size; no workers once, whoever the others are.

    Args:
        workers: numbers to try; 0 is measured in any case, since the others are compared with it.
        executors: "threads", "processes".
        batch_sizes: images in a batch.
        peers: by their names.
        peer_workers: of those that have workers.
        model_alone: also train on one batch again and again.
    """
    settings = []
    for batch_size in dict.fromkeys(batch_sizes):
        settings.append(Setting(executors[0], 0, batch_size))
        counts = sorted({count for count in workers if count > 0})
        settings += [Setting(feed, count, batch_size) for feed in dict.fromkeys(executors) for count in counts]
        for peer in dict.fromkeys(peers):
            settings.append(Setting(peer, 0 if peer in _WITHOUT_WORKERS else peer_workers, batch_size))
        if model_alone:
            settings.append(Setting(MODEL_ALONE, 0, batch_size))
    return tuple(settings)


def usual_workers(cpus: int) -> tuple[int, ...]:
    """Numbers to try on so many CPUs: none, powers of two, one for each CPU and, as the study did, two for each.

    Example:
        >>> usual_workers(2), usual_workers(6)
        ((0, 1, 2, 4), (0, 1, 2, 4, 6, 12))
    """
    powers = {1 << bit for bit in range(cpus.bit_length()) if 1 << bit <= cpus}
    return tuple(sorted({0, *powers, cpus, 2 * cpus}))
