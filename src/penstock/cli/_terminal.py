"""What all commands share that talk to a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_PAUSE_S = 60.0


class TerminalReport:
    """Bars and spinners, which vanish when a step is done, and show on terminals only.

    Args:
        console: where to.
        clock: in seconds, for tests.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = perf_counter) -> None:
        self._console = console
        self._clock = clock

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        """A spinner, and a function that gives it another text; elsewhere a line a minute."""
        if self._console.is_terminal:
            with self._console.status(f"{what} ...") as status:
                yield lambda text: status.update(f"{text} ...")
        else:
            yield self._now_and_then()

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar, and a function that moves it on by one."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not terminal) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)

    def _now_and_then(self) -> Callable[[str], None]:
        """A function that prints a line once a minute at most: a file or a pipe may be looked at all the same."""
        said_at = self._clock()

        def say(text: str) -> None:
            nonlocal said_at
            if self._clock() >= said_at + _PAUSE_S:
                said_at = self._clock()
                self._say(text)

        return say

    def _say(self, text: str) -> None:
        self._console.print(text)


def wide_console() -> Console:
    """Where tables are as wide as the terminal, and in a file or a pipe as wide as they are."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, 240)
    return console


def counted(count: int, one: str, many: str = "") -> str:
    """A number and its noun.

    Example:
        >>> counted(1, "image"), counted(1200, "image")
        ('1 image', '1,200 images')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def printable(text: str, encoding: str) -> str:
    r"""Text that a terminal prints as it is: file names may hold bytes of no encoding, and colours.

    Args:
        text: with surrogates for bytes that are no text, as Python names files.
        encoding: of the terminal.

    Example:
        >>> print(printable("caf\udce9\n.png", "utf-8"))
        caf\xe9\n.png
    """
    shown = "".join(
        letter
        if letter.isprintable()
        else f"\\x{ord(letter) - 0xDC00:02x}"
        if 0xDC80 <= ord(letter) <= 0xDCFF
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
    return shown.encode(encoding, "backslashreplace").decode(encoding)
