"""Files by plain HTTP: what servers answer, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from penstock.sources._http import Connections
from penstock.sources._http_connection import HTTPError, Request, Site, Unplain

T = TypeVar("T")
BODY = bytes(range(256)) * 300


class Server:
    """Answers as it is told to.

    Attributes:
        script: for each connection its answers, in pieces; an answer of None ends the connection.
        heads: what was asked, by connection.
        begun, asked, idle: let one more pass for each connection that is made, that has asked, and that has ended.
    """

    def __init__(self, *script: list[list[bytes] | None], context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.script, self.context, self.heads = list(script), context, list[list[str]]()
        self.site = Site("127.0.0.1", self._listener.getsockname()[1], context is not None)
        self.begun, self.asked, self.idle = (threading.Semaphore(0) for _ in range(3))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self.script:
            try:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
            except OSError:
                return
            with connection, connection.makefile("rb") as asked:
                self.heads.append([])
                self.begun.release()
                for answer in answers:
                    if answer is None:
                        break
                    head = b""
                    while not head.endswith(b"\r\n\r\n") and (line := asked.readline()):
                        head += line
                    self.heads[-1].append(head.decode())
                    self.asked.release()
                    for piece in answer:
                        connection.sendall(piece)
            self.idle.release()

    def close(self) -> None:
        while self._thread.is_alive():  # waits for connections that nobody has made
            with contextlib.suppress(OSError):
                socket.create_connection(self.site[:2]).close()
            self._thread.join(0.1)
        self._listener.close()


def plain(body: bytes = BODY, status: str = "200 OK", more: str = "", version: str = "HTTP/1.1") -> bytes:
    return f"{version} {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def begin(*script: list[list[bytes] | None], **options: Any) -> Server:
        servers.append(Server(*script, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


def within(
    task: Callable[[Connections], Coroutine[Any, Any, T]], authorities: str | None = None, seconds: float = 30
) -> T:
    async def run() -> T:
        connections = Connections(authorities)
        try:
            return await asyncio.wait_for(task(connections), seconds)
        finally:
            connections.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


def asking(server: Server, times: int = 1, size: int | None = None) -> list[bytes]:
    async def several(connections: Connections) -> list[bytes]:
        request = Request(server.site, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", size)
        return [bytes(await connections.get(request)) for _ in range(times)]

    return within(several)


def test_a_connection_serves_request_after_request(serve: Callable[..., Server]) -> None:
    server = serve([[plain()], [plain(b"")], [plain(b"three")]])
    assert asking(server, 3) == [BODY, b"", b"three"]
    assert [len(heads) for heads in server.heads] == [3]


def test_an_answer_may_come_in_any_pieces(serve: Callable[..., Server]) -> None:
    whole = plain(more="X: y\r\n")
    head = whole.index(b"\r\n\r\n")
    cuts = [0, 3, head + 1, head + 3, head + 4, head + 5, len(whole)]
    server = serve([[whole[i:j] for i, j in pairwise(cuts)], [whole]])
    assert asking(server, 2) == [BODY, BODY]


def test_a_connection_that_ended_while_it_was_idle_is_made_anew(serve: Callable[..., Server]) -> None:
    server = serve([[plain(b"one")], None], [[plain(b"two")]])

    async def both(connections: Connections) -> list[bytes]:
        request = Request(server.site, b"GET /a HTTP/1.1\r\n\r\n")
        first = bytes(await connections.get(request))
        server.idle.acquire()  # it has ended, and nobody here has looked yet
        return [first, bytes(await connections.get(request))]

    assert within(both) == [b"one", b"two"]


@pytest.mark.parametrize("how", ["version", "header"])
def test_a_server_may_end_each_connection(serve: Callable[..., Server], how: str) -> None:
    answer = plain(version="HTTP/1.0") if how == "version" else plain(more="Connection: Close\r\n")
    server = serve([[answer]], [[answer]])
    assert asking(server, 2) == [BODY, BODY]


@pytest.mark.parametrize("cut", [1, 30, 1000])
def test_an_answer_that_is_cut_short_is_an_error(serve: Callable[..., Server], cut: int) -> None:
    with pytest.raises(ConnectionError, match=r"the server ended the connection|reset"):
        asking(serve([[plain()[:cut]], None]))


def test_what_is_refused_leaves_the_connection(serve: Callable[..., Server]) -> None:
    server = serve([[plain(b"<Code>SlowDown</Code>", "503 Slow Down")], [plain(b"", "404 Not Found")], [plain()]])

    async def ask(connections: Connections) -> bytes:
        request = Request(server.site, b"GET /a HTTP/1.1\r\n\r\n")
        for status, body in ((503, b"<Code>SlowDown</Code>"), (404, b"")):
            with pytest.raises(HTTPError, match=f"HTTP {status}") as caught:
                await connections.get(request)
            assert (caught.value.status, caught.value.body) == (status, body)
        return bytes(await connections.get(request))

    assert within(ask) == BODY
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ([b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r", b"\n0\r\n\r\n"], b"abcde"),
        ([b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], b""),
        ([b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc", None], b"abc"),
        ([b"\r\nto the end", None], b"to the end"),
        ([b"Content-Length: 9999999\r\n\r\n", b"x" * 70_000], b"x" * 65536),
    ],
)
def test_words_of_an_error_are_read_however_they_come(
    serve: Callable[..., Server], answer: list[bytes | None], body: bytes
) -> None:
    pieces = [piece for piece in answer if piece is not None]
    script = [[b"HTTP/1.1 500 Internal\r\n", *pieces], *([None] if None in answer else [])]
    with pytest.raises(HTTPError) as caught:
        asking(serve(script))
    assert caught.value.body == body


@pytest.mark.parametrize(
    "answer",
    [
        plain(b"", "302 Found", "Location: /b\r\n"),
        plain(b"", "204 No Content"),
        plain(b"", "100 Continue"),
        plain(b"12", "206 Partial Content"),
        plain(b"", "401 Unauthorized"),
        plain(more="Content-Encoding: gzip\r\n"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nthree",
        b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nab",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
    ],
)
def test_what_is_for_another_client_is_told(serve: Callable[..., Server], answer: bytes) -> None:
    server = serve([[answer]])
    with pytest.raises(Unplain):
        asking(server)


def test_of_a_part_no_more_than_it_is_taken(serve: Callable[..., Server]) -> None:
    assert asking(serve([[plain(b"1234", "206 Partial Content")]]), size=4) == [b"1234"]
    assert asking(serve([[plain(b"123")]]), size=4) == [b"123"], "of a file that is no longer"
    with pytest.raises(Unplain):
        asking(serve([[plain(b"12345")]]), size=4)


def test_bytes_that_nobody_asked_for_end_a_connection(serve: Callable[..., Server]) -> None:
    server = serve([[plain(b"one")], [plain(b"two"), b"and more"]], [[plain(b"three")]])

    async def ask(connections: Connections) -> list[bytes]:
        request, found = Request(server.site, b"GET /a HTTP/1.1\r\n\r\n"), []
        while len(found) < 3:
            try:
                found.append(bytes(await connections.get(request)))
            except Unplain:  # they came with the answer
                found.append(b"two")
            if len(found) == 2:
                server.idle.acquire()
                for _ in range(3):  # turns of the loop, which sees them
                    await asyncio.sleep(0)
        return found

    assert within(ask) == [b"one", b"two", b"three"]


def test_nobody_there_is_an_error_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match=f"no connection to 127.0.0.1:{port}"):
        within(lambda connections: connections.get(Request(Site("127.0.0.1", port, False), b"")))


def test_hosts_are_looked_up_once_and_each_of_their_addresses_is_used(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(*[[[plain(more="Connection: close\r\n")]]] * 3)
    lookups = []

    async def ask(connections: Connections) -> None:
        loop = asyncio.get_running_loop()
        kept = loop.getaddrinfo

        async def getaddrinfo(host: str, port: int, **more: Any) -> Any:
            if host != "many.example":
                return await kept(host, port, **more)
            lookups.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        site = Site("many.example", server.site.port, False)
        found = [await connections.get(Request(site, b"GET /a HTTP/1.1\r\n\r\n")) for _ in range(3)]
        assert [bytes(body) for body in found] == [BODY] * 3

    addresses = ["127.0.0.1", "127.0.0.2"]  # nobody listens at the second
    within(ask)
    assert lookups == ["many.example"]
    monkeypatch.undo()


def test_who_is_interrupted_leaves_no_connection(serve: Callable[..., Server]) -> None:
    server = serve([[]], [[plain()]])

    async def ask(connections: Connections) -> bytes:
        request = Request(server.site, b"GET /a HTTP/1.1\r\n\r\n")
        waiting = asyncio.ensure_future(connections.get(Request(server.site, b"half a ques")))
        await asyncio.to_thread(server.begun.acquire, timeout=30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return bytes(await connections.get(request))

    assert within(ask) == BODY


def test_the_end_of_all_connections_reaches_who_waits(serve: Callable[..., Server]) -> None:
    server = serve([[], [plain()]])

    async def ask(connections: Connections) -> None:
        waiting = asyncio.ensure_future(connections.get(Request(server.site, b"GET /a HTTP/1.1\r\n\r\n")))
        await asyncio.to_thread(server.asked.acquire, timeout=30)
        connections.close()
        with pytest.raises(ConnectionError):
            await waiting

    within(ask)


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


def test_certificates_are_looked_at(serve: Callable[..., Server], tmp_path: Path) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = serve([[plain()]], [], context=context)

    async def ask(connections: Connections) -> bytes:
        return bytes(await connections.get(Request(server.site, b"GET /a HTTP/1.1\r\n\r\n")))

    assert within(ask, authorities=str(path)) == BODY
    with pytest.raises(Unplain, match="not trusted"):
        within(ask)
