"""A Ray cluster of several machines, all of them on this one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psutil

STORE_BYTES = 80 << 20  # as small as Ray allows, or nearly


@contextmanager
def local_cluster(nodes: int) -> Iterator[Any]:
    """One that this process is connected to, with one CPU a machine; it listens on 127.0.0.1 alone."""
    import ray
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings(), patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False), patch.dict(os.environ):
        os.environ.pop("RAY_ADDRESS", None)
        warnings.filterwarnings("ignore", r"os\.fork\(\)")  # of JAX: Ray forks for programs that it begins at once
        cluster = Cluster(
            initialize_head=True,
            head_node_args={**node_arguments(), "include_dashboard": False, "node_ip_address": "127.0.0.1"},
        )
        try:
            for _ in range(nodes - 1):
                cluster.add_node(**node_arguments())
            ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False, _node_ip_address="127.0.0.1")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def node_arguments() -> dict[str, Any]:
    """Of a machine of it."""
    return {"num_cpus": 1, "object_store_memory": STORE_BYTES}


def is_rays(process: psutil.Process) -> bool:
    """Whether a process belongs to such a cluster, which starts and ends its workers as it likes."""
    try:
        names = [each.name() for each in (process, *process.parents())]
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return True
    return any(name in ("raylet", "gcs_server") or name.startswith("ray::") for name in names) or any(
        "/ray/" in word for word in words
    )
