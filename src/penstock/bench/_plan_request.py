"""What a core spends on a request to an object store, for `penstock plan`."""

from __future__ import annotations

from importlib.util import find_spec

from penstock import __version__
from penstock.bench._costs import run_script


def measure_request() -> tuple[float, str] | None:
    """CPU seconds of a request to a server of S3 on this machine, without TLS; and in words, of what.

    Returns:
        None where s3fs, which finds credentials and addresses, is not installed.

    Raises:
        BenchError: it took too long, or failed.
    """
    if find_spec("s3fs") is None:
        return None
    seconds = run_script("object_requests", ())["request_s"]
    return seconds, f"penstock {__version__}, 110 kB at a time, without TLS"
