"""Many image files looked at in parallel."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from threading import Condition

from penstock.batches._check import CheckedFile, check_file

# Decoded they take 150 MB and half a second a time. Cameras and phones mostly give 12 to 48 million.
MAX_PIXELS = 50_000_000
# Decoded at a time, by all threads together, whatever their number: 1 to 2 GB. A larger file is decoded alone.
_PIXELS_AT_A_TIME = 250_000_000
_FILES_AHEAD = 64  # per thread: the others go on while one is at a file that takes long


def scan_files(
    paths: Sequence[str], *, workers: int, max_pixels: int = MAX_PIXELS
) -> Generator[CheckedFile, None, None]:
    """Read and decode files in threads, as training would, and say what is wrong with each.

    The decoders give up the interpreter lock. No decoded pixel is kept; close the generator to stop early, which waits
    for the files that are being read.

    Args:
        paths: of the files; those that are no images by their names are only looked at.
        workers: threads, from 1 on.
        max_pixels: what declares more is large, as is a file of more bytes than three for each of so many pixels.

    Returns:
        What was found, file by file in the order of `paths`.

    Raises:
        ValueError: `workers` or `max_pixels` is below 1.

    Example:
        >>> for file in scan_files(["cat.jpg"], workers=1):
        ...     print(file.findings[0].problem, "-", file.findings[0].detail)
        unreadable - No such file or directory
    """
    for name, value in (("workers", workers), ("max_pixels", max_pixels)):
        if value < 1:
            raise ValueError(f"`{name}` should be 1 or more. Received: {value}")
    return _scan(paths, workers, max_pixels)


def _scan(paths: Sequence[str], workers: int, max_pixels: int) -> Generator[CheckedFile, None, None]:
    check = partial(check_file, max_pixels=max_pixels, hold=PixelBudget(_PIXELS_AT_A_TIME).hold)
    left = iter(paths)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="penstock-check")
    try:
        ahead: deque[Future[CheckedFile]] = deque(
            pool.submit(check, path) for path in islice(left, _FILES_AHEAD * workers)
        )
        while ahead:
            checked = ahead[0].result()
            ahead.popleft()
            ahead.extend(pool.submit(check, path) for path in islice(left, 1))
            yield checked
    finally:
        pool.shutdown(cancel_futures=True)


class PixelBudget:
    """Lets threads decode only so many pixels at a time.

    Args:
        most: pixels; a file that has more is let in when no other is.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._freed = Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Wait until so many pixels may be decoded, and hold them for the block."""
        with self._freed:
            self._freed.wait_for(lambda: self._held == 0 or self._held + pixels <= self._most)
            self._held += pixels
        try:
            yield
        finally:
            with self._freed:
                self._held -= pixels
                self._freed.notify_all()
