"""Refuses what would give samples to several ranks, or to none, without a word."""

from __future__ import annotations

import threading
from types import FrameType

from penstock.keras._asker import trainer_around
from penstock.keras._feeding import Feeding
from penstock.keras._ranks import find_ranks, shares_out


def check_rank(feeding: Feeding, asks: FrameType | None) -> str | None:
    """Whether what a flow was made for still stands.

    Args:
        feeding: of the flow.
        asks: Keras's frame that is about to go through the batches; None for a user's first batch.

    Returns:
        What Keras is about to do, as "fit", where this is one of several ranks; else None.

    Raises:
        ValueError: the ranks are others by now, or TensorFlow shares out what Keras gets.
    """
    shard = feeding.shard
    # Elsewhere the strategy or distribution of the thread that trains is not known.
    if feeding.finds_ranks and threading.current_thread() is threading.main_thread():
        now = find_ranks()
        if now.are_several and (now.shard.rank, now.shard.world) != (shard.rank, shard.world):
            raise ValueError(
                f"This flow was made for rank {shard.rank} of {shard.world}, and by now this process is rank "
                f"{now.shard.rank} of {now.shard.world} by {now.by}. Make flows after the processes have found "
                "each other, and after keras.distribution.set_distribution; or give them `shard`."
            )
    if shard.world == 1:
        return None
    method, model = trainer_around(asks)
    if shares_out(model):
        raise ValueError(
            f"`shard` should be (0, 1) for `{method}` under this strategy: TensorFlow shares out each batch among "
            f"its workers, and would share out again what is a part already. Received: ({shard.rank}, "
            f"{shard.world}). Parts are for loops of your own."
        )
    return method
