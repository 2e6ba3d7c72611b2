"""Databases that SQLAlchemy knows, for reading alone."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from penstock.sources._cutter import Cutter
from penstock.sources._engine import make_engine, parse_url

_PAUSES_S = (0.0, 0.25, 1.0, 3.0)  # a server that is restarted takes a second or two to answer again
_KEYS_A_QUERY = 10_000  # SQLite takes 32,766 parameters, PostgreSQL 65,535
_STATEMENT = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values)\s", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)


class Database:
    """A database by its address. Connections are made where they are used, and never travel.

    Each process has as many connections as there are threads that read at a time. One that is lost is made anew.

    Args:
        url: as SQLAlchemy takes it; or one of its URLs or engines, of which the URL is taken.
        timeout_s: seconds that a query may take; None for no limit.
        pauses_s: seconds to wait before each further try after a connection was lost.

    Raises:
        ImportError: SQLAlchemy, or the driver that the URL names, is not installed.
        TypeError: it is something else.
        ValueError: no such URL, or a database that no other connection sees, or no such file.
    """

    _engine: Any
    _ending: Any
    _parents: Any
    _lock: threading.Lock

    def __init__(self, url: Any, timeout_s: float | None = None, pauses_s: Sequence[float] = _PAUSES_S) -> None:
        self._url = parse_url(url)
        self._timeout_s = timeout_s
        self._pauses_s = tuple(pauses_s)
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_timeout_s": self._timeout_s, "_pauses_s": self._pauses_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """What it is called in messages: the address without user, password and options."""
        url = self._url
        return str(url.create(url.drivername, host=url.host, port=url.port, database=url.database))

    def fetch(self, statement: Any, parameters: Any = None, *, patiently: bool = False) -> list[Any]:
        """All rows of a query; see `ask`.

        Args:
            statement: of SQLAlchemy.
            parameters: by name.
        """
        return list(self.ask(lambda connection: connection.execute(statement, parameters).all(), patiently=patiently))

    def ask(self, question: Callable[[Any], Any], *, patiently: bool = False) -> Any:
        """What a function finds out with a connection.

        Args:
            question: is given one of SQLAlchemy's connections; asked again after one was lost.
            patiently: go on trying for a few seconds where the database cannot be reached.

        Raises:
            ConnectionError: it cannot be reached or does not answer, or the query fails; the message holds no secret.
        """
        from sqlalchemy.exc import SQLAlchemyError

        pauses = iter(self._pauses_s if patiently else ())
        while True:
            is_connected, cutter = False, Cutter(self._timeout_s)
            try:
                with self.opened().connect() as connection:
                    is_connected = True
                    with cutter.around(connection, self._running):
                        return question(connection)
            except SQLAlchemyError as error:
                if cutter.reason:
                    raise ConnectionError(f"The database {self.name} {cutter.reason}.") from None
                pause_s = next(pauses, None)
                if pause_s is None or (is_connected and not getattr(error, "connection_invalidated", False)):
                    self.fail(error)
                if self._interrupted.wait(pause_s):
                    self.fail(error)

    def fail(self, error: Any) -> NoReturn:
        """Say what one of SQLAlchemy's errors means, without the password that it may hold.

        Raises:
            ConnectionError: always.
        """
        reason = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".")
        message = f"The database {self.name} failed: {reason}."
        is_told = False
        for secret in self._secrets():
            message, is_told = message.replace(secret, "***"), is_told or secret in str(error)
        raise ConnectionError(message) from (None if is_told else error)

    def opened(self) -> Any:
        """SQLAlchemy's engine, this process's own."""
        if self._pid != os.getpid():  # forked: the connections are the parent's, and so may the lock be
            self._parents = self._engine, self._ending  # whose end would be told as one of ours
            self._forget()
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self._url, self._timeout_s)
                self._ending = weakref.finalize(self, _dispose, self._engine, self._pid)
            return self._engine

    def interrupt(self) -> None:
        """Let queries that other threads wait for fail at once; takes no lock, and can be used on."""
        for cutter in self._running.copy():
            cutter.cut("has been given up, as what asked it was closed")
        self._interrupted.set()  # those that wait before they try again
        self._interrupted.clear()

    def close(self) -> None:
        """Close this process's connections; may be called twice. The next query makes new ones."""
        if self._pid != os.getpid():  # they are the parent's
            return
        with self._lock:
            self._engine = None
            if self._ending is not None:
                self._ending()

    def _forget(self) -> None:
        self._engine = self._ending = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._running: set[Cutter] = set()
        self._interrupted = threading.Event()

    def _secrets(self) -> list[str]:
        options = [(name, each) for name, value in self._url.query.items() for each in _as_tuple(value)]
        found = [value for name, value in options if _SECRET.search(name)]
        return [secret for secret in (str(self._url.password or ""), *found) if secret]


