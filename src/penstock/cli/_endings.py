"""How a command ends: one line for people instead of a traceback, and an exit code for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock._errors import PenstockError

_EXTRA_OF = dict.fromkeys(("jax", "jaxlib", "matplotlib", "rich", "skimage", "sklearn", "typer"), "demo")
_EXTRA_OF |= {"mlflow": "track", "tensorflow": "tensorflow", "torch": "torch"}

FAILED, INTERRUPTED = 1, 130  # 130: what shells report for a program that Ctrl-C ended
FOUND, CANNOT_SCAN = 1, 2  # of `penstock check`, as of grep
CANNOT_TRAIN = 2
CANNOT_MEASURE = 2  # of `penstock bench`
CANNOT_PLAN = 2


class CommandError(Exception):
    """What the user asked for cannot be done; the text says why and what to do, in one line."""


class StoppedInOrder(Exception):
    """A signal has ended the command, which has saved its work; the text says where, and how to go on.

    Attributes:
        code: to exit with.
    """

    def __init__(self, text: str, code: int = INTERRUPTED) -> None:
        super().__init__(text)
        self.code = code


def in_the_way(path: Path, command: str = "demo") -> CommandError:
    """What is there is not ours to replace."""
    return CommandError(f"{path} is in the way, and `penstock {command}` did not make it. Choose another --out.")


@contextmanager
def plain_endings(failed: int = FAILED) -> Iterator[None]:
    """End the program with one line on standard error.

    A missing extra, a `CommandError`, a `PenstockError` or a file that cannot be read or written ends it with `failed`,
    Ctrl-C with 130, `StoppedInOrder` with its code. Anything else is a bug, and keeps its traceback.

    Args:
        failed: the exit code of what cannot be done.
    """
    try:
        yield
    except KeyboardInterrupt:
        _end("stopped", INTERRUPTED)
    except StoppedInOrder as stop:
        _end(str(stop), stop.code)
    except (CommandError, PenstockError) as error:
        _end(" ".join(str(error).split()), failed)
    except OSError as error:
        if error.filename is None:
            raise
        _end(f"{error.filename}: {error.strerror}", failed)
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA_OF:
            raise
        _end(f'this needs {package}, which is not installed. pip install "penstock[{_EXTRA_OF[package]}]"', failed)


def _end(line: str, code: int) -> None:
    # Nothing from here on: not the error that led here, and no second Ctrl-C's either.
    sys.stderr.write(f"penstock: {line}\n")
    raise SystemExit(code) from None
