"""The program that trains: what it runs, and how it ended."""

from __future__ import annotations

import os
import sys
from time import time

from penstock.tracking._messages import End
from penstock.tracking._secrets import mask_text, mask_value


def script_path() -> str | None:
    """The file that the program runs; None in a notebook and the like."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(path) if isinstance(path, str) and os.path.isfile(path) else None


def notebook_cells() -> str | None:
    """What has been run in a notebook so far, masked, with a line `# %%` before each cell; None elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cells = getattr(shell, "user_ns", {}).get("In", ())
    return "\n".join(f"# %%\n{mask_text(cell)}\n" for cell in cells if cell) or None


def how_it_ends() -> End:
    """Of a run that nobody has ended, by what the interpreter tells of itself."""
    error = getattr(sys, "last_value", None)
    if isinstance(error, KeyboardInterrupt):
        return End("KILLED", time(), "Ctrl-C")
    if error is not None:
        return End("FAILED", time(), mask_value("", f"{type(error).__name__}: {error}"[:1000]))
    return End("FAILED", time(), "`fit` was left by an exception")
