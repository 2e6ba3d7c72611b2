"""A Ray cluster that makes batches: how it is reached, asked, and found to be gone. Ray is imported here alone."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import re
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, final

import numpy as np

from penstock._errors import FlowClosed, WorkerError
from penstock._types import Array, Step
from penstock.feeding._cpus import usable_cpus
from penstock.feeding.executors._ray_worker import Answer, RemoteMaker, work
from penstock.feeding.executors._worker_limits import ENVIRONMENT

WHY_SILENT = (
    "the CPUs of the Ray cluster are taken by other work, its machines are gone, or a function of yours is stuck."
)
_MOST_WORKERS = 64  # that are asked for unless told; each has a thread here
_LOOK_S = 0.25  # between two looks at a task that does not answer
_PATIENT_LOOKS = 4  # for a task to end once it is interrupted, and again once its process is killed
_CONNECT_S = 2.0
_GONE_S = 20.0  # without a head; Ray itself ends the program after 60
_CLIENT = "ray://"
_ADDRESS = re.compile(r"[\w.\-]+:\d+|\[[0-9a-fA-F:]+\]:\d+")
_CLOSED: Final = "this flow was closed while a batch was made"


class LostError(Exception):
    """A task's process or machine is gone, and will not answer; the message says how."""


def is_ray(pool: Any) -> bool:
    """Whether a `pool` of the user's is a word for a Ray cluster, or a pool of Ray's; imports nothing."""
    return isinstance(pool, str) or type(pool).__module__.startswith("ray.util.multiprocessing")


def check_ray(pool: Any) -> None:
    """Refuse what is no word for a cluster, without going there.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: it is none.
    """
    if isinstance(pool, str):
        address = pool.removeprefix(_CLIENT)
        if pool not in ("ray", "auto", "local") and not _ADDRESS.fullmatch(address):
            raise ValueError(
                '`pool` should be "ray" (the cluster that there is, else a new one on this machine), "HOST:PORT", '
                '"ray://HOST:PORT", "auto" or "local", or an open multiprocessing.Pool or concurrent.futures.Executor. '
                f"Received: {pool!r}"
            )
    _imported()


