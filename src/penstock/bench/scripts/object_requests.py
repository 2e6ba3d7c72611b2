"""What a client computes for one request to an object store; see `penstock.bench._plan_request`.

python -m penstock.bench.scripts.object_requests
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

from penstock.bench._slow_store import slow_store
from penstock.sources._storage import Storage

_OBJECTS, _BYTES, _ROUNDS = 64, 110_000, 7
_OPTIONS = {"key": "key", "secret": "secret", "client_kwargs": {"region_name": "us-east-1"}}


def main() -> dict[str, float]:
    """Read objects as a flow reads its files, all of a batch at a time.

    Returns:
        CPU seconds of this process for a request, median of rounds.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_OBJECTS):
            Path(folder, f"{number}.jpg").write_bytes(os.urandom(_BYTES))
        with slow_store(Path(folder), 0.0) as address:
            storage = Storage("s3://bucket", {**_OPTIONS, "endpoint_url": address})
            paths = [f"bucket/{number}.jpg" for number in range(_OBJECTS)]
            _read(storage, paths)  # connections are open then
            costs_s = []
            for _ in range(_ROUNDS):
                began_s = process_time()
                _read(storage, paths)
                costs_s.append((process_time() - began_s) / _OBJECTS)
            storage.close()
    return {"request_s": median(costs_s)}


def _read(storage: Storage, paths: list[str]) -> None:
    for blob in storage.read(paths):
        if isinstance(blob, Exception):
            raise blob


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
