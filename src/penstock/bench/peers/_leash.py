"""A peer's process ends with the one that asked for it, however that ends; what it has started ends with it."""

from __future__ import annotations

import os
import signal
import stat
import threading


def end_with_who_asked() -> None:
    """Watch standard input, a pipe of which nothing ever comes: when it closes, nobody is there to read an answer.

    Does nothing where somebody runs the module by hand. Libraries start workers in their own ways, not all of which
    notice that their parent is gone, so all of the session's processes are killed.
    """
    if hasattr(os, "killpg") and stat.S_ISFIFO(os.fstat(0).st_mode) and os.getpgrp() == os.getpid():
        watch = os.dup(0)  # its workers may close theirs, and some libraries do so in the parent, too
        threading.Thread(target=_wait_for_end, args=(watch,), name="penstock-leash", daemon=True).start()


def _wait_for_end(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.killpg(0, signal.SIGKILL)
