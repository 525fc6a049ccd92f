"""The limit for anything on asyncio: TCP, TLS, and two requests that are nothing but bytes; a pool that is a list."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from connectivity import CONTENT, Test, measure

REQUEST = "{} /bucket/bare-{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(connection: Connection, request: str, content: bytes = b"") -> None:
    """Send a request and read its answer."""
    reader, writer = connection
    writer.write(request.encode() + content)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 201", b"HTTP/1.1 204")):
        raise RuntimeError(head)
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)


async def main(url: str, ca_file: str, round_trip_ms: float) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    place = urlsplit(url)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Test]:
        free: list[Connection] = []

        async def test(number: int) -> None:
            if free:
                connection = free.pop()
            else:
                connection = await asyncio.open_connection(place.hostname, place.port, ssl=context)
            await ask(connection, REQUEST.format("PUT", number, place.netloc, len(CONTENT)), CONTENT)
            await ask(connection, REQUEST.format("DELETE", number, place.netloc, 0))
            free.append(connection)

        yield test
        for _, writer in free:
            writer.close()

    await measure(opened, round_trip_ms)


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
