"""Files by libcurl: what servers answer, how they end, and how we do."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from http_server import BODY, Server, answer
from penstock.sources import _transfers
from penstock.sources._curl import pycurl
from penstock.sources._curl_request import Answer, Request
from penstock.sources._remote_errors import Unserved
from penstock.sources._transfers import Transfers

PATIENCE_S = 30.0


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def begin(*script: list[list[bytes] | None], **options: Any) -> Server:
        servers.append(Server(*script, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def transfers() -> Iterator[Transfers]:
    made = Transfers(4)
    yield made
    made.close()
    assert not made._thread.is_alive()


def asked(
    transfers: Transfers, *urls: str, part: Any = None, timeout_s: float = PATIENCE_S, **options: Any
) -> Future[list[Any]]:
    by_number = {getattr(pycurl, name): value for name, value in options.items()}
    return transfers.get([Request(url, part, by_number) for url in urls], timeout_s)


def got(transfers: Transfers, *urls: str, **more: Any) -> list[Any]:
    """Bodies of right answers, and what else came."""
    found = asked(transfers, *urls, **more).result(PATIENCE_S)
    return [
        each.body.tobytes() if isinstance(each, Answer) and each.status == 200 and each.body is not None else each
        for each in found
    ]


def test_a_connection_serves_request_after_request(transfers: Transfers, serve: Callable[..., Server]) -> None:
    server = serve([[answer()], [answer(b"")], [answer(b"three")]])
    assert [got(transfers, server.url) for _ in range(3)] == [[BODY], [b""], [b"three"]]
    assert len(server.heads) == 1


def test_an_answer_may_come_in_any_form(transfers: Transfers, serve: Callable[..., Server]) -> None:
    whole = answer()
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    until_its_end = b"HTTP/1.0 200 OK\r\n\r\nhello"
    server = serve([[whole[:9], whole[9:60], whole[60:]], [chunks], [until_its_end], None])
    assert [got(transfers, server.url) for _ in range(3)] == [[BODY], [b"hello"], [b"hello"]]


def test_a_connection_that_ended_while_it_was_idle_is_made_anew(
    transfers: Transfers, serve: Callable[..., Server]
) -> None:
    server = serve([[answer()], None], [[answer()]])
    assert got(transfers, server.url) == [BODY]
    assert server.ended.acquire(timeout=PATIENCE_S)
    assert got(transfers, server.url) == [BODY]


@pytest.mark.parametrize("cut", [3, 30, 1000])
def test_an_answer_that_is_cut_short_is_an_error(transfers: Transfers, serve: Callable[..., Server], cut: int) -> None:
    (error,) = got(transfers, serve([[answer()[:cut]], None]).url)
    assert isinstance(error, ConnectionError)


def test_what_servers_say_comes_with_its_number(transfers: Transfers, serve: Callable[..., Server]) -> None:
    server = serve([[answer(b"gone", "404 Not Found")], [answer(b"", "503 Slow Down")], [answer()]])
    assert got(transfers, server.url) == [Answer(404, memoryview(b"gone"))]
    assert got(transfers, server.url) == [Answer(503, memoryview(b""))]
    assert got(transfers, server.url) == [BODY]
    assert len(server.heads) == 1


@pytest.mark.parametrize("end", ["Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Connection: close\r\n\r\n"])
def test_an_error_may_come_without_a_length(transfers: Transfers, serve: Callable[..., Server], end: str) -> None:
    server = serve([[f"HTTP/1.1 404 Not Found\r\n{end}".encode()], None])
    assert got(transfers, server.url) == [Answer(404, memoryview(b""))]


def test_a_part_is_asked_for_as_a_range(transfers: Transfers, serve: Callable[..., Server]) -> None:
    server = serve([[answer(b"12345", "206 Partial Content")]])
    assert got(transfers, server.url, part=(10, 15)) == [Answer(206, memoryview(b"12345"))]
    assert "\r\nRange: bytes=10-14\r\n" in server.heads[0][0]


def test_of_a_part_no_more_than_it_is_taken(transfers: Transfers, serve: Callable[..., Server]) -> None:
    for status in ("200 OK", "404 Not Found"):
        server = serve([[answer(b"123456", status)]])
        assert got(transfers, server.url, part=(0, 5)) == [Answer(int(status[:3]), None)]
    without_an_end = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 10
    assert got(transfers, serve([[without_an_end]]).url, part=(0, 7)) == [Answer(200, None)]


def test_redirects_are_followed_where_they_may_be(transfers: Transfers, serve: Callable[..., Server]) -> None:
    there = serve([[answer()]])
    moved = answer(b"", "302 Found", f"Location: {there.url}\r\n")
    assert got(transfers, serve([[moved]]).url, FOLLOWLOCATION=1) == [BODY]
    assert got(transfers, serve([[moved]]).url) == [Answer(302, memoryview(b""))]
    in_a_circle = serve([[answer(b"", "302 Found", "Location: /a\r\n")]] * 3)
    (error,) = got(transfers, in_a_circle.url, FOLLOWLOCATION=1, MAXREDIRS=2)
    assert isinstance(error, Unserved)


@pytest.mark.parametrize("place", ["file:///etc/hosts", "ftp://127.0.0.1/a"])
def test_a_server_sends_us_nowhere_but_to_the_web(
    transfers: Transfers, serve: Callable[..., Server], place: str
) -> None:
    moved = answer(b"", "302 Found", f"Location: {place}\r\n")
    for url in (serve([[moved]]).url, place):
        (error,) = got(transfers, url, FOLLOWLOCATION=1)
        assert isinstance(error, Unserved)


def test_nobody_there_is_an_error_in_words(transfers: Transfers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (error,) = got(transfers, f"http://127.0.0.1:{port}/a")
    assert isinstance(error, ConnectionError)
    assert "127.0.0.1" in str(error)


def test_an_address_that_is_none_is_for_another_client(transfers: Transfers) -> None:
    (error,) = got(transfers, "nothing://that/is/known")
    assert isinstance(error, Unserved)


def test_who_never_answers_is_given_up(transfers: Transfers, serve: Callable[..., Server]) -> None:
    server = serve([[]], [[answer()]])
    (error,) = got(transfers, server.url, timeout_s=0.05)
    assert isinstance(error, TimeoutError)
    assert server.ended.acquire(timeout=PATIENCE_S), "the connection is over"
    assert got(transfers, server.url) == [BODY]


def test_no_more_are_under_way_than_agreed_and_answers_keep_their_order(
    transfers: Transfers, serve: Callable[..., Server]
) -> None:
    servers = [serve([[answer(bytes([number]))]]) for number in range(12)]
    assert got(transfers, *(server.url for server in servers)) == [bytes([number]) for number in range(12)]
    silent = [serve([[]]) for _ in range(4)]
    waiting = asked(transfers, *(server.url for server in silent))
    late = serve([[answer()]])
    behind = asked(transfers, late.url)
    for server in silent:
        assert server.asked.acquire(timeout=PATIENCE_S)
    assert not late.heads
    waiting.cancel()
    assert behind.result(PATIENCE_S)[0].status == 200


def test_who_waits_for_a_turn_waits_no_longer_than_agreed(serve: Callable[..., Server]) -> None:
    transfers = Transfers(1)
    silent, late = serve([[]]), serve([[answer()]])
    before = asked(transfers, silent.url)
    assert silent.asked.acquire(timeout=PATIENCE_S)
    behind = transfers.get([Request(late.url, None, {})] * 2, PATIENCE_S, time.monotonic())
    before.cancel()
    assert [type(each) for each in behind.result(PATIENCE_S)] == [TimeoutError, TimeoutError]
    hurried = transfers.get([Request(serve([[]]).url, None, {})], PATIENCE_S, time.monotonic() + 0.2)
    assert [type(each) for each in hurried.result(PATIENCE_S)] == [TimeoutError]
    assert not late.heads
    transfers.close()


def test_a_value_that_is_none_harms_no_other_request(transfers: Transfers, serve: Callable[..., Server]) -> None:
    server = serve([[answer()]])
    other = Request(server.url, None, {pycurl.PASSWORD: "geheim-ä"})
    odd, plain = transfers.get([other, Request(server.url, None, {})], PATIENCE_S).result(PATIENCE_S)
    assert isinstance(odd, Unserved)
    assert "geheim" not in repr(odd) + repr(other)
    assert isinstance(plain, Answer)


def test_who_waits_does_not_wait_for_names_that_are_looked_up(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    class Slow(pycurl.CurlMulti):  # type: ignore[misc]
        def close(self) -> None:
            gate.wait(PATIENCE_S)
            super().close()

    monkeypatch.setattr(pycurl, "CurlMulti", Slow)
    monkeypatch.setattr(_transfers, "_PATIENCE_S", 0.01)
    transfers = Transfers(1)
    waiting = asked(transfers, serve([[]]).url)
    transfers.close()
    assert [type(each) for each in waiting.result(PATIENCE_S)] == [Unserved]
    assert transfers._thread.is_alive()
    gate.set()
    transfers._thread.join(PATIENCE_S)
    assert not transfers._thread.is_alive()


def test_what_is_cancelled_ends_its_connection(transfers: Transfers, serve: Callable[..., Server]) -> None:
    server = serve([[]], [[answer()]])
    future = asked(transfers, server.url)
    assert server.asked.acquire(timeout=PATIENCE_S)
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)
    assert got(transfers, server.url) == [BODY]
    assert server.ended.acquire(timeout=PATIENCE_S)


def test_the_end_reaches_who_waits_and_who_comes_later(serve: Callable[..., Server]) -> None:
    transfers = Transfers(1)
    server = serve([[]])
    waiting = asked(transfers, server.url, server.url)
    transfers.close()
    transfers.close()
    assert [type(each) for each in waiting.result(PATIENCE_S)] == [Unserved, Unserved]
    assert [type(each) for each in got(transfers, server.url)] == [Unserved]
    assert got(transfers) == []
    assert not transfers._thread.is_alive()


def test_what_goes_wrong_in_the_thread_reaches_who_waits(
    transfers: Transfers, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transfers, "_finish", lambda self: 1 // 0)
    found = got(transfers, serve([[answer()]]).url, "http://127.0.0.1:1/")
    assert [type(each) for each in found] == [Unserved, Unserved]
    assert "ZeroDivisionError" in str(found[0])


def test_any_number_of_threads_may_ask(transfers: Transfers, serve: Callable[..., Server]) -> None:
    servers = [serve(*[[[answer(bytes([number]))]] * 5] * 5) for number in range(6)]  # of which not all are kept
    found: dict[int, list[Any]] = {}

    def ask(number: int) -> None:
        found[number] = [got(transfers, servers[number].url) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == {number: [[bytes([number])]] * 5 for number in range(6)}


def certificate(folder: Path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *private)
    )
    return path


def test_certificates_are_looked_at(transfers: Transfers, serve: Callable[..., Server], tmp_path: Path) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = serve([], [[answer()]], context=context)
    (error,) = got(transfers, server.url)
    assert isinstance(error, Unserved)
    assert got(transfers, server.url, CAINFO=str(path)) == [BODY]
