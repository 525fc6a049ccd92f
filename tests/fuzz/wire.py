"""Bytes to the service and back, and what its answers must be whatever was sent."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .mutations import Connection
from .target import CANARIES

STATUSES: Final = {200, 206, 400, 401, 404, 408, 409, 413, 415, 416, 422, 429}
QUIET: Final = 0.25
"""Seconds after which a client that hears nothing more goes away."""
_PAUSE: Final = 0.002


@dataclass(frozen=True)
class Answer:
    """One answer; `body` is None if it has not wholly arrived."""

    status: int
    headers: dict[str, str]
    body: bytes | None


async def exchange(port: int, connection: Connection, *, quiet: float = QUIET) -> bytes:
    """Send all of it, and return all that comes until the service closes or is quiet for so many seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()
    receiving = asyncio.create_task(_receive(reader, received))
    with contextlib.suppress(ConnectionError):
        for piece in connection.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(_PAUSE)
    await _until_quiet(receiving, received, quiet)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return bytes(received)


async def _receive(reader: asyncio.StreamReader, received: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            received += chunk


async def _until_quiet(receiving: asyncio.Task[None], received: bytearray, quiet: float) -> None:
    before = -1
    while not receiving.done() and len(received) > before:
        before = len(received)
        await asyncio.wait([receiving], timeout=quiet)
    receiving.cancel()
    await asyncio.wait([receiving])


def answers(received: bytes) -> Iterator[Answer]:
    """Yield the answers, but for one whose head has not wholly arrived; raises AssertionError for what is none."""
    rest = received
    while b"\r\n\r\n" in rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), head
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        assert len(headers) == len(lines), f"a header is there twice: {head!r}"
        body, rest = (b"", rest) if status == "100" else _body(headers, rest)
        yield Answer(int(status), headers, body)
    assert rest in (b"", b"\r\n") or received.startswith(b"HTTP/1."), rest


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes | None, bytes]:
    """The body, and what is behind it."""
    if headers.get("transfer-encoding") == "chunked":
        return _joined(rest)
    if "content-length" not in headers:
        return rest, b""
    # Only HEAD is answered without the body that the headers tell of.
    if not rest or rest.startswith(b"HTTP/1."):
        return None, rest
    length = int(headers["content-length"])
    return (rest[:length], rest[length:]) if len(rest) >= length else (None, b"")


def _joined(rest: bytes) -> tuple[bytes | None, bytes]:
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, after, rest = body + rest[:length], rest[length : length + 2], rest[length + 2 :]
        if after != b"\r\n":
            break
        if length == 0:
            return body, rest
    return None, b""


def require_ours(found: Iterable[Answer]) -> None:
    """Raise AssertionError for an answer that no client may get, whatever it sent."""
    for answer in found:
        if answer.status == 100:
            continue
        assert answer.status in STATUSES, answer
        assert answer.headers["x-trace-id"] and answer.headers["cache-control"] == "no-store", answer
        body = answer.body or b""
        assert not [one for one in ("Traceback", *CANARIES) if one.encode() in body], answer
        if answer.headers["content-type"].startswith("application/json") and body:
            info = json.loads(body)["request_info"]
            assert info["success"] is (answer.status < 400), answer
            assert info["success"] or (info["code"] and info["message"]), answer
