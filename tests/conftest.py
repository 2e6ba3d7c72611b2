"""What all tests share."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from s3_server import S3Server


def pytest_report_header() -> list[str]:
    from importlib.metadata import version

    names = ("keras", "jax", "numpy", "numba", "pillow", "scipy", "simplejpeg")
    return [" ".join(f"{name} {version(name)}" for name in names)]


def pytest_configure(config: pytest.Config) -> None:
    """Before workers begin, which inherit the environment, as do programs that tests start.

    What one of them has compiled with JAX the others read (a fifth of a module's time that trains models, and more of
    programs'), under a lock, which JAX takes where the size is bounded. What Keras need not import it does not.
    """
    if hasattr(config, "workerinput"):  # which is such a program itself, and is to find everything
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "sitecustomize"]
        return
    folder = tempfile.mkdtemp(prefix="penstock-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    lean = str(Path(__file__).parent / "lean")
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_COMPILATION_CACHE_MAX_SIZE": f"{1 << 30}",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiles in half of the time; no test waits for what is computed
        "PYTHONPATH": os.pathsep.join(filter(None, [lean, os.environ.get("PYTHONPATH")])),
    }


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Modules without a test for all back ends are not imported for nothing, which takes ten seconds."""
    if not config.getoption("markexpr").startswith("backends") or collection_path.suffix != ".py":
        return None
    return "mark.backends" not in collection_path.read_text("utf-8") or None


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_interrupts() -> None:
    """Also where the tests are a job in the background, which is begun with Ctrl-C ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _keras_prints() -> None:
    """Whatever a test before has told it."""
    if "keras" in sys.modules:
        sys.modules["keras"].config.enable_interactive_logging()


@pytest.fixture(autouse=True)
def _no_thread_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves a worker behind."""
    yield
    import gc

    if _workers():
        gc.collect()
        for thread in _workers():
            thread.join(10)
    assert not _workers()


@pytest.fixture(scope="module")
def quick_collections() -> Iterator[None]:
    """For a module whose every test waits for the collector: it leaves alone what is there already.

    With JAX, TensorFlow and torch that is 700,000 objects, through which each collection went for half a second.
    """
    import gc

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a store on disk; making one takes MLflow seconds."""
    pytest.importorskip("mlflow")
    from penstock.tracking._mlflow import MlflowStore

    folder = tmp_path_factory.mktemp("store")
    before = Path.cwd()
    os.chdir(folder)  # where files go that belong to runs
    try:
        return MlflowStore(f"sqlite:///{folder}/mlflow.db", make=True).uri
    finally:
        os.chdir(before)


def _workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("penstock-")]


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[S3Server]:
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from s3_server import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(_s3_server: S3Server) -> Iterator[S3Server]:
    """A server of S3 without faults."""
    _s3_server.reset()
    yield _s3_server
    _s3_server.reset()
