"""What a client computes for one request to an object store; see `penstock.bench._plan_request`.

python -m penstock.bench.scripts.object_requests
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from time import process_time

import s3fs

_OBJECTS, _BYTES, _ROUNDS = 64, 110_000, 7
_BUCKET = "photographs"
# In a process of its own, so that its work is not counted; it ends with our pipe, however we end.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""


def main() -> dict[str, float]:
    """Read objects as a flow reads its files, all of a batch at a time.

    Returns:
        CPU seconds of this process for a request, median of rounds.
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            files = s3fs.S3FileSystem(key="key", secret="secret", client_kwargs={"endpoint_url": address})
            files.call_s3("create_bucket", Bucket=_BUCKET)
            names = [f"{_BUCKET}/{number}.jpg" for number in range(_OBJECTS)]
            files.pipe(dict.fromkeys(names, os.urandom(_BYTES)))
            files.cat(names)  # connections are open then
            costs_s = []
            for _ in range(_ROUNDS):
                began_s = process_time()
                files.cat(names)
                costs_s.append((process_time() - began_s) / _OBJECTS)
        finally:
            server.communicate()  # closes the pipe
    return {"request_s": median(costs_s)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
