"""A store that answers late: class folders behind pages of links, and as a bucket of S3.

It prints its port, and ends with its standard input. It checks nothing and has what it sends at hand, and so takes
little of the machine: 0.05 ms a request, most of it the system's.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape


def answer(files: dict[str, bytes], target: str) -> tuple[str, str, bytes]:
    """Status, type and body for what is asked for."""
    parts = urlsplit(target)
    query, path = parse_qs(parts.query), unquote(parts.path).removeprefix("/bucket").lstrip("/")
    if "list-type" in query:
        return "200 OK", "application/xml", _listed(files, query.get("prefix", [""])[0], "delimiter" in query)
    if path in files:
        return "200 OK", "image/jpeg", files[path]
    folder = f"{path.rstrip('/')}/" if path else ""
    below = sorted({_child(name, folder) for name in files if name.startswith(folder)})
    if not below:
        return "404 Not Found", "text/plain", b""
    return "200 OK", "text/html", "".join(f'<a href="{quote(name)}">{name}</a>\n' for name in below).encode()


def _child(name: str, folder: str) -> str:
    first, is_folder, _ = name.removeprefix(folder).partition("/")
    return f"{first}/" if is_folder else first


def _listed(files: dict[str, bytes], prefix: str, has_delimiter: bool) -> bytes:
    """All in one page, which a real store would not do."""
    names = sorted(name for name in files if name.startswith(prefix))
    folders = sorted({prefix + _child(name, prefix) for name in names}) if has_delimiter else []
    folders = [name for name in folders if name.endswith("/")]
    contents = "".join(
        f'<Contents><Key>{escape(name)}</Key><Size>{len(files[name])}</Size><ETag>"{name}"</ETag></Contents>'
        for name in names
        if not (has_delimiter and "/" in name.removeprefix(prefix))
    )
    common = "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders)
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>"
    return page.encode()


def written(status: str, kind: str, body: bytes) -> bytes:
    """An answer as it is sent."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, files: dict[str, bytes], ready: dict[bytes, bytes], latency_s: float) -> None:
        self._files, self._ready, self._latency_s = files, ready, latency_s
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, self._received = self._received.split(b"\r\n\r\n", 1)
            target = head.split(b" ", 2)[1]
            sent = self._ready.get(target) or written(*answer(self._files, target.decode()))
            asyncio.get_running_loop().call_later(self._latency_s, self._transport.write, sent)


async def serve(folder: Path, latency_s: float) -> None:
    """Until standard input ends."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    paths = [prefix + quote(name) for prefix in ("/", "/bucket/") for name in files]
    ready = {path.encode(): written(*answer(files, path)) for path in paths}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(files, ready, latency_s), "127.0.0.1", 0, backlog=1000)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