@final
class RayCluster:
    """A cluster that this process is connected to; it has batches made by tasks, one CPU each.

    A process has one connection to Ray at a time, which all flows share and which Ray ends with the program. It is
    never ended here. What connecting has begun is in `said`.

    Args:
        pool: "ray", an address, or a `ray.util.multiprocessing.Pool`. Such a pool stands for its cluster and for a
            number of workers: a process of it that has died is never replaced by Ray, and would fail its share of all
            batches for ever. Its own processes, and what they were initialized with, are not used.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: there is a connection already, to another cluster.
        WorkerError: the cluster does not answer.
    """

    has_threads = False

    def __init__(self, pool: Any) -> None:
        check_ray(pool)
        self._ray = ray = _imported()
        self.said: str | None = None
        self._head: tuple[str, int] | None = None
        self._most: int | None = None
        if isinstance(pool, str):
            self._connect(pool)
        elif getattr(pool, "_closed", False) or not ray.is_initialized():
            raise ValueError("`pool` is a ray.util.multiprocessing.Pool that is closed, or whose cluster is. Open one.")
        else:
            self._most = len(getattr(pool, "_actor_pool", ())) or None
        context = ray.get_runtime_context()
        self._job = context.get_job_id()
        self._is_client = _is_client()
        if not self._is_client:
            self.node_id: str | None = context.get_node_id()
            self._head = _host_and_port(context.gcs_address)
        else:
            self.node_id = None
        # An event for each batch would fill the head's record of what the cluster has done.
        self._task = ray.remote(
            num_cpus=1, max_retries=0, enable_task_events=False, runtime_env={"env_vars": ENVIRONMENT}
        )(work)

    @property
    def workers(self) -> int:
        """Of a pool, its processes; else the cluster's CPUs now, at most 64."""
        if self._most is not None:
            return self._most
        return max(1, min(_MOST_WORKERS, int(self._ray.cluster_resources().get("CPU", 1))))

    def put(self, value: Any) -> Any:
        """Have a value in the object store; returns a reference to it.

        Raises:
            WorkerError: there is no room for it, or the connection is over.
        """
        self._check_connected()
        try:
            return self._ray.put(value)
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise WorkerError(
                f"What makes the batches could not be put into Ray's object store: {_line(error)}. Give Ray a larger "
                "one (`object_store_memory`), or have the images in files that all machines see."
            ) from error

    def stored(self, array: Array) -> StoredArray:
        """An array in the object store."""
        contiguous = np.ascontiguousarray(array)
        return StoredArray(self.put(contiguous), _digest(contiguous))

    def ask(self, question: Question, remote: RemoteMaker, step: Step, shapes: Sequence[Any]) -> Answer:
        """Have a batch made; see `Question.ask`."""
        ray = self._ray
        lost = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.LocalRayletDiedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.TaskCancelledError,
        )
        self._check_connected()
        task: Any = None
        try:
            task = self._task.remote(remote, step, shapes)
            looks = 0
            gone_since_s: float | None = None
            while True:
                try:
                    answer: Answer = ray.get(task, timeout=_LOOK_S)
                except ray.exceptions.GetTimeoutError:
                    if question.is_dropped:
                        # A head that is gone would not answer that either, for as long as Ray waits for it.
                        if looks == 2 * _PATIENT_LOOKS or self._looked(None) is not None:
                            raise FlowClosed(_CLOSED) from None
                        if looks % _PATIENT_LOOKS == 0:
                            ray.cancel(task, force=looks > 0)
                        looks += 1
                    else:
                        self._check_connected()
                        gone_since_s = self._looked(gone_since_s)
                else:
                    return answer
        except lost as error:
            if question.is_dropped:
                raise FlowClosed(_CLOSED) from None
            raise LostError(_line(error)) from error
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(
                f"A machine of the Ray cluster could not make {step}: {_line(error)}. It should have this program's "
                "versions of Python, Ray, penstock and of what your functions import."
            ) from error
        except ray.exceptions.RayError as error:
            raise WorkerError(f"The Ray cluster could not make {step}: {_line(error)}.") from error
        except ConnectionError as error:
            raise _gone(_line(error)) from error
        finally:
            task = None  # an error keeps this frame

    def _connect(self, address: str) -> None:
        ray = self._ray
        if ray.is_initialized():
            if address not in ("ray", "auto", "local") and address != _current_address(ray):
                raise ValueError(
                    f"This program is connected to the Ray cluster at {_current_address(ray)}, and Ray allows one at a "
                    f'time. Use pool="ray" for that, or ray.shutdown() before. Received: pool={address!r}'
                )
            return
        found = _address_in_use() if address in ("ray", "auto") else None if address == "local" else address
        what = f"The Ray cluster {found or address!r} cannot be reached"
        try:
            if found is not None and self._is_there(found, must=address != "ray" or "RAY_ADDRESS" in os.environ):
                ray.init(address=found, logging_level=logging.WARNING)
            elif address == "auto":
                raise ConnectionError("none runs on this machine, and RAY_ADDRESS is not set")
            else:
                what = "Ray could not be started on this machine"
                self._start()
        except (ray.exceptions.RayError, ValueError, RuntimeError, OSError) as error:
            raise WorkerError(f"{what}: {_line(error)}.") from error

    def _is_there(self, address: str, *, must: bool) -> bool:
        """Whether somebody listens at an address; Ray waits for minutes for one that is no more."""
        self._head = head = _host_and_port(address.removeprefix(_CLIENT))
        if head is None:  # a kind that only Ray knows
            return True
        try:
            with closing(socket.create_connection(head, _CONNECT_S)):
                return True
        except OSError:
            if must:
                raise
            return False

    def _start(self) -> None:
        """One on this machine, which Ray ends with the program, and which other machines cannot reach."""
        cpus = usable_cpus()
        with _on_loopback(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"os\.fork\(\)")  # of JAX: Ray forks for programs that it begins at once
            self._ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                logging_level=logging.WARNING,
                _node_ip_address="127.0.0.1",
            )
        self.said = (
            f"penstock: started Ray on this machine, with {cpus} {'CPU' if cpus == 1 else 'CPUs'}; it ends with this "
            "program. For a cluster, give its address as `pool`, or set RAY_ADDRESS."
        )

    def _check_connected(self) -> None:
        ray = self._ray
        if not ray.is_initialized() or ray.get_runtime_context().get_job_id() != self._job:
            raise WorkerError(
                "The Ray cluster that makes this flow's batches is over: ray.shutdown() was called. Make a flow anew."
            )

    def _looked(self, gone_since_s: float | None) -> float | None:
        """See whether the cluster's head is there; returns since when it is not."""
        if self._head is None:
            return None
        try:
            with closing(socket.create_connection(self._head, _CONNECT_S)):
                return None
        except OSError as error:
            now_s = time.monotonic()
            if gone_since_s is None:
                return now_s
            if now_s - gone_since_s > _GONE_S:
                raise _gone(f"its head at {self._head[0]}:{self._head[1]} does not answer ({error})") from None
            return gone_since_s


