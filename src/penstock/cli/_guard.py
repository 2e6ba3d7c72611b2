"""Ends a program when the command that runs it is gone; a process of its own, begun by `Child`.

It is run as a file, by an interpreter that loads nothing else: it is there in some 20 ms, and imports no penstock.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import IO

_TICK_S = 0.1


def guard(pipe: IO[bytes], grace_s: float) -> None:
    """Read the number of a process group; then, where the pipe ends without another word, end that group.

    Args:
        pipe: from the command. Whatever ends that, `kill -9` included, closes it.
        grace_s: seconds for the group to save what it has.
    """
    group = pipe.readline()
    if not group.endswith(b"\n") or pipe.read(1):  # it never began, or has ended
        return
    try:
        os.killpg(int(group), signal.SIGTERM)
        until_s = time.monotonic() + grace_s
        while time.monotonic() < until_s:
            time.sleep(_TICK_S)
            os.killpg(int(group), 0)
        os.killpg(int(group), signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # whoever ends the command may end all its processes so
    guard(sys.stdin.buffer, float(sys.argv[1]))
