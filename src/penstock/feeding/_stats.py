"""What feeding has cost so far."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from penstock._types import BadSample


@dataclass(frozen=True)
class FeedStats:
    """A snapshot of a flow's counts since it was made.

    Attributes:
        batches: delivered.
        samples: delivered.
        wait_s: time the consumer has spent waiting for batches, up to now. Near the whole running time: training
            starves, add workers. Near 0: the feed keeps up, and more workers change nothing.
        make_s: time workers spent on the delivered batches, summed over workers, by stage ("read", "decode",
            "transform").
        cpu_s: how much of that they computed; the rest they waited, for files or for a core.
        ready: batches made and not yet delivered, now.
        busy: batches that workers are at, now.
        depth: batches under way or ready and not yet delivered, at most.
        dropped: batches made ahead and thrown away, since another one was asked for than the next.
        overflows: batches that got memory beyond the slots, since the consumer held on to all of them.
        peak_bytes: the promised bound of the memory of batches made and not yet delivered.
        bad_samples: how often a sample was left out or replaced, since it could not be made; see `on_error`.
        bad: which, each once, in the order in which they came up.
        filled_up: batches that a rank got only so that all ranks have as many steps; see `shard`.
        cache_hits: samples of delivered batches that did not have to be read and decoded; see `cache`.
        cache_images: this flow's files whose images the cache holds, now.
        cache_bytes: of all images that are kept beside one another there, now.
    """

    batches: int = 0
    samples: int = 0
    wait_s: float = 0.0
    make_s: dict[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    ready: int = 0
    busy: int = 0
    depth: int = 0
    dropped: int = 0
    overflows: int = 0
    peak_bytes: int = 0
    bad_samples: int = 0
    bad: tuple[BadSample, ...] = ()
    filled_up: int = 0
    cache_hits: int = 0
    cache_images: int = 0
    cache_bytes: int = 0

    @property
    def bad_paths(self) -> tuple[str, ...]:
        """Files of the samples in `bad`."""
        return tuple(sample.path for sample in self.bad if sample.path is not None)

    def __add__(self, other: FeedStats) -> FeedStats:
        """The counts of two feeds together."""
        make_s = dict(self.make_s)
        for stage, seconds in other.make_s.items():
            make_s[stage] = make_s.get(stage, 0.0) + seconds
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "make_s"
        }
        return FeedStats(**sums, make_s=make_s)
