"""Servers as one meets them behind a wrong or a malicious endpoint; each is an async context manager.

What they yield has `url`, `port`, `connections` (a failed TLS handshake does not count) and `requests`.
An exception in a responder, a failed assertion too, comes out where the server ends.
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal

from fakes.scripted import Answer, Request, Server, listening, read_head, scripted

HTML = b"<!doctype html><html><head><title>Welcome</title></head><body>It works!</body></html>"
_HTML_HEADERS = {"Content-Type": "text/html; charset=utf-8"}
_XML_HEADERS = {"Content-Type": "application/xml"}

Servers = AbstractAsyncContextManager[Server]


def as_storage(request: Request) -> Answer:
    """Answer as a storage service that lets everybody in: an ETag for a PUT, 204 for a DELETE."""
    if request.method == "PUT":
        return Answer(200, {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})
    return Answer(204)


def accepting(*, tls: ssl.SSLContext | None = None) -> Servers:
    """A storage service that checks nothing; with a bad certificate's context, one that can't be trusted."""
    return scripted(as_storage, tls=tls)


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the URL of a port where nobody listens, and nobody else can start to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


async def _forever() -> None:
    await asyncio.Event().wait()


def hanging(*, scheme: Literal["http", "https"] = "http") -> Servers:
    """Accepts, then neither reads nor writes; with `https` it hangs in the TLS handshake."""
    return listening(lambda _reader, _writer: _forever(), scheme=scheme)


def plain_at_tls_port() -> Servers:
    """Speaks plain HTTP where its URL promises TLS."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(Answer(400, _HTML_HEADERS, HTML).encode())
        await writer.drain()

    return listening(handle, scheme="https")


def answering(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Servers:
    """Answers everything the same; a recorded error of a vendor, for example."""
    return scripted(lambda _: Answer(status, headers or _XML_HEADERS, body))


def html(*, status: int = 200) -> Servers:
    """An ordinary web server: a page with 200 for everything, and no ETag."""
    return answering(status, _HTML_HEADERS, HTML)


def html_unread() -> Servers:
    """A page with 200, sent before the request's body, which is never read."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(Answer(200, _HTML_HEADERS, HTML).encode())
        await writer.drain()
        await _forever()

    return listening(handle)


def throttling(*, retry_after: str = "7", status: int = 503) -> Servers:
    """Asks to slow down, with `Retry-After` in seconds or as a date."""
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    return answering(status, _XML_HEADERS | {"Retry-After": retry_after}, body)


def skewed_clock(*, server_time: str = "2026-01-02T03:04:05Z") -> Servers:
    """Holds that our clock is wrong, and says what its own shows."""
    body = (
        "<Error><Code>RequestTimeTooSkewed</Code>"
        "<Message>The difference between the request time and the current time is too large.</Message>"
        f"<ServerTime>{server_time}</ServerTime>"
        "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds></Error>"
    )
    return answering(403, _XML_HEADERS, body.encode())


@dataclass(frozen=True)
class Redirecting:
    """A server that redirects, and the one it redirects to, whose `connections` must stay 0."""

    server: Server
    target: Server

    @property
    def url(self) -> str:
        """The URL of the server that redirects."""
        return self.server.url


@asynccontextmanager
async def redirecting(status: int = 307, *, location: str | None = None) -> AsyncIterator[Redirecting]:
    """Redirects everything, by default to the same path at a server that would accept it."""
    async with accepting() as target:

        def redirect(request: Request) -> Answer:
            return Answer(status, {"Location": location or target.url + request.path})

        async with scripted(redirect) as server:
            yield Redirecting(server, target)


def closing(*, after: Literal["accept", "request"]) -> Servers:
    """Closes the connection at once, or when it has read the request, with no answer."""
    if after == "request":
        return scripted(lambda _: Answer(raw=_nothing()))

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return listening(handle)


async def _nothing() -> AsyncGenerator[bytes, None]:
    yield b""


def dripping(*, interval: float = 0.05) -> Servers:
    """A good answer, a byte at a time and `interval` seconds between: each byte in time, the whole never."""
    return scripted(lambda request: Answer(raw=_drip(as_storage(request), interval)))


async def _drip(answer: Answer, interval: float) -> AsyncGenerator[bytes, None]:
    padded = Answer(200, {**answer.headers, "Content-Length": "1000000"}, b" " * 1_000_000)
    for byte in padded.encode():
        yield bytes([byte])
        await asyncio.sleep(interval)


def endless_body(*, status: int = 200) -> Servers:
    """An answer whose body does not end."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/xml\r\n\r\n".encode()
    return scripted(lambda _: Answer(raw=_endless(head, b"<Error>" * 4096)))


def endless_headers() -> Servers:
    """An answer whose headers do not end."""
    return scripted(lambda _: Answer(raw=_endless(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 512)))


async def _endless(head: bytes, chunk: bytes) -> AsyncGenerator[bytes, None]:
    yield head
    while True:
        yield chunk
        await asyncio.sleep(0)  # a fast reader must not starve its own loop


@asynccontextmanager
async def undeletable(how: Literal["refuses", "hangs", "forbids"]) -> AsyncIterator[Server]:
    """Takes every PUT, but not the DELETE: nobody listens any more, no answer comes, or it is a 403."""

    def respond(request: Request) -> Answer:
        if request.method == "PUT" and how == "refuses":
            server.stop_listening()
            return Answer(raw=_last(as_storage(request)))
        if request.method == "DELETE" and how == "hangs":
            return Answer(raw=_hang())
        if request.method == "DELETE":
            return Answer(403, _XML_HEADERS, b"<Error><Code>AccessDenied</Code></Error>")
        return as_storage(request)

    async with scripted(respond) as server:
        yield server


async def _last(answer: Answer) -> AsyncGenerator[bytes, None]:
    closing = Answer(answer.status, {**answer.headers, "Connection": "close"}, answer.body)
    yield closing.encode()


async def _hang() -> AsyncGenerator[bytes, None]:
    await _forever()
    yield b""
