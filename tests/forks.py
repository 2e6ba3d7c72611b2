"""Runs programs that begin alike in forks of one process, which has imported for all of them what takes seconds.

Each goes on, and ends, as a program of its own would: forked before any thread, in `__main__`, to the end of the
interpreter.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PROGRAM = """
import gc, json, os, signal, sys, warnings
import numpy, penstock
penstock.ImageDataGenerator  # and with it Keras
gc.freeze()  # what was imported; ends go through it all, and the half of a second is theirs
folder, texts = json.loads(sys.stdin.read())
text = ""
for number, each in enumerate(texts):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"os\\.fork\\(\\)")  # of JAX, which has begun no thread yet
        child = os.fork()
    if not child:
        signal.alarm(100)  # one that never ends is no orphan
        for name, descriptor in (("out", 1), ("err", 2)):
            os.dup2(os.open(f"{folder}/{number}.{name}", os.O_WRONLY | os.O_CREAT), descriptor)
        text = each
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
exec(compile(text, "<program>", "exec"))
"""


def forked(texts: Sequence[str], folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run programs one after the other, with warnings as errors.

    Args:
        texts: what is in them.
        folder: an empty one, for what they say.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM],
        input=json.dumps([str(folder), list(texts)]),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    codes = [int(code) for code in done.stdout.split()]
    assert len(codes) == len(texts)
    said = [[(folder / f"{number}.{name}").read_text() for name in ("out", "err")] for number in range(len(texts))]
    return [subprocess.CompletedProcess(text, code, *each) for text, code, each in zip(texts, codes, said, strict=True)]
