"""When our own client asks, and when fsspec does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock.sources import _direct, _storage
from penstock.sources._direct import Direct
from penstock.sources._http_connection import HTTPError, Request, Site, Unplain


class Store:
    """As a file system, as what knows its requests, and as its connections.

    Attributes:
        answers: what a connection gives; an exception is raised.
        asked: by whom each path was read.
    """

    authorities = None

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked, self.forgotten = list(answers), list[str](), 0

    async def _cat_file(self, path: str, start: int | None, end: int | None) -> bytes:
        self.asked.append("fsspec")
        return f"{path} {start} {end}".encode()

    async def request(self, path: str, part: tuple[int, int] | None) -> Request:
        return Request(Site("host", 1, False), path.encode(), None if part is None else part[1] - part[0])

    def told(self, error: HTTPError) -> Exception:
        return Unplain() if error.status == 403 else error

    def forget(self, path: str) -> None:
        self.forgotten += 1

    async def get(self, request: Request) -> memoryview:
        self.asked.append("us")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return memoryview(answer)


def reads(monkeypatch: pytest.MonkeyPatch, store: Store, times: int, *part: int) -> list[bytes]:
    monkeypatch.setattr(_direct, "Connections", lambda authorities: store)
    direct = Direct(store, store)

    async def several() -> list[bytes]:
        return [bytes(await direct.read("a", *part)) for _ in range(times)]

    return asyncio.run(several())


def test_what_is_for_another_client_is_read_by_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(b"one", Unplain(), HTTPError(403, "", b""), b"two")
    assert reads(monkeypatch, store, 4) == [b"one", b"a None None", b"a None None", b"two"]
    assert store.asked == ["us", "us", "fsspec", "us", "fsspec", "us"]
    assert store.forgotten == 2
    assert reads(monkeypatch, Store(Unplain()), 1, 3, 9) == [b"a 3 9"]


def test_a_store_whose_answers_are_never_for_us_is_left_to_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(*[Unplain()] * 7, b"one", *[Unplain()] * 8)
    reads(monkeypatch, store, 20)
    assert store.asked[-6:] == ["us", "fsspec", *["fsspec"] * 4]
    assert (store.asked.count("us"), store.asked.count("fsspec")) == (16, 19)


def test_other_errors_are_those_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (HTTPError(404, "gone", b""), ConnectionResetError("cut")):
        store = Store(error)
        with pytest.raises(type(error)):
            reads(monkeypatch, store, 1)
        assert store.asked == ["us"]


@pytest.mark.parametrize(("files", "connections"), [(20_000, 256), (256, 128), (8, 16), (-1, 256)])
def test_connections_leave_room_for_other_files(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    assert _storage._most_connections() == connections
