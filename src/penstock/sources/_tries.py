"""How often something is tried again that may pass, and when."""

from __future__ import annotations

import time

from penstock.sources._remote_errors import is_passing

TRIES = 5  # with 0.1, 0.4, 1.6 and 6.4 s between them, and up to twice that


def wait_s(turn: int, number: int) -> float:
    """How long to wait after a try.

    Args:
        turn: its number, from 0.
        number: of who waits. Requests that failed together do not come again together.
    """
    return 0.1 * 4.0**turn * (1 + number % 8 / 8)


def is_worth_a_try(error: Exception, turn: int, wait_s: float, deadline: float) -> bool:
    """Whether to wait, and try again.

    Args:
        error: what came of the last try.
        turn: the number of that, from 0.
        wait_s: how long to wait. deadline: when there has to be an answer, by `time.monotonic`.
    """
    return turn + 1 < TRIES and is_passing(error) and time.monotonic() + wait_s < deadline
