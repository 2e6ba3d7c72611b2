"""What feeds accelerators that train in step, and what bounds its rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pipeline:
    """A batch is read, received, made on a core, sent, and waits in its rank's queue until it is taken.

    Attributes:
        ranks: accelerators; none begins its next step before all have a batch.
        step_s: that each computes on a batch.
        cores: that make batches, shared by all ranks.
        workers: of each rank; so many of its batches are read and made at a time.
        depth: batches of a rank that are under way or ready, and not yet taken.
        compute_s: of a core, for a batch.
        spread: standard deviation of that over its mean.
        read_s: until the requests of a batch are answered; takes a worker, and no core.
        receive_s, send_s: that the bytes of a batch take of the network, which all ranks share, there and back.
    """

    ranks: int
    step_s: float
    cores: int
    workers: int
    depth: int
    compute_s: float
    spread: float = 0.0
    read_s: float = 0.0
    receive_s: float = 0.0
    send_s: float = 0.0

    @property
    def wanted(self) -> float:
        """Batches a second that all ranks take if they never wait."""
        return self.ranks / self.step_s

    def bounds(self) -> dict[str, float]:
        """Batches a second that each part can give, all others being infinitely fast.

        What is under way is what comes each second times how long it stays (Little's law): workers that hold a batch
        for so long, and a queue that does, give so many.
        """
        at_worker_s = self.read_s + self.receive_s + self.compute_s
        return {
            "cores": self.cores / self.compute_s,
            "workers": self.ranks * self.workers / at_worker_s,
            "queue": self.ranks * self.depth / (at_worker_s + self.send_s),
            "network in": 1 / self.receive_s if self.receive_s else float("inf"),
            "network out": 1 / self.send_s if self.send_s else float("inf"),
        }

    @property
    def waiting_share(self) -> float:
        """Share of the time that ranks wait, as far as bounds tell: the least that can be, and exact without spread."""
        return max(0.0, 1 - min(self.bounds().values()) / self.wanted)
