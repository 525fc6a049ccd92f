"""A small HTTP server that answers what a test tells it to, and remembers what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from canary_watch import look_at_message

_TURNS: Final = 10
"""Of the event loop: more than asyncio needs from a connection that waits to be accepted to the call of its handler."""


@dataclass(frozen=True)
class Request:
    """What a client sent; `path` is as on the wire, query included, and header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer. With `raw`, exactly its bytes are sent and the connection is closed when they end."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: AsyncGenerator[bytes, None] | None = None

    def encode(self) -> bytes:
        """Return the answer as on the wire, with its Content-Length."""
        named = {name.lower() for name in self.headers}
        headers = dict(self.headers)
        if "content-length" not in named and self.status not in (204, 304):
            headers["Content-Length"] = str(len(self.body))
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}", *(f"{n}: {v}" for n, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


Responder = Callable[[Request], Answer]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A listening server: how many connections it took, and the requests that were read from them."""

    url: str
    port: int
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    listener: asyncio.Server | None = field(default=None, repr=False)

    def stop_listening(self) -> None:
        """Refuse new connections; those that are open stay."""
        assert self.listener is not None
        self.listener.close()


@asynccontextmanager
async def listening(
    handle: Handler, *, tls: ssl.SSLContext | None = None, scheme: str | None = None
) -> AsyncIterator[Server]:
    """Run `handle` for every connection. `scheme` is what the URL claims, by default what is spoken."""
    server = Server("", 0)
    tasks: list[asyncio.Task[None]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        tasks.append(asyncio.create_task(_handle(handle, reader, writer)))

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.listener = listener
    server.port = listener.sockets[0].getsockname()[1]
    server.url = f"{scheme or ('https' if tls else 'http')}://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        await _all_connected()
        listener.close()
        await _end(tasks)


async def _all_connected() -> None:
    """Let those in whom the system has accepted: nobody would close their connections if the listener went before them."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _handle(handle: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        # A client that goes away in the middle is what many of these servers are for.
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await handle(reader, writer)
            writer.close()
            await writer.wait_closed()
    finally:
        writer.transport.abort()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn of the loop
    for result in results:
        if isinstance(result, Exception):
            raise result


@asynccontextmanager
async def scripted(
    responder: Responder, *, tls: ssl.SSLContext | None = None, scheme: str | None = None
) -> AsyncIterator[Server]:
    """Answer every request with what `responder` returns for it; connections are kept alive."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_request(reader, writer):
            server.requests.append(request)
            answer = responder(request)
            if answer.raw is not None:
                await _send_raw(answer.raw, writer)
                return
            writer.write(answer.encode())
            await writer.drain()

    async with listening(converse, tls=tls, scheme=scheme) as server:
        yield server


async def _send_raw(chunks: AsyncGenerator[bytes, None], writer: asyncio.StreamWriter) -> None:
    async with aclosing(chunks):
        async for chunk in chunks:
            writer.write(chunk)
            await writer.drain()


async def read_head(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request without its body, or None if the client has closed the connection."""
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(maxsplit=2)
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(method, path, headers, b"")


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Return the next request with its body, or None if the client has closed the connection."""
    head = await read_head(reader)
    if head is None:
        return None
    if head.headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunked(reader)
    else:
        body = await reader.readexactly(int(head.headers.get("content-length", "0")))
    if "webhook-id" in head.headers:
        look_at_message(head.headers, body)
    return Request(head.method, head.path, head.headers, body)


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body