@final
class Question:
    """One task of a cluster at a time."""

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster
        self.is_dropped = False

    def ask(self, remote: RemoteMaker, step: Step, shapes: Sequence[Any]) -> Answer:
        """What `work` returns in the cluster.

        Raises:
            LostError: its process or machine is gone, or was out of memory.
            WorkerError: the cluster is gone, or cannot do it.
            FlowClosed: `drop` was called.
        """
        if self.is_dropped:
            raise FlowClosed(_CLOSED)
        return self._cluster.ask(self, remote, step, shapes)

    def drop(self) -> None:
        """Let `ask` end, now and from now on: its task is interrupted, and if that does not help, its process ended."""
        self.is_dropped = True


@final
class StoredArray:
    """A large array in the object store.

    This process keeps a digest of it, a second for each gigabyte, and no view: Ray ends a program that lets go of a
    view when the store has gone.

    Args:
        reference: to it; with the last one it is gone.
        digest: of its bytes.
    """

    def __init__(self, reference: Any, digest: bytes) -> None:
        self.reference = reference
        self._digest = digest

    def holds(self, array: Array) -> bool:
        """See `Stored.holds`."""
        return _digest(np.ascontiguousarray(array)) == self._digest

    def close(self) -> None:
        """See `Stored.close`."""
        self.reference = None


def _imported() -> Any:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ModuleNotFoundError('A pool of Ray\'s needs Ray: pip install "penstock[ray]"', name="ray") from None


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have Ray listen where only this machine can reach it, which Ray does on Windows and macOS alone.

    On Linux it takes 127.0.0.1 for a slip, and puts the address in its place that all machines can reach. Where Ray has
    no such constant any more, it does as it likes; its token is asked for everywhere.
    """
    constants = sys.modules.get("ray._private.ray_constants")
    before = getattr(constants, "ENABLE_RAY_CLUSTER", None)
    if constants is None or before is None:
        yield
        return
    constants.ENABLE_RAY_CLUSTER = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before  # type: ignore[attr-defined]


def _address_in_use() -> str | None:
    """Of the cluster that RAY_ADDRESS names, or that was last started on this machine, which may have gone since."""
    named = os.environ.get("RAY_ADDRESS", "")
    if named.startswith(_CLIENT):
        return named
    services = importlib.import_module("ray._private.services")
    address: str | None = services.canonicalize_bootstrap_address("auto")
    return address


def _is_client() -> bool:
    """Whether the connection goes through a proxy, as with "ray://"."""
    return bool(importlib.import_module("ray.util.client").ray.is_connected())


def _current_address(ray: Any) -> str:
    """Of the cluster that the program is connected to."""
    if not _is_client():
        return str(ray.get_runtime_context().gcs_address)
    context = importlib.import_module("ray.util.client").ray.get_context()
    return _CLIENT + str(getattr(context.client_worker, "_conn_str", "unknown"))


def _host_and_port(address: str) -> tuple[str, int] | None:
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else None


def _digest(array: Array) -> bytes:
    return hashlib.blake2b(array.reshape(-1).view(np.uint8).data).digest()


def _gone(how: str) -> WorkerError:
    return WorkerError(
        f"The Ray cluster that makes this flow's batches is gone: {how}. Connect to one that runs, and make a flow "
        "anew. (Ray ends a program 60 s after it lost its cluster, or after RAY_gcs_rpc_server_reconnect_timeout_s.)"
    )


def _line(error: BaseException) -> str:
    """What an error says, in a line: Ray's are pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if type(error).__name__.startswith("RayTaskError") and lines else " ".join(lines[:2])
    return f"{type(error).__name__}: {said[:300].rstrip('.')}"