@dataclass(frozen=True)
class Table:
    """Rows of a database: a table, a view, or what a statement selects.

    Attributes:
        database: where they are.
        name: what they are called in messages.
        rows: SQLAlchemy's clause for them.
    """

    database: Database
    name: str
    rows: Any

    @classmethod
    def of(cls, database: Database, table: Any, schema: str | None = None) -> Table:
        """From what the user gave.

        Args:
            table: a name, or a select statement, as text; or a table or a statement of SQLAlchemy's.
            schema: that a table's name is in; None for the default one.

        Raises:
            ConnectionError: the database does not answer.
            TypeError: it is something else.
            ValueError: there is no such table, or a statement lacks values.
        """
        import sqlalchemy as sql

        if isinstance(table, str) and _STATEMENT.match(table):
            statement = sql.text(table.rstrip().rstrip(";") + "\n")  # which ends a comment
            if missing := [name for name, value in statement.compile().binds.items() if value.required]:
                raise ValueError(
                    f"`table` should be a statement that is complete: it has no value for :{', :'.join(missing)}. Give "
                    f"`sqlalchemy.text(...).bindparams({missing[0]}=...)`, or write \\: where a colon is meant."
                )
            return cls(database, "rows", statement.columns().subquery("penstock_rows"))
        if isinstance(table, sql.TextClause):
            return cls(database, "rows", table.columns().subquery("penstock_rows"))
        if isinstance(table, sql.sql.expression.SelectBase):
            return cls(database, "rows", table.subquery("penstock_rows"))
        if isinstance(table, sql.sql.expression.FromClause):
            return cls(database, getattr(table, "name", "rows"), table)
        if not isinstance(table, str):
            raise TypeError(
                "`table` should be a table's name, a select statement, or either as SQLAlchemy has it. "
                f"Received: {type(table).__name__}"
            )
        found = cls(database, table, sql.table(table, schema=schema))
        found._check_that_it_is_there(schema)
        return found

    def columns(self) -> list[str]:
        """The names of the columns.

        Raises:
            ConnectionError: the database does not answer, or there are no such rows.
        """
        import sqlalchemy as sql

        # Without rows: a look at the first one, whose columns are known even if there is none, costs no more.
        statement: Any = sql.select(sql.literal_column("*")).select_from(self.rows).where(sql.false())
        return list(self.database.ask(lambda connection: connection.execute(statement).keys()))

    def first(self, column: str) -> Any:
        """Some value of a column that is there; None if there is none."""
        import sqlalchemy as sql

        value: Any = sql.column(column)
        statement = sql.select(value).select_from(self.rows).where(value.is_not(None)).limit(1)
        return next((row[0] for row in self.database.fetch(statement)), None)

    def values(self, columns: Sequence[str]) -> list[Any]:
        """Some columns of all rows, a tuple for each, in no order."""
        import sqlalchemy as sql

        return self.database.fetch(sql.select(*map(sql.column, columns)).select_from(self.rows))

    def by_key(self, key: str, column: str, keys: Sequence[Any]) -> list[Any]:
        """Key and value of the rows that have these keys, in no order: one query, unless there are very many.

        Raises:
            ConnectionError: the database does not answer, even after some seconds.
        """
        import sqlalchemy as sql

        # Of no type: the driver knows best what the server takes for a Python value.
        wanted = sql.bindparam("keys", expanding=True, type_=sql.types.NullType())
        its_key: Any = sql.column(key)
        statement = sql.select(its_key, sql.column(column)).select_from(self.rows).where(its_key.in_(wanted))
        rows = []
        for start in range(0, len(keys), _KEYS_A_QUERY):
            some = {"keys": list(keys[start : start + _KEYS_A_QUERY])}
            rows += self.database.fetch(statement, some, patiently=True)
        return rows

    def finds_quickly(self, column: str) -> bool | None:
        """Whether the server has an index by a column; None where it does not say, or this is no plain table."""
        import sqlalchemy as sql

        if type(self.rows) is not sql.TableClause:
            return None
        place = {"schema": getattr(self.rows, "schema", None)}

        def look(connection: Any) -> bool | None:
            there = sql.inspect(connection)
            if self.name not in there.get_table_names(**place):  # a view
                return None
            orders = [there.get_pk_constraint(self.name, **place)["constrained_columns"]]
            orders += [index["column_names"] for index in there.get_indexes(self.name, **place)]
            orders += [index["column_names"] for index in there.get_unique_constraints(self.name, **place)]
            return any(columns[:1] == [column] for columns in orders)

        try:
            return bool(found) if (found := self.database.ask(look)) is not None else None
        except (ConnectionError, NotImplementedError):  # not every server tells all of these
            return None

    def _check_that_it_is_there(self, schema: str | None) -> None:
        import sqlalchemy as sql

        names = self.database.ask(
            lambda connection: (
                None
                if (there := sql.inspect(connection)).has_table(self.name, schema=schema)
                else [*there.get_table_names(schema=schema), *there.get_view_names(schema=schema)]
            )
        )
        if names is not None:
            where = self.database.name if schema is None else f"schema {schema!r} of {self.database.name}"
            raise ValueError(f"`table` should be one of {sorted(names)} in {where}. Received: {self.name!r}")


def _dispose(engine: Any, pid: int) -> None:
    if pid == os.getpid():  # in a fork the connections are the parent's, which goes on with them
        engine.dispose()


def _as_tuple(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,)
