"""Which feeds there are, as `threading.enumerate` says which threads."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Protocol

from penstock._types import WorkerId
from penstock.feeding._stats import FeedStats


class Feeding(Protocol):
    """A feed, seen by who watches it."""

    @property
    def is_running(self) -> bool:
        """Whether it has begun to make batches, and is not closed."""
        ...

    @property
    def stats(self) -> FeedStats:
        """Its counts."""
        ...

    @property
    def worker_ids(self) -> Sequence[WorkerId]:
        """See `Executor.worker_ids`."""
        ...


# The one thing here that a module keeps: whoever watches a program is not told of each of its feeds.
_FEEDS: dict[int, weakref.ref[Feeding]] = {}


def announce(feed: Feeding) -> None:
    """Let a feed be found for as long as it is there."""
    key = id(feed)
    _FEEDS[key] = weakref.ref(feed, lambda _: _FEEDS.pop(key, None))


def running() -> list[Feeding]:
    """The feeds that run now, in the order in which they were made."""
    feeds = [ref() for ref in list(_FEEDS.values())]
    return [feed for feed in feeds if feed is not None and feed.is_running]
