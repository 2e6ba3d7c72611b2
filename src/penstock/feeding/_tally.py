"""What each delivered batch adds to."""

from __future__ import annotations

from typing import NamedTuple

from penstock._types import FillReport, Step
from penstock.feeding._stats import FeedStats


class Tally(NamedTuple):
    """Counts of delivered batches; replaced as a whole, so that who looks sees all of a batch or nothing.

    A `FeedStats`, whose attributes they are, holds so much more that making one for each batch took 10 us.
    """

    batches: int
    samples: int
    make_s: dict[str, float]
    cpu_s: float
    cache_hits: int
    filled_up: int

    @classmethod
    def of(cls, stats: FeedStats) -> Tally:
        """The counts to go on from."""
        return cls(stats.batches, stats.samples, stats.make_s, stats.cpu_s, stats.cache_hits, stats.filled_up)

    def plus(self, step: Step, report: FillReport) -> Tally:
        """With one more batch."""
        make_s = self.make_s.copy()
        for stage, seconds in report.seconds.items():
            make_s[stage] = make_s.get(stage, 0.0) + seconds
        return Tally(
            self.batches + 1,
            self.samples + report.samples,
            make_s,
            self.cpu_s + report.cpu_s,
            self.cache_hits + report.cache_hits,
            self.filled_up + step.fills_up,
        )
