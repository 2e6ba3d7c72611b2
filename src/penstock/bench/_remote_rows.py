"""What is left of the rate of local files where each takes its time to come."""

from __future__ import annotations

from typing import Any

from penstock import ImageDataGenerator
from penstock.bench._claim import SHARE, Claim
from penstock.bench._feeds import from_penstock
from penstock.bench._measure import Pace, Reading, Side, drain
from penstock.bench._row import Row, file_settings
from penstock.bench._scale import Scale
from penstock.bench._slow_store import slow_store
from penstock.bench._workloads import QUEUE_BATCHES, InFiles

_LATENCY_S = 0.05
_BATCHES = 40  # that workers="auto" has to settle in
_LEAST_SHARE = 0.9
_STORES = ("HTTP", "S3")


def remote(scale: Scale) -> Row:
    """Small photographs: what a request itself takes of the cores counts as much as the decoding."""
    return _row("remote", f"JPEG files to {scale.files.target_px}x{scale.files.target_px}", scale.files)


def remote_large(scale: Scale) -> Row:
    """Photographs of a telephone: the waiting alone is left."""
    data = scale.large_files
    return _row("remote-large", f"JPEG files of 12 million pixels to {data.target_px}x{data.target_px}", data)


REMOTE_ROWS = {"remote": remote, "remote-large": remote_large}


def _row(name: str, title: str, data: InFiles) -> Row:
    pace = Pace(lanes=1, ahead=_BATCHES - 1)
    sides = [Side("local", "images/s", lambda seconds: _local(data, pace, seconds))]
    sides += [
        Side(store, "images/s", lambda seconds, store=store: _remote(data, store, pace, seconds))  # type: ignore[misc]
        for store in _STORES
    ]
    words = f"at {_LATENCY_S:g} s over local"
    claims = [Claim(f"{store} {words}", store, "local", SHARE, _LEAST_SHARE) for store in _STORES]
    note = (
        f'workers="auto", after {_BATCHES} batches. Each answer comes {_LATENCY_S:g} s after its request, from a '
        "process that shares the cores, whose work counts against these rates."
    )
    return Row(name, title, tuple(sides), tuple(claims), {**file_settings(data), "latency_s": _LATENCY_S}, note)


def _local(data: InFiles, pace: Pace, seconds: float) -> Reading:
    with from_penstock(lambda: data.penstock_flow("auto"))() as batches:
        return drain(batches, pace, seconds)


def _remote(data: InFiles, store: str, pace: Pace, seconds: float) -> Reading:
    with slow_store(data.folder, _LATENCY_S) as url, from_penstock(lambda: _flow(data, store, url))() as batches:
        return drain(batches, pace, seconds)


def _flow(data: InFiles, store: str, url: str) -> Any:
    options = {"key": "a key", "secret": "none", "endpoint_url": url, "client_kwargs": {"region_name": "us-east-1"}}
    return ImageDataGenerator(**data.ranges.keywords()).flow_from_directory(
        url if store == "HTTP" else "s3://bucket",
        target_size=(data.target_px, data.target_px),
        batch_size=data.batch_size,
        max_queue_size=QUEUE_BATCHES,
        storage_options=None if store == "HTTP" else options,
    )
