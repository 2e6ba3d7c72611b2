"""What a core spends on a request to an object store, for `penstock plan`."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from penstock.bench._costs import run_script


def measure_request() -> tuple[float, str] | None:
    """CPU seconds of a request by s3fs to a server on this machine, without TLS; and in words, of what.

    Returns:
        None where s3fs or the server, moto, is not installed.

    Raises:
        BenchError: it took too long, or failed.
    """
    if find_spec("s3fs") is None or find_spec("moto") is None:
        return None
    seconds = run_script("object_requests", ())["request_s"]
    return seconds, f"s3fs {version('s3fs')}, 110 kB at a time, without TLS"
