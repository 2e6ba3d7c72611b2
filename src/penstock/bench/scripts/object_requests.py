"""What a client computes for one request to an object store; see `penstock.bench._plan_request`.

python -m penstock.bench.scripts.object_requests
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

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
        # In a process of its own, so that its work is not counted; it ends with our pipe, however we end.
        command = [sys.executable, "-m", "penstock.bench.scripts.slow_store", folder, "0"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
                storage = Storage("s3://bucket", {**_OPTIONS, "endpoint_url": address})
                paths = [f"bucket/{number}.jpg" for number in range(_OBJECTS)]
                _read(storage, paths)  # connections are open then
                costs_s = []
                for _ in range(_ROUNDS):
                    began_s = process_time()
                    _read(storage, paths)
                    costs_s.append((process_time() - began_s) / _OBJECTS)
                storage.close()
            finally:
                server.communicate()  # closes the pipe
    return {"request_s": median(costs_s)}


def _read(storage: Storage, paths: list[str]) -> None:
    for blob in storage.read(paths):
        if isinstance(blob, Exception):
            raise blob


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
