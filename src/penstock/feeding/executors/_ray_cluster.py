"""A Ray cluster that makes batches: how it is asked, and found to be gone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, final

import numpy as np

from penstock._errors import FlowClosed, WorkerError
from penstock._types import Array, Step
from penstock.feeding.executors._ray_connect import (
    check_ray,
    connect,
    current_address,
    host_and_port,
    imported,
    is_client,
    line_of,
)
from penstock.feeding.executors._ray_watch import Server, Watch
from penstock.feeding.executors._ray_worker import Answer, RemoteMaker, work
from penstock.feeding.executors._worker_limits import ENVIRONMENT

WHY_SILENT = (
    "the CPUs of the Ray cluster are taken by other work, its machines are gone, or a function of yours is stuck."
)
_MOST_WORKERS = 64  # that are asked for unless told; each has a thread here
_LOOK_S = 0.25  # between two looks at a task that does not answer
_PATIENT_LOOKS = 4  # for a task to end once it is interrupted, and again once its process is killed
_GONE_S = 20.0  # for a head, which may be started again; Ray itself ends the program after 60
_DEAD_S = 2.0  # for this machine's own part of Ray, which never is; Ray ends the program some 15 s after that
_CLOSED: Final = "this flow was closed while a batch was made"


class LostError(Exception):
    """A task's process or machine is gone, and will not answer; the message says how."""


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
        self._ray = ray = imported()
        self.said: str | None = None
        self._most: int | None = None
        if isinstance(pool, str):
            self.said = connect(pool)
        elif getattr(pool, "_closed", False) or not ray.is_initialized():
            raise ValueError("`pool` is a ray.util.multiprocessing.Pool that is closed, or whose cluster is. Open one.")
        else:
            self._most = len(getattr(pool, "_actor_pool", ())) or None
        context = ray.get_runtime_context()
        self._job = context.get_job_id()
        self.node_id: str | None = None if is_client() else context.get_node_id()
        self._watch = Watch(list(self._servers()))
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
                f"What makes the batches could not be put into Ray's object store: {line_of(error)}. Give Ray a larger "
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
            while True:
                try:
                    answer: Answer = ray.get(task, timeout=_LOOK_S)
                except ray.exceptions.GetTimeoutError:
                    if question.is_dropped:
                        # A head that is gone would not answer that either, for as long as Ray waits for it.
                        if looks == 2 * _PATIENT_LOOKS or not self._watch.all_answer():
                            raise FlowClosed(_CLOSED) from None
                        if looks % _PATIENT_LOOKS == 0:
                            ray.cancel(task, force=looks > 0)
                        looks += 1
                    else:
                        self._check_connected()
                        if (how := self._watch.look()) is not None:
                            raise _gone(how) from None
                else:
                    return answer
        except lost as error:
            if question.is_dropped:
                raise FlowClosed(_CLOSED) from None
            raise LostError(line_of(error)) from error
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(
                f"A machine of the Ray cluster could not make {step}: {line_of(error)}. It should have this program's "
                "versions of Python, Ray, penstock and of what your functions import."
            ) from error
        except ray.exceptions.RayError as error:
            raise WorkerError(f"The Ray cluster could not make {step}: {line_of(error)}.") from error
        except ConnectionError as error:
            raise _gone(line_of(error)) from error
        finally:
            task = None  # an error keeps this frame

    def _check_connected(self) -> None:
        ray = self._ray
        if not ray.is_initialized() or ray.get_runtime_context().get_job_id() != self._job:
            raise WorkerError(
                "The Ray cluster that makes this flow's batches is over: ray.shutdown() was called. Make a flow anew."
            )

    def _servers(self) -> Iterator[Server]:
        """Those that this program is connected to, and needs."""
        head = host_and_port(current_address(self._ray))
        if head is not None:
            yield Server("its proxy" if self.node_id is None else "its head", *head, _GONE_S, _GONE_S)
        for node in () if self.node_id is None else self._ray.nodes():
            if node["NodeID"] == self.node_id and node["Alive"]:
                own = node["NodeManagerAddress"], int(node["NodeManagerPort"])
                yield Server("the part of Ray on this machine (raylet)", *own, _GONE_S, _DEAD_S)


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


def _digest(array: Array) -> bytes:
    return hashlib.blake2b(array.reshape(-1).view(np.uint8).data).digest()


def _gone(how: str) -> WorkerError:
    return WorkerError(
        f"The Ray cluster that makes this flow's batches is gone: {how}. Connect to one that runs, and make a flow "
        "anew. Save what is to be kept: Ray itself ends this program soon, 60 s after it lost a head (or "
        "RAY_gcs_rpc_server_reconnect_timeout_s), and some 15 s after it lost the raylet."
    )
