"""Runs in MLflow; the only door to it.

MLflow is imported when a store is opened: that takes seconds.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from time import time
from typing import Any, final
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from penstock._errors import StoreError
from penstock.tracking._alone import alone_in
from penstock.tracking._secrets import mask_tokens
from penstock.tracking._store import Point, Run, Status

_MOST_PARAMS, _MOST_METRICS = 100, 1000  # in one request
_LONGEST_PARAM, _LONGEST_TAG, _LONGEST_KEY = 6000, 8000, 250
_PAGE = 1000
_ID = re.compile(r"[0-9a-f]{1,32}")

# MLflow's own patience is minutes: 7 attempts of 2 minutes each, and more and more between them.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    # It would tell its makers how it is used.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_TERMINAL": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@final
class MlflowStore:
    """Runs in a store of MLflow's; see `Store`.

    Args:
        uri: as MLflow writes it, `sqlite:///mlflow.db`, a folder, or a server's address; None for what it uses by
            default: `MLFLOW_TRACKING_URI`, else `mlruns` here if that holds runs, else `mlflow.db` here.
        make: make the store if it is not there. Else nothing is made, and none of an older version is upgraded.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: it is not there, of another version, or does not answer.
    """

    def __init__(self, uri: str | None = None, *, make: bool) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        with _quiet():
            import mlflow
            from mlflow.tracking import MlflowClient

            self._mlflow: Any = mlflow
        with _quiet():  # once more: what is imported sets up its own logging
            address = str(mlflow.get_tracking_uri() if uri is None else uri)
            self._uri, self._address = mask_tokens(address), _absolute(address)
            self._path = _sqlite_path(address)
            # Two that make one at once would both make each of its tables.
            with nullcontext() if self._path is None else alone_in(self._path.absolute().parent):
                _check(address, self._uri, make)
                with _as_store_error(self._uri):
                    self._client: Any = MlflowClient(address)

    @property
    def uri(self) -> str:
        """See `Store.uri`."""
        return self._uri

    @property
    def address(self) -> str:
        """See `Store.address`."""
        return self._address

    def begin(self, experiment: str | None, name: str | None, tags: Mapping[str, str], time_s: float) -> str:
        """See `Store.begin`."""
        with self._asked():
            number = self._experiment(experiment)
            run = self._client.create_run(number, int(1000 * time_s), _shortened(tags, _LONGEST_TAG), name)
            return str(run.info.run_id)

    def log_params(self, run: str, params: Mapping[str, str]) -> None:
        """See `Store.log_params`."""
        items = list(_shortened(params, _LONGEST_PARAM).items())
        with self._asked():
            for at in range(0, len(items), _MOST_PARAMS):
                some = [self._mlflow.entities.Param(*item) for item in items[at : at + _MOST_PARAMS]]
                self._client.log_batch(run, params=some)

    def log_metrics(self, run: str, values: Mapping[str, float], step: int, time_s: float) -> None:
        """See `Store.log_metrics`."""
        metric = self._mlflow.entities.Metric
        points = [metric(name[:_LONGEST_KEY], value, int(1000 * time_s), step) for name, value in values.items()]
        with self._asked():
            for at in range(0, len(points), _MOST_METRICS):
                self._client.log_batch(run, metrics=points[at : at + _MOST_METRICS])

    def log_file(self, run: str, path: str, content: bytes) -> None:
        """See `Store.log_file`."""
        folder, _, name = path.rpartition("/")
        with self._asked(), tempfile.TemporaryDirectory(prefix="penstock-track-") as made:
            Path(made, name).write_bytes(content)
            self._client.log_artifact(run, str(Path(made, name)), folder or None)

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """See `Store.set_tags`."""
        with self._asked():
            some = [self._mlflow.entities.RunTag(*item) for item in _shortened(tags, _LONGEST_TAG).items()]
            self._client.log_batch(run, tags=some)

    def end(self, run: str, status: Status, time_s: float | None = None) -> None:
        """See `Store.end`."""
        with self._asked():
            self._client.set_terminated(run, status, int(1000 * (time() if time_s is None else time_s)))

    def runs(self, most: int, status: Status | None = None) -> Sequence[Run]:
        """See `Store.runs`."""
        where = "" if status is None else f"attributes.status = '{status}'"
        with self._asked():
            return [_run(found) for found in self._found(where, most)]

    def matching(self, prefix: str) -> Sequence[Run]:
        """See `Store.matching`."""
        with self._asked():
            found = []
            if _ID.fullmatch(prefix):
                found = list(self._found(f"attributes.run_id LIKE '{prefix}%'", 20))
            quote = next((each for each in ("'", '"', "`") if each not in prefix), None)
            if not found and quote is not None:
                found = list(self._found(f"attributes.run_name = {quote}{prefix}{quote}", 20))
            return [_run(each) for each in found]

    def history(self, run: str, metric: str) -> Sequence[Point]:
        """See `Store.history`."""
        with self._asked():
            points = [Point(int(each.step), float(each.value)) for each in self._client.get_metric_history(run, metric)]
        return sorted(points, key=lambda point: point.step)

    def read_file(self, run: str, path: str) -> bytes | None:
        """See `Store.read_file`."""
        folder = path.rpartition("/")[0] or None
        with self._asked(), tempfile.TemporaryDirectory(prefix="penstock-track-") as made:
            if path not in {each.path for each in self._client.list_artifacts(run, folder)}:
                return None
            return Path(self._client.download_artifacts(run, path, made)).read_bytes()

    def _experiment(self, name: str | None) -> str:
        """The number of one, made if there is none of this name."""
        number = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if name is None and number:
            return number
        name = name or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        if not name:
            return "0"
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # Files go beside the store: MLflow would put them into whatever folder the program works in.
        files = None if self._path is None else str(self._path.resolve().parent / "mlruns" / uuid4().hex)
        return str(self._client.create_experiment(name, files))

    def _found(self, where: str, most: int) -> Iterator[Any]:
        experiments = [each.experiment_id for each in self._client.search_experiments()]
        page = None
        while experiments and most > 0:
            # MLflow's own order: the latest first.
            runs = self._client.search_runs(experiments, where, max_results=min(most, _PAGE), page_token=page)
            yield from runs
            most, page = most - len(runs), runs.token
            if not page:
                return

    @contextmanager
    def _asked(self) -> Iterator[None]:
        with _quiet(), _as_store_error(self._uri):
            yield


def _run(found: Any) -> Run:
    info, data = found.info, found.data
    return Run(
        str(info.run_id),
        str(info.run_name or ""),
        str(info.status),
        (info.start_time or 0) / 1000,
        None if info.end_time is None else info.end_time / 1000,
        dict(data.params),
        {name: float(value) for name, value in data.metrics.items()},
        dict(data.tags),
    )


def _shortened(words: Mapping[str, str], most: int) -> dict[str, str]:
    return {
        # MLflow takes letters, digits, spaces and these for names.
        re.sub(r"[^\w\-. /:]", "_", name)[:_LONGEST_KEY]: value if len(value) <= most else f"{value[: most - 1]}…"
        for name, value in words.items()
    }


def _sqlite_path(address: str) -> Path | None:
    """The file of a store in SQLite; None for others."""
    if not address.startswith("sqlite:///"):
        return None
    # As SQLAlchemy reads it: an absolute path has a fourth slash, which belongs to it.
    return Path(unquote(address.removeprefix("sqlite:///").partition("?")[0]))


def _absolute(address: str) -> str:
    """The same store's address, whatever the folder."""
    path = _sqlite_path(address)
    if path is not None:
        name, query, rest = address.removeprefix("sqlite:///").partition("?")
        return address if path.is_absolute() else f"sqlite:///{Path.cwd()}/{name}{query}{rest}"
    return address if ":" in address else str(Path(address).absolute())


