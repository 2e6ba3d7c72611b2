"""Runs that say they run, and whose program is gone."""

from __future__ import annotations

from contextlib import suppress

from penstock._errors import StoreError
from penstock.tracking._processes import Process
from penstock.tracking._store import Store

_MOST = 1000  # that are looked at


def mark_killed(store: Store) -> list[str]:
    """Give those of this machine the status KILLED.

    Returns:
        Their ids; none where the store cannot be written to.
    """
    here = Process.this()
    marked = []
    with suppress(StoreError):
        for run in store.runs(_MOST, "RUNNING"):
            process = Process.of_tags(run.tags)
            if process is not None and process.is_gone(here):
                store.set_tags(run.id, {"penstock.end": "the program was killed, or its machine went down"})
                store.end(run.id, "KILLED")
                marked.append(run.id)
    return marked
