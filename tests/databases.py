"""A PostgreSQL server of the tests' own, and tables of images."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sql

PASSWORD = "s3cret/Word"  # a slash, so that it is escaped in a URL


def find_server() -> str | None:
    """The folder of PostgreSQL's programs, the newest version's; None where it is not installed."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return str(Path(on_path).parent) if on_path else str(folders[-1]) if folders else None


class Postgres:
    """A server on a socket in a folder of its own, by a user that is not root."""

    def __init__(self) -> None:
        programs = find_server()
        assert programs is not None
        self._programs = programs
        self.folder = tempfile.mkdtemp(prefix="pg")  # pytest's own folders are closed to other users
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        password = Path(self.folder, "password")
        password.write_text(PASSWORD)
        password.chmod(0o644)
        try:
            self._run("initdb", "-U", "reader", "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "-N")
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://reader:{quote(PASSWORD, safe='')}@/postgres?host={self.folder}"

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=30"
        self._run("pg_ctl", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def close(self) -> None:
        if Path(self.folder, "data", "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [f"{self._programs}/{program}", "-D", f"{self.folder}/data", *arguments],
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
            **self._user,
        )


def fill(
    url: str, name: str, columns: Sequence[Any], rows: Sequence[dict[str, Any]], schema: str | None = None
) -> None:
    """Make a table anew and put rows into it."""
    engine = sql.create_engine(url)
    table = sql.Table(name, sql.MetaData(), *columns, schema=schema)
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        if rows:
            connection.execute(table.insert(), rows)
    engine.dispose()


def execute(url: str, statement: str, **parameters: Any) -> None:
    """Change something."""
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sql.text(statement), parameters)
    engine.dispose()


def ask(url: str, statement: str) -> Any:
    """One value."""
    engine = sql.create_engine(url)
    with engine.connect() as connection:
        value = connection.execute(sql.text(statement)).scalar()
    engine.dispose()
    return value
