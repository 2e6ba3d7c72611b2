"""What is not a fault of the benchmark."""

from __future__ import annotations


class BenchError(ValueError):
    """A file, a folder or an installation is not as it should be; the text says what to do."""
