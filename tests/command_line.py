"""What a user types, in a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

from penstock.cli import main

# Whatever Keras may use, for commands that must not need it.
NO_KERAS = "keras,jax,torch,tensorflow,matplotlib"

# What a user types is `penstock ...`. Here warnings are errors, some modules are missing, and there is no network.
PENSTOCK = """
import signal, socket, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is begun with Ctrl-C ignored
missing, *arguments = sys.argv[1:]
for name in filter(None, missing.split(",")):
    sys.modules[name] = None

class NoSocket(socket.socket):
    def __init__(self, *args, **kwargs):
        raise AssertionError("penstock must not use the network")

socket.socket = NoSocket
sys.argv = ["penstock", *arguments]
from penstock.cli import main
main()
"""


def command(*arguments: str, missing: str = "") -> list[str]:
    return [sys.executable, "-W", "error", "-c", PENSTOCK, missing, *arguments]


def environment() -> dict[str, str]:
    """Without the back end that the tests choose, the demo chooses one itself."""
    return {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "COLUMNS")}


def penstock(*arguments: str, cwd: Path, missing: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, missing=missing),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment() | variables,
        timeout=200,
    )


def penstock_here(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, where Keras and the kernels are loaded already; what C writes is not seen."""
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    own = sys.argv
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        sys.argv = ["penstock", *arguments]
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        else:
            code = 0
        finally:
            sys.argv = own
    texts = []
    for stream in (out, errors):
        stream.seek(0)
        texts.append(stream.read())
    return subprocess.CompletedProcess(["penstock", *arguments], code, *texts)


def interrupted(*arguments: str, cwd: Path, after: str) -> subprocess.CompletedProcess[str]:
    """A run that gets Ctrl-C once its first line, which has to begin in a certain way, is there."""
    with subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(after)
        process.send_signal(signal.SIGINT)
        try:
            try:
                out, errors = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:  # JAX's callback of the collector has swallowed it, as it may
                process.send_signal(signal.SIGINT)
                out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
