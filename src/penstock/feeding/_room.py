"""Whether a queue has room in memory."""

from __future__ import annotations

from penstock.feeding._free_memory import free_bytes

_WORTH_A_LOOK_BYTES = 1 << 26  # a smaller queue is not what fills a memory


def check_room(batches: int, batch_bytes: int, held_bytes: int = 0) -> None:
    """Refuse a queue that would take more memory than is free.

    Args:
        batches: that it may hold.
        batch_bytes: of each.
        held_bytes: of them that are there already.

    Raises:
        ValueError: it would; with the figures.
    """
    if batches * batch_bytes < _WORTH_A_LOOK_BYTES:
        return
    free = free_bytes()
    if free is not None and batches * batch_bytes > free + held_bytes:
        free += held_bytes
        fits = free // 2 // batch_bytes
        cure = f"Set max_queue_size and workers to {fits} at most, or " if fits else "Make batches smaller, or set "
        raise ValueError(
            f"A queue of {batches} batches of {_size(batch_bytes)} would take {_size(batches * batch_bytes)}, and "
            f'{_size(free)} of memory are free. {cure}max_queue_bytes="{max(1, free // 2 // 10**6)}MB".'
        )


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e9:,.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.0f} MB"
