"""When libcurl is asked, when again, and when fsspec is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import Future
from typing import Any

import fsspec
import pytest

from penstock.sources import _direct, _file_system
from penstock.sources._curl_request import Answer, Request
from penstock.sources._direct import Direct
from penstock.sources._remote_errors import HTTPError, Unserved


class Store:
    """As what knows its requests, and as its transfers.

    Attributes:
        answers: for each path what comes, one after the other.
        asked: the paths of each call.
    """

    def __init__(self, **answers: list[Any]) -> None:
        self.answers, self.asked, self.forgotten = answers, list[str](), 0

    async def request(self, path: str, part: tuple[int, int] | None) -> Request:
        if isinstance(self.answers[path][0], Unserved | PermissionError):
            raise self.answers[path].pop(0)
        return Request(path, part, {})

    def told(self, status: int, body: bytes) -> HTTPError | Unserved:
        return Unserved() if status == 403 else HTTPError(status, body.decode())

    def forget(self, path: str) -> None:
        self.forgotten += 1

    def get(self, requests: list[Request], timeout_s: float, deadline: float) -> Future[list[Any]]:
        future = Future[list[Any]]()
        self.asked.append("".join(each.url for each in requests))
        future.set_result([self.answers[each.url].pop(0) for each in requests])
        return future

    def close(self) -> None:
        pass


def ok(body: bytes = b"it", status: int = 200) -> Answer:
    return Answer(status, memoryview(body))


def reads(monkeypatch: pytest.MonkeyPatch, store: Store, *calls: str, part: Any = None, wait_s: float = 0) -> list[Any]:
    monkeypatch.setattr(_direct, "Transfers", lambda most: store)
    monkeypatch.setattr(_direct, "wait_s", lambda turn, number: wait_s)
    direct = Direct(store, 3)

    async def each() -> list[Any]:
        return [await direct.read([(path, part) for path in paths], 9, time.monotonic() + 99) for paths in calls]

    found = asyncio.run(each())
    return [[bytes(one) if isinstance(one, memoryview) else type(one) for one in each] for each in found]


def test_answers_come_in_the_order_of_the_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(a=[ok(b"1")], b=[Unserved()], c=[Answer(404, memoryview(b"no"))], d=[ok(b"2")])
    assert reads(monkeypatch, store, "abcd") == [[b"1", Unserved, HTTPError, b"2"]]
    assert store.forgotten == 1


def test_what_may_pass_is_tried_again_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(
        a=[ConnectionResetError(), Answer(503, None), ok(b"1")], b=[ok(b"2")], c=[Answer(404, None)],
        d=[TimeoutError()] * 5, e=[Unserved()],
    )  # fmt: skip
    assert reads(monkeypatch, store, "abcde") == [[b"1", b"2", HTTPError, TimeoutError, Unserved]]
    assert store.asked == ["abcd", "ad", "ad", "d", "d"]


def test_nothing_is_tried_again_that_would_come_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads(monkeypatch, Store(a=[TimeoutError()]), "a", wait_s=100) == [[TimeoutError]]


def test_what_no_request_can_be_made_for_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(a=[PermissionError("no credentials")], b=[])
    assert reads(monkeypatch, store, "ab") == [[PermissionError, PermissionError]]
    assert store.asked == []


@pytest.mark.parametrize(
    ("answer", "part", "found"),
    [
        (ok(status=206), (3, 5), b"it"),
        (ok(status=200), (3, 5), Unserved),  # the first bytes, and not those
        (Answer(200, None), (3, 5), Unserved),
        (Answer(200, None), None, Unserved),
        (Answer(403, memoryview(b"")), None, Unserved),
        (Answer(416, None), (3, 5), HTTPError),
    ],
)
def test_more_than_was_asked_for_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, part: Any, found: Any
) -> None:
    assert reads(monkeypatch, Store(a=[answer]), "a", part=part) == [[found]]


def test_without_files_to_open_nobody_waits() -> None:
    resource = pytest.importorskip("resource")
    direct = Direct(Store(a=[ok(), ok()]), 3)

    async def read() -> Any:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            return await direct.read([("a", None)], 9, time.monotonic() + 99)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    (found,) = asyncio.run(asyncio.wait_for(read(), 30))
    assert isinstance(found, OSError)
    assert "ulimit -n" in str(found)


def test_what_is_closed_before_it_has_begun_stays_closed() -> None:
    threads = threading.active_count()
    direct = Direct(Store(a=[ok()]), 3)
    direct.close()
    found = asyncio.run(direct.read([("a", None)], 9, time.monotonic() + 99))
    assert [type(each) for each in found] == [Unserved]
    assert threading.active_count() == threads


def test_a_store_whose_answers_are_never_for_us_is_left_to_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(a=[Answer(403, None)] * 8, b=[ok()])
    reads(monkeypatch, store, *"aaaa", "b", *"aaaa", "a")
    assert len(store.asked) == 9
    store = Store(a=[Answer(403, None)] * 8)
    assert reads(monkeypatch, store, *"aaaaaaaaaa") == [[Unserved]] * 10
    assert len(store.asked) == 8


@pytest.mark.parametrize(("files", "connections"), [(20_000, 256), (256, 128), (8, 16), (-1, 256)])
def test_connections_leave_room_for_other_files(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    assert _file_system._most_connections() == connections


def test_without_pycurl_fsspec_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "penstock.sources._direct", None)
    assert _file_system._direct(fsspec.filesystem("http")) is None