def _check(address: str, shown: str, make: bool) -> None:
    """Whether a store in a file or a folder may be opened.

    Raises:
        StoreError: it is not there and may not or cannot be made, or it is of another version: MLflow would change it.
    """
    path = _sqlite_path(address)
    if path is not None:
        if not path.is_file() or not path.stat().st_size:
            if not make:
                raise StoreError(
                    f"{shown} should be a store of MLflow's, and there is none. "
                    "Go to the folder that training ran in, or say where it is with --store."
                )
            _check_room(path, shown)
            return
        _check_version(path, shown)
    elif not make and "://" not in address.replace("file://", ""):
        folder = Path(unquote(urlsplit(address).path) if address.startswith("file:") else address)
        if not any(folder.glob("*/meta.yaml")):
            raise StoreError(f"{shown} should be a folder of MLflow's with runs in it, and is not.")


def _check_room(path: Path, shown: str) -> None:
    """Whether a file can be made there, which MLflow tries for minutes."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreError(
            f"{shown} cannot be made: {error}. Its folder, {str(path.absolute().parent)!r}, should be there and be "
            "writable."
        ) from error


def _check_version(path: Path, shown: str) -> None:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise StoreError(f"{shown} should be a store of MLflow's, and is not: {error}.") from error
    from mlflow.store.db import utils

    wanted = utils._get_latest_schema_revision() if hasattr(utils, "_get_latest_schema_revision") else found
    if found != wanted:
        raise StoreError(
            f"{shown} is of another version of MLflow (schema {found}; the one that is installed needs {wanted}). Use "
            f"the MLflow that made it, or, after a copy of the file: mlflow db upgrade {shown}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what MLflow and the packages under it say of themselves."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"mlflow(\.|$)")
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(mlflow|alembic|sqlalchemy)(\.|$)")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _as_store_error(shown: str) -> Iterator[None]:
    """Whatever fails in there: MLflow lets errors of many libraries through."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        reason = mask_tokens(" ".join(str(error).split())) or type(error).__name__
        raise StoreError(f"{shown} cannot be used: {reason[:300]}") from error
