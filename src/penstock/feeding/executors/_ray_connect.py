"""Connecting to a Ray cluster: one that there is, or one of its own on this machine."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock._errors import WorkerError
from penstock.feeding._cpus import usable_cpus
from penstock.feeding.executors._ray_watch import answer

_ANSWER_S = 5.0  # that a head has to say something in, before Ray is let in, which waits for minutes
_PROXY_S = 90.0  # for a proxy to begin what stands for this program; Ray itself gives up after 60, but not always
_CLIENT = "ray://"
_ADDRESS = re.compile(r"[\w.\-]+:\d+|\[[0-9a-fA-F:]+\]:\d+")
_LARGEST_PORT = 65_535


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
        is_address = _ADDRESS.fullmatch(address) and 0 < int(address.rpartition(":")[2]) <= _LARGEST_PORT
        if pool not in ("ray", "auto", "local") and not is_address:
            raise ValueError(
                '`pool` should be "ray" (the cluster that there is, else a new one on this machine), "HOST:PORT", '
                '"ray://HOST:PORT", "auto" or "local", or an open multiprocessing.Pool or concurrent.futures.Executor. '
                f"Received: {pool!r}"
            )
    imported()


def imported() -> Any:
    """Ray.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ModuleNotFoundError('A pool of Ray\'s needs Ray: pip install "penstock[ray]"', name="ray") from None


def connect(address: str) -> str | None:
    """Connect this program to a cluster, if it is not.

    Args:
        address: "ray", "auto" or "local", or where a head or a proxy is.

    Returns:
        What to tell of it, where something was begun.

    Raises:
        ValueError: there is a connection already, to another cluster.
        WorkerError: the cluster does not answer.
    """
    ray = imported()
    if ray.is_initialized():
        if address not in ("ray", "auto", "local") and address != current_address(ray):
            raise ValueError(
                f"This program is connected to the Ray cluster at {current_address(ray)}, and Ray allows one at a "
                f'time. Use pool="ray" for that, or ray.shutdown() before. Received: pool={address!r}'
            )
        return None
    found = _address_in_use() if address in ("ray", "auto") else None if address == "local" else address
    what, hint = f"The Ray cluster {found or address!r} cannot be reached", ""
    try:
        if found is not None and _is_there(found, must=address != "ray" or "RAY_ADDRESS" in os.environ):
            if "RAY_AUTH_MODE" not in os.environ:
                hint = " If it asks for a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a file with it."
            if found.startswith(_CLIENT):
                within(_PROXY_S, lambda: ray.init(address=found, logging_level=logging.WARNING))
            else:
                ray.init(address=found, logging_level=logging.WARNING)
            return None
        if address == "auto":
            raise ConnectionError("none runs on this machine, and RAY_ADDRESS is not set")
        what = "Ray could not be started on this machine"
        return _start(ray)
    except (ray.exceptions.RayError, ValueError, RuntimeError, OSError) as error:
        raise WorkerError(f"{what}: {line_of(error)}.{hint}") from error


def within(seconds: float, function: Callable[[], Any]) -> None:
    """Call what may never return, in a thread that is left to itself then.

    Raises:
        TimeoutError: it has not returned in time.
        BaseException: what it has raised.
    """
    failed: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call, name="penstock-connect", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"it has not let this program in within {seconds:g} s")
    if failed:
        raise failed[0]


def is_client() -> bool:
    """Whether the connection goes through a proxy, as with "ray://"."""
    return bool(importlib.import_module("ray.util.client").ray.is_connected())


def host_and_port(address: str) -> tuple[str, int] | None:
    """Of a head or a proxy; None where only Ray knows what is meant."""
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else None


def line_of(error: BaseException) -> str:
    """What an error says, in a line: Ray's are pages, and some hold another machine's traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if type(error).__name__.startswith("RayTaskError") and lines:
        lines = lines[-1:]
    elif any(line.startswith("Traceback (most recent call last)") for line in lines):
        lines = [line for line in lines[:1] if not line.startswith("Traceback")] + lines[-1:]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:300].rstrip('.')}"


def _is_there(address: str, *, must: bool) -> bool:
    """Whether a server of Ray's answers at an address."""
    place = host_and_port(address)
    if place is None:
        return True
    try:
        answer(*place, _ANSWER_S)
    except OSError:
        if must:
            raise
        return False
    return True


def _start(ray: Any) -> str:
    """One on this machine, which Ray ends with the program, and which other machines cannot reach."""
    cpus = usable_cpus()
    with _on_loopback(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"os\.fork\(\)")  # of JAX: Ray forks for programs that it begins at once
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            logging_level=logging.WARNING,
            _node_ip_address="127.0.0.1",
        )
    return (
        f"penstock: started Ray on this machine, with {cpus} {'CPU' if cpus == 1 else 'CPUs'}; it ends with this "
        "program. For a cluster, give its address as `pool`, or set RAY_ADDRESS."
    )


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
    try:
        address: str | None = services.canonicalize_bootstrap_address("auto")
    except ConnectionError:  # none has ever run here
        return None
    return address


def current_address(ray: Any) -> str:
    """Of the cluster that the program is connected to."""
    if not is_client():
        return str(ray.get_runtime_context().gcs_address)
    context = importlib.import_module("ray.util.client").ray.get_context()
    return _CLIENT + str(getattr(context.client_worker, "_conn_str", "unknown"))
