"""How SQLAlchemy is told to reach a database."""

from __future__ import annotations

import os
from typing import Any

_CONNECT_S = 30.0
# What a driver calls the seconds after which it gives up connecting.
_CONNECT_KEYWORDS = {
    **dict.fromkeys(("psycopg", "psycopg2", "pymysql", "mysqldb"), "connect_timeout"),
    "mysqlconnector": "connection_timeout",
    "pg8000": "timeout",
    "pysqlite": "timeout",  # that it waits for those who write
}


def parse_url(url: Any) -> Any:
    """SQLAlchemy's URL of what a user gave.

    Raises:
        ImportError: SQLAlchemy is not installed.
        TypeError: it is no URL.
        ValueError: there is no such database, or workers could not read it.
    """
    try:
        import sqlalchemy as sql
    except ImportError as error:
        raise ImportError(
            'Databases are read by SQLAlchemy. Install it with `pip install "penstock[sql]"`, and a driver for yours, '
            "as psycopg for PostgreSQL."
        ) from error
    url = url.url if isinstance(url, sql.Engine) else url
    if not isinstance(url, str | sql.URL):
        raise TypeError(
            '`database` should be a URL, as "sqlite:///photos.db" or "postgresql+psycopg://user:password@host/name", '
            f"or an engine of SQLAlchemy's. Received: {type(url).__name__}"
        )
    try:
        url = sql.make_url(url)
        dialect = url.get_dialect()
    except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ValueError):  # their messages may hold the password
        raise ValueError(
            '`database` should be a URL that SQLAlchemy knows, as "sqlite:///photos.db" or '
            '"postgresql+psycopg://user:password@host/name". What came is none, or of a kind that is not installed.'
        ) from None
    if dialect.is_async:
        raise ValueError(
            f"`database` should be read by a driver that waits for its answers, as psycopg does. Received: an "
            f"asynchronous one, {dialect.driver!r}"
        )
    if dialect.name == "sqlite" and dialect.driver == "pysqlite":
        return _sqlite_file(url)
    return url


def _sqlite_file(url: Any) -> Any:
    """The URL of a file that is there, wherever a worker may be."""
    path = url.database or ""
    if path in ("", ":memory:") or "mode=memory" in path or url.query.get("mode") == "memory":
        raise ValueError(
            "`database` is one in memory, which only the connection that made it can see. Write it to a file: "
            "`connection.execute(\"VACUUM INTO 'photos.db'\")`."
        )
    if path.startswith("file:"):
        return url
    if not os.path.isfile(path):  # SQLite would make an empty one
        raise ValueError(f"`database` should be a database that is there. There is no file {path!r}.")
    return url.set(database=os.path.abspath(path))


def make_engine(url: Any, timeout_s: float | None) -> Any:
    """SQLAlchemy's engine for a process: as many connections as are used at a time, for reading alone.

    Args:
        timeout_s: seconds that a query may take; None for no limit.

    Raises:
        ImportError: the driver is not installed.
    """
    import sqlalchemy as sql

    driver, backend = url.get_dialect().driver, url.get_backend_name()
    keyword = _CONNECT_KEYWORDS.get(driver)
    patience_s = _CONNECT_S if timeout_s is None else min(timeout_s, _CONNECT_S)
    arguments = {} if keyword is None or keyword in url.query else {keyword: max(2, round(patience_s))}
    try:
        engine = sql.create_engine(
            url,
            isolation_level="AUTOCOMMIT",  # nothing is left open between two reads, and nothing has to be ended
            poolclass=sql.QueuePool,
            pool_size=0,  # as many as are used at a time
            pool_reset_on_return=None,
            connect_args=arguments,
            hide_parameters=True,
        )
    except ImportError as error:
        raise ImportError(f"{url.drivername!r} needs a driver that is not installed: {error}.") from error

    if commands := _commands(backend, timeout_s):

        @sql.event.listens_for(engine, "connect")
        def begin(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for command in commands:
                cursor.execute(command)
            cursor.close()
            connection.commit()

    return engine


def _commands(backend: str, timeout_s: float | None) -> list[str]:
    """What a new connection is told: nothing is written by it, and nothing takes too long."""
    if backend == "sqlite":
        return ["PRAGMA query_only = ON"]
    if backend == "postgresql":
        limit = [] if timeout_s is None else [f"SET statement_timeout = {max(1, round(1000 * timeout_s))}"]
        return ["SET default_transaction_read_only = on", *limit]
    return []
