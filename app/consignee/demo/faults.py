"""A storage that has a bad day: stands before a server, and passes on what comes, refuses it, or lets it hang."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import unquote, urlsplit

_REFUSAL: Final = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_HEAD: Final = (
    "HTTP/1.1 503 Service Unavailable",
    "Content-Type: application/xml",
    f"Content-Length: {len(_REFUSAL)}",
    "Connection: close",
)


class Faults:
    """What becomes of requests. `passed` counts those passed on, by method and path; `hanging` is set once one hangs."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = parts.hostname, parts.port
        self._refuses = False
        self._passes: int | None = None
        self.url = ""
        self.passed: Counter[str] = Counter()
        self.hanging = asyncio.Event()

    def refuse(self) -> None:
        """From now on, answer 503 to everything."""
        self._refuses = True

    def hang(self, *, after: int) -> None:
        """From now on, pass on so many requests, and leave every other without an answer."""
        self._refuses, self._passes = False, after

    def heal(self) -> None:
        """From now on, pass on everything."""
        self._refuses, self._passes = False, None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request."""
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._judge(await reader.readuntil(b"\r\n\r\n"), reader, writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _judge(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.write("\r\n".join([*_HEAD, "", ""]).encode() + _REFUSAL)
            await _read_all(reader)
        elif self._passes == 0:
            self.hanging.set()
            await _read_all(reader)
        else:
            self._passes = None if self._passes is None else self._passes - 1
            await self._pass_on(head, reader, writer)

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target = head.decode("latin-1").split(" ", 2)[:2]
        self.passed[f"{method} {unquote(target.partition('?')[0])}"] += 1
        behind, ahead = await asyncio.open_connection(*self._upstream)
        both = [asyncio.create_task(_forward(reader, ahead, head)), asyncio.create_task(_forward(behind, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ahead.transport.abort()
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = b"") -> None:
    """Pass on a message, and that the connection is for this request alone: the next would be past our judgement."""
    head = head or await reader.readuntil(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith(b"connection:")]
    writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


async def _read_all(reader: asyncio.StreamReader) -> None:
    """Take in a body as a busy server does, until the client closes."""
    while await reader.read(65536):
        pass


@asynccontextmanager
async def running_faults(upstream: str) -> AsyncIterator[Faults]:
    """Run it before the server at that URL."""
    faults = Faults(upstream)
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(faults.handle(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    faults.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield faults
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is gone in the next turn of the loop
