"""`flow_from_sql`: rows of SQLite and of PostgreSQL, fed as files are."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sql
from PIL import Image

from databases import PASSWORD, Postgres, ask, execute, fill, find_server
from penstock import BatchError, ImageDataGenerator, ImageError, SqlIterator
from penstock.keras._run_params import file_names, flow_params
from penstock.sources import _sql
from penstock.sources._database import Database, Table
from penstock.sources._sql import SqlSource
from strategies import pixels

GENERATOR = ImageDataGenerator(rotation_range=30, horizontal_flip=True, rescale=1 / 255, validation_split=0.25)
SMALL: dict[str, Any] = {"target_size": (20, 24), "batch_size": 4, "seed": 3}
COUNT = 14


def columns() -> list[Any]:
    return [
        sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
        sql.Column("image", sql.LargeBinary),
        sql.Column("path", sql.Text),
        sql.Column("label", sql.Text),
        sql.Column("two", sql.Integer),
        sql.Column("age", sql.Float),
        sql.Column("height", sql.Numeric(8, 2, asdecimal=True)),
        sql.Column("weight", sql.Float),
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for k in range(COUNT):
        Image.fromarray(pixels(k, (24 + k, 31 - k, 3), "uint8")).save(folder / f"{k}.{'jpg' if k % 2 else 'png'}")
    return folder


@pytest.fixture(scope="module")
def rows(files: Path) -> list[dict[str, Any]]:
    """In disorder: the keys say what the order is."""
    made = []
    for k in np.random.default_rng(1).permutation(COUNT).tolist():
        path = files / f"{k}.{'jpg' if k % 2 else 'png'}"
        made.append(
            {
                "id": 10 * k + 3,
                "image": path.read_bytes(),
                "path": path.name,
                "label": ["owl", "cat", "dog"][k % 3],
                "two": k % 2,
                "age": 1.5 * k,
                "height": Decimal(f"{k}.25"),
                "weight": 1.0 + k,
            }
        )
    return made


@pytest.fixture(scope="module")
def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(sorted(rows, key=lambda row: row["id"])).astype({"height": float})


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if find_server() is None:
        pytest.skip("PostgreSQL is not installed")
    server = Postgres()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def sqlite(tmp_path: Path, rows: list[dict[str, Any]]) -> str:
    url = f"sqlite:///{tmp_path}/photos.db"
    fill(url, "photos", columns(), rows)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, rows: list[dict[str, Any]]) -> str:
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite"))
    address: str = request.getfixturevalue("postgres").url
    fill(address, "photos", columns(), rows)
    return address


def from_sql(url: Any, table: Any = "photos", **options: Any) -> SqlIterator:
    return GENERATOR.flow_from_sql(url, table, **{**SMALL, **options})


def from_files(frame: pd.DataFrame, files: Path, label: Any = "label", **options: Any) -> Any:
    return GENERATOR.flow_from_dataframe(frame, files, "path", label, **{**SMALL, **options})


@pytest.mark.parametrize("workers", [0, 3])
def test_rows_are_fed_as_the_same_images_in_files(url: str, frame: Any, files: Path, workers: int) -> None:
    with from_sql(url, workers=workers) as flow, from_files(frame, files, workers=0) as other:
        assert (flow.class_indices, flow.classes) == (other.class_indices, other.classes)
        assert flow.keys == frame["id"].tolist()
        assert flow.digest() == other.digest()
        for _ in range(2 * len(flow) + 1):
            for one, two in zip(next(flow), next(other), strict=True):
                np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_a_split_is_that_of_a_dataframe(sqlite: str, frame: Any, files: Path, subset: str) -> None:
    with from_sql(sqlite, subset=subset) as flow, from_files(frame, files, subset=subset) as other:
        assert flow.samples == other.samples == {"training": 11, "validation": 3}[subset]
        assert flow.digest() == other.digest()


@pytest.mark.parametrize(
    ("mode", "label"),
    [
        ("sparse", "label"), ("raw", "age"), ("raw", ["age", "weight"]), ("raw", "height"),
        ("multi_output", ["age", "two"]), ("input", "label"), (None, "label"),
    ],
)  # fmt: skip
def test_class_modes_are_those_of_dataframes(sqlite: str, frame: Any, files: Path, mode: Any, label: Any) -> None:
    options = {"class_mode": mode, "workers": 0}
    ours = from_sql(sqlite, label_column=label, weight_column="weight", **options)
    theirs = from_files(frame, files, label, weight_col="weight", **options)
    with ours as flow, theirs as other:
        assert flow.digest() == other.digest()


def test_classes_may_be_integers_and_some_of_them_left_out(sqlite: str, frame: Any, files: Path) -> None:
    with from_sql(sqlite, label_column="two", class_mode="binary") as flow:
        assert flow.class_indices == {0: 0, 1: 1}
        assert flow.classes == frame["two"].tolist()
    with from_sql(sqlite, classes=["owl", "cat"]) as flow:
        assert flow.class_indices == {"owl": 0, "cat": 1}
        assert flow.keys == frame["id"][frame["label"] != "dog"].tolist()
    with pytest.raises(ValueError, match=r'class_mode="binary" needs 2 classes\. Found 3 in \'label\''):
        from_sql(sqlite, class_mode="binary")
    with pytest.warns(UserWarning, match="`classes` will be ignored"):
        from_sql(sqlite, class_mode="raw", label_column="age", classes=["owl"]).close()


def test_a_column_of_file_names_is_read_as_files(sqlite: str, frame: Any, files: Path) -> None:
    with from_sql(sqlite, image_column="path", directory=files) as flow, from_files(frame, files) as other:
        assert flow.digest() == other.digest()
        assert flow.filepaths == other.filepaths
        assert file_names(flow) == file_names(other)
    execute(sqlite, "UPDATE photos SET path = NULL WHERE id = 23")
    with pytest.raises(TypeError, match=r"'path' of photos\[23\] should be a file's name.* Received: None"):
        from_sql(sqlite, image_column="path", directory=files)


def test_a_select_statement_is_a_table(url: str) -> None:
    text = "SELECT id, image, 'all' AS label FROM photos WHERE age < 6 ;\n"
    photos = sql.table("photos", *map(sql.column, ("id", "image", "age")))
    built = sql.select(photos.c.id, photos.c.image, sql.literal("all").label("label")).where(photos.c.age < 6)
    for statement in (text, sql.text(text.replace(";", "")), built):
        with from_sql(url, statement, workers=0) as flow:
            flow._found = pickle.loads(pickle.dumps(flow._found))  # as it goes to a process
            assert flow.keys == [3, 13, 23, 33]
            assert next(flow)[0].shape == (4, 20, 24, 3)
            assert flow.filenames[0] == "rows[3]"


@pytest.mark.parametrize(
    "statement",
    [
        "-- those of March\nSELECT * FROM photos",
        "/* all; of\n them */ (SELECT * FROM photos)",
        "SELECT * FROM photos -- all of them",
        sql.text("SELECT * FROM photos WHERE id >= :least").bindparams(least=0),
    ],
)
def test_a_statement_may_have_comments_brackets_and_values(sqlite: str, statement: Any) -> None:
    with from_sql(sqlite, statement) as flow:
        assert flow.samples == COUNT


def test_where_no_index_finds_the_rows_a_warning_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sql, "_MANY_ROWS", COUNT)
    with from_sql(url, "photos") as flow:  # by a primary key
        assert flow.samples == COUNT
    with pytest.warns(UserWarning, match=r"No index of 'photos' begins with 'path', .* all 14 rows"):
        from_sql(url, "photos", key_column="path").close()
    execute(url, "CREATE INDEX by_path ON photos (path)")
    from_sql(url, "photos", key_column="path").close()
    from_sql(url, "SELECT * FROM photos", key_column="path").close()  # of which no server tells
    execute(url, "CREATE VIEW seen AS SELECT * FROM photos")
    from_sql(url, "seen", key_column="path").close()
    execute(url, "DROP VIEW seen")


def test_names_are_quoted(url: str, rows: list[dict[str, Any]]) -> None:
    name, key, image = 'Bilder "neu"; DROP TABLE photos', "Order", "select %s :x"
    columns = [sql.Column(key, sql.Text), sql.Column(image, sql.LargeBinary)]
    fill(url, name, columns, [{key: f"'; {row['id']}", image: row["image"]} for row in rows[:4]])
    with from_sql(url, name, image_column=image, key_column=key, class_mode=None) as flow:
        assert next(flow).shape == (4, 20, 24, 3)
        assert flow.keys == sorted(f"'; {row['id']}" for row in rows[:4])
    assert ask(url, "SELECT count(*) FROM photos") == COUNT


def test_keys_of_any_kind_find_their_rows(postgres: Postgres, rows: list[dict[str, Any]]) -> None:
    for kind, keys in {
        sql.BigInteger: [2**62, 5, -(2**40), 70_000],
        sql.Text: ["b", "a", "B", "ä"],
        sql.CHAR(4): ["b   ", "a   ", "B   ", "cc  "],
        sql.Uuid: [uuid.UUID(int=k) for k in (3, 2**100, 1, 9)],
        sql.Numeric(20, 2): [Decimal("2.50"), Decimal("1.25"), Decimal("-3.00"), Decimal("7.75")],
        sql.LargeBinary: [b"b", b"\x00", b"a", b""],
    }.items():
        columns = [sql.Column("id", kind, primary_key=True), sql.Column("image", sql.LargeBinary)]
        pairs = [{"id": key, "image": row["image"]} for key, row in zip(keys, rows, strict=False)]
        fill(postgres.url, "keyed", columns, pairs)
        with from_sql(postgres.url, "keyed", class_mode=None, workers=0, shuffle=False) as flow:
            assert flow.keys == sorted(keys)
            expected = [pair["image"] for pair in sorted(pairs, key=lambda pair: pair["id"])]
            assert list(map(bytes, flow._source().read(np.arange(4)))) == expected


def test_a_table_may_lie_in_a_schema(postgres: Postgres, rows: list[dict[str, Any]]) -> None:
    execute(postgres.url, "CREATE SCHEMA IF NOT EXISTS shop")
    fill(postgres.url, "goods", columns(), rows, schema="shop")
    with from_sql(postgres.url, "goods", schema="shop") as flow:
        assert next(flow)[0].shape == (4, 20, 24, 3)
    with pytest.raises(ValueError, match=r"`table` should be one of \['goods'\] in schema 'shop' of postgresql"):
        from_sql(postgres.url, "photos", schema="shop")


def test_a_batch_is_one_query(sqlite: str) -> None:
    with from_sql(sqlite, workers=0, shuffle=False) as flow:
        asked: list[str] = []
        engine = flow._found.encoded.table.database.opened()
        sql.event.listen(engine, "before_cursor_execute", lambda *_: asked.append(_[2]))
        next(flow)
    assert len(asked) == 1
    assert asked[0].endswith("WHERE id IN (?, ?, ?, ?)")


def test_very_many_keys_are_asked_for_in_several_queries(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.sources._database._KEYS_A_QUERY", 5)
    with from_sql(sqlite, workers=0) as flow:
        whole = flow._source().read(np.arange(COUNT))
    assert len(set(map(bytes, whole))) == COUNT


def test_a_state_goes_on_in_another_server(sqlite: str, postgres: Postgres, rows: list[dict[str, Any]]) -> None:
    fill(postgres.url, "photos", columns(), rows)
    with from_sql(sqlite) as flow, from_sql(postgres.url, seed=None) as other:
        for _ in range(5):
            next(flow)
        other.load_state_dict(flow.state_dict())
        np.testing.assert_array_equal(next(flow)[0], next(other)[0])
    execute(sqlite, "DELETE FROM photos WHERE id = 3")
    with from_sql(sqlite) as fewer, pytest.raises(ValueError, match="belongs to other data"):
        fewer.load_state_dict(flow.state_dict())


# --- rows that are of no use ---


def test_a_row_that_holds_no_image_is_told_by_its_key(url: str) -> None:
    with from_sql(url, workers=0, shuffle=False) as flow:
        execute(url, "DELETE FROM photos WHERE id = 3")
        with pytest.raises(ImageError, match=r"^photos\[3\] is gone from the table\. Put it there") as caught:
            next(flow)
        assert (caught.value.index, caught.value.path, caught.value.step) == (0, "photos[3]", 0)
        execute(url, "INSERT INTO photos (id, image) VALUES (3, NULL)")
        with pytest.raises(ImageError, match=r"photos\[3\] holds no image: 'image' is NULL"):
            next(flow)
        execute(url, "UPDATE photos SET image = :image WHERE id = 3", image=b"no image")
        with pytest.raises(ImageError, match=r"'photos\[3\]'"):
            next(flow)
        execute(url, "UPDATE photos SET image = (SELECT image FROM photos WHERE id = 13) WHERE id = 3")
        assert next(flow)[0].shape == (4, 20, 24, 3), "the batch that was due"


def test_on_error_has_an_answer_for_rows(sqlite: str) -> None:
    options = {"workers": 2, "shuffle": False}
    with from_sql(sqlite, on_error="skip", **options) as flow:
        execute(sqlite, "DELETE FROM photos WHERE id = 13")
        assert len(next(flow)[0]) == 3
        ((bad, *_),) = [flow.stats.bad]
        assert (bad.index, bad.path) == (1, "photos[13]")
        assert "is gone from the table" in bad.reason
    with from_sql(sqlite, on_error="substitute", **options) as flow:
        execute(sqlite, "UPDATE photos SET image = 'text' WHERE id = 23")
        images, _ = next(flow)
        assert len(images) == 4
        assert flow.stats.bad[0].reason.endswith("'image' should be bytes, and is of type str.")


def test_a_key_that_is_doubled_meanwhile_is_an_error(sqlite: str) -> None:
    view = "SELECT id, image FROM photos UNION ALL SELECT id, image FROM photos WHERE id IN (SELECT k FROM twice)"
    execute(sqlite, "CREATE TABLE twice (k INTEGER)")
    with from_sql(sqlite, view, class_mode=None, workers=0, shuffle=False) as flow:
        execute(sqlite, "INSERT INTO twice VALUES (13)")
        with pytest.raises(ImageError, match=r"rows\[13\] is there 2 times"):
            next(flow)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ("SELECT NULL AS id, image, label FROM photos", {}, ValueError, "should have a key in 'id'; one is NULL"),
        ("SELECT id / 20 AS id, image, label FROM photos", {}, ValueError, r"key in 'id' should be there once; \d+ is"),
        ("SELECT id + 0.5 AS id, image, label FROM photos", {}, ValueError, "a float may not find its row"),
        ("SELECT iif(id = 3, 'x', id) AS id, image, label FROM photos", {}, TypeError, "be all of one type"),
        ("SELECT id, image, NULL AS label FROM photos", {}, TypeError, r"'label' of rows\[3\] is None\. Leave such"),
        ("SELECT id, image, age AS label FROM photos", {}, TypeError, "needs labels that are text or integers"),
        ("SELECT id, image, iif(id = 3, 'x', id) AS label FROM photos", {}, TypeError, "both"),
        ("SELECT id, image, NULL AS label FROM photos", {"class_mode": "raw"}, TypeError, r"of rows\[3\] is missing"),
        ("photos", {"weight_column": "label"}, TypeError, "weights in 'label' should be numbers"),
        ("photos", {"weight_column": "nothing"}, ValueError, "`weight_column` should be one of the columns"),
        ("photos", {"image_column": "nothing"}, ValueError, "`image_column` should be one of the columns.*'nothing'"),
        ("photos", {"key_column": "nothing"}, ValueError, "`key_column` should be one of the columns"),
        ("photos", {"label_column": "nothing"}, ValueError, "`label_column` should be one of the columns"),
        ("photos", {"label_column": ["age", "two"]}, TypeError, "needs one column of labels"),
        ("photos", {"class_mode": "multi_output"}, TypeError, "needs a list of columns"),
        ("photos", {"class_mode": "other"}, ValueError, "Invalid class_mode"),
        ("photos", {"batchsize": 3}, TypeError, r"flow_from_sql\(\) got .* 'batchsize'\. Did you mean 'batch_size'\?"),
        ("nothing", {}, ValueError, r"`table` should be one of \['photos'\] in sqlite:.* Received: 'nothing'"),
        ("SELECT * FROM nowhere", {}, ConnectionError, "no such table: nowhere"),
        (3, {}, TypeError, "`table` should be a table's name"),
        ("photos", {"key_column": None}, ValueError, "`key_column` should be one of the columns"),
        ("photos", {"label_column": None}, ValueError, "`label_column` should be one of the columns"),
        ("photos", {"label_column": "image"}, TypeError, r"of photos\[3\] is b'.{,30}'\. Leave"),
        ("photos", {"classes": "cat"}, TypeError, r"`classes` should be a list of classes, as \['cat'\]"),
        ("photos", {"classes": [1]}, ValueError, "of those in 'label': 'cat', 'dog', 'owl'. Received: 1"),
        ("SELECT * FROM photos WHERE id > :least", {}, ValueError, "has no value for :least. Give `sqlalchemy"),
        ("SELECT id, label, 's3://a/b.jpg' AS image FROM photos", {}, ValueError, r"rows\[3\] lies at a URL"),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_told(sqlite: str, change: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        from_sql(sqlite, change, **options)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        (7, TypeError, "`database` should be a URL"),
        ("photos.db", ValueError, "`database` should be a URL that SQLAlchemy knows"),
        (f"nosuch://me:{PASSWORD}@host/db", ValueError, "of a kind that is not installed"),
        ("sqlite:///nowhere/photos.db", ValueError, "There is no file 'nowhere/photos.db'"),
        ("postgresql+asyncpg://me@host/db", ValueError, "an asynchronous one, 'asyncpg'"),
        ("sqlite://", ValueError, "in memory, which only the connection that made it can see"),
        (sql.create_engine("sqlite:///:memory:"), ValueError, "in memory"),
    ],
)
def test_an_address_that_is_of_no_use_is_told(url: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        from_sql(url)
    assert PASSWORD not in str(caught.value)


def test_a_table_without_rows_has_no_batch(sqlite: str) -> None:
    with from_sql(sqlite, "SELECT * FROM photos WHERE id < 0") as flow:
        assert (flow.samples, flow.class_indices) == (0, {})
        with pytest.raises(ValueError, match="no samples"):
            next(flow)


def test_without_sqlalchemy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ImportError, match=r"pip install \"penstock\[sql\]\""):
        from_sql("sqlite:///photos.db")


# --- connections ---


def test_nothing_can_be_written(url: str) -> None:
    database = Database(url)
    with pytest.raises(ConnectionError, match=r"read-?only"):
        database.fetch(sql.text("DELETE FROM photos"))
    database.close()
    assert ask(url, "SELECT count(*) FROM photos") == COUNT


def test_a_flow_has_a_connection_for_each_worker_and_closes_them(postgres: Postgres, rows: list[Any]) -> None:
    fill(postgres.url, "photos", columns(), rows)
    others = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%photos%' AND pid <> pg_backend_pid()"
    with from_sql(postgres.url, workers=3) as flow:
        assert ask(postgres.url, others) == 0, "made where they are used"
        for _ in range(8):
            next(flow)
        assert 1 <= ask(postgres.url, others) <= 3
    assert ask(postgres.url, others) == 0
    flow = from_sql(postgres.url, workers=0)
    next(flow)
    assert ask(postgres.url, others) == 1
    del flow
    assert ask(postgres.url, others) == 0, "with the last reference, too"


@pytest.mark.parametrize("processes", [False, True])
def test_a_server_may_be_restarted_in_mid_epoch(
    postgres: Postgres, rows: list[Any], frame: Any, files: Path, processes: bool
) -> None:
    fill(postgres.url, "photos", columns(), rows)
    options = {"batch_size": 2, "max_queue_size": 1, "workers": 2, "use_multiprocessing": processes}
    with from_sql(postgres.url, **options) as flow, from_files(frame, files, batch_size=2, workers=0) as other:
        for number in range(2 * len(flow)):
            if number % 4 == 2:
                postgres.stop()
                postgres.start()
            np.testing.assert_array_equal(next(flow)[0], next(other)[0])


def test_a_server_that_is_gone_is_an_error_of_the_batch_and_no_sample_is_left_out(
    postgres: Postgres, rows: list[Any]
) -> None:
    fill(postgres.url, "photos", columns(), rows)
    with from_sql(postgres.url, workers=0, on_error="skip") as flow, from_sql(postgres.url, workers=0) as other:
        flow._found.encoded.table.database._pauses_s = (0.0,)
        next(flow), next(other)
        expected = next(other)
        postgres.stop()
        try:
            with pytest.raises(BatchError, match=r"The database postgresql.*failed: .* The next call asks") as caught:
                next(flow)
        finally:
            postgres.start()
        assert not isinstance(caught.value, ImageError)
        assert caught.value.step == 1
        np.testing.assert_array_equal(next(flow)[0], expected[0])
        assert not flow.stats.bad


def test_a_query_that_takes_too_long_is_an_error(postgres: Postgres) -> None:
    slow = "SELECT 1 AS id, 'x'::bytea AS image FROM (SELECT pg_sleep(30) OFFSET 0) AS nap WHERE nap IS NOT NULL"
    with pytest.raises(ConnectionError, match="statement timeout"):
        from_sql(postgres.url, slow, class_mode=None, timeout=0.2)


def test_a_server_that_stands_still_is_an_error(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.sources._cutter._GRACE_S", 0.0)
    database, process = Database(postgres.url, 0.3), sql.text("SELECT pg_backend_pid()")
    pid = database.fetch(process)[0][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionError, match=r"has not answered within 0\.3 s\. Look at the server"):
            database.fetch(process, patiently=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert database.fetch(process)[0][0] != pid
    database.close()


def test_a_query_is_given_up_where_its_flow_is_closed(url: str) -> None:
    asked = threading.Event()
    failed: list[BaseException] = []

    def ask_slowly(connection: Any) -> Any:
        if url.startswith("postgresql"):
            asked.set()
            return connection.execute(sql.text("SELECT pg_sleep(200)")).all()
        connection.connection.driver_connection.create_function("begun", 1, lambda _: asked.set())
        endless = "WITH RECURSIVE one(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM one) SELECT sum(begun(x)) FROM one"
        return connection.execute(sql.text(endless)).all()

    def wait() -> None:
        try:
            flow._found.encoded.table.database.ask(ask_slowly, patiently=True)
        except ConnectionError as error:
            failed.append(error)

    with from_sql(url) as flow:
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert asked.wait(60)
    waiting.join(60)
    assert not waiting.is_alive()
    assert "given up" in str(failed[0])


def test_an_address_that_does_not_answer_is_an_error() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"postgresql+psycopg://reader:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{server.getsockname()[1]}/x"
        with pytest.raises(ConnectionError, match=r"The database postgresql\+psycopg://127\.0\.0\.1:\d+/x failed"):
            from_sql(url, timeout=1)


def test_a_fork_makes_a_connection_of_its_own(postgres: Postgres) -> None:
    code = (
        "import os, sys, sqlalchemy\n"
        "from penstock.sources._database import Database\n"
        "database, ask = Database(sys.stdin.readline().strip()), sqlalchemy.text('SELECT pg_backend_pid()')\n"
        "first = database.fetch(ask)[0][0]\n"
        "if not (child := os.fork()):\n"
        "    own = database.fetch(ask)[0][0] != first\n"
        "    database.close()\n"
        "    os._exit(0 if own else 7)\n"  # as processes of `multiprocessing` end
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert database.fetch(ask)[0][0] == first, 'still open'\n"
        "database.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], input=postgres.url, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- secrets ---


def test_the_password_is_nowhere(postgres: Postgres, rows: list[Any]) -> None:
    fill(postgres.url, "photos", columns(), rows)
    with from_sql(postgres.url, workers=0) as flow:
        texts = [
            repr(flow._source()),
            repr(flow._found.encoded),
            flow.database,
            repr(flow_params(flow)),
            repr(flow.state_dict()),
        ]
        texts += [repr(vars(flow)), *flow.filenames]
        assert flow.database.startswith("postgresql+psycopg://")
        assert "reader" not in flow.database
        assert file_names(flow) == ((), ())
    assert not any(PASSWORD in text or PASSWORD.replace("/", "%2F") in text for text in texts)


def test_the_password_is_not_in_an_error_that_quotes_it(postgres: Postgres) -> None:
    wrong = postgres.url.replace("/postgres?", f"/{PASSWORD.replace('/', '%2F')}?")
    with pytest.raises(ConnectionError, match=r"\*\*\*") as caught:
        from_sql(wrong)
    assert PASSWORD not in "".join(__import__("traceback").format_exception(caught.value))


def test_a_source_travels_without_its_connection(sqlite: str) -> None:
    database = Database(sqlite, 5.0)
    source = SqlSource(Table.of(database, "photos"), "id", "image", np.array([3, 13], np.int64))
    blobs = source.read(np.array([1, 0]))
    other = pickle.loads(pickle.dumps(source))
    assert other.table.database._engine is None
    assert other.read(np.array([1, 0])) == blobs
    source.close(), other.close()
