"""What the tests of the client send, and servers that stand in its way."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from consignee.client import Client, Destination, Retries
from fakes.scripted import Answer, Server, listening

FIELDS: Mapping[str, object] = {
    "name": "Mine",
    "enabled": True,
    "type": "memory",
    "memory_secret": "memory-secret",
    "memory_bucket_name": "bucket",
}


async def created(client: Client, **fields: object) -> Destination:
    """Create a destination in memory."""
    return await client.destinations.create({**FIELDS, **fields})


def told(content: Mapping[str, Any] | None = None, *, status: int = 200, wait: str = "") -> Answer:
    """Return an answer of the service: a success with that content, or a refusal that asks to wait."""
    info = {"success": True} if status == 200 else {"success": False, "code": "unavailable", "message": "Not now."}
    body = json.dumps({"request_info": info, **(content or {})}).encode()
    return Answer(status, {"Content-Type": "application/json", **({"Retry-After": wait} if wait else {})}, body)


def hasty(**changed: Any) -> tuple[Retries, list[float]]:
    """Return retries that wait no time, and the waits that there would have been."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return Retries(**{"sleep": sleep, "random": lambda: 1.0, **changed}), waits


@asynccontextmanager
async def breaking(url: str, *, times: int, after: int = 0) -> AsyncIterator[Server]:
    """Relay to the service at `url`; so many connections are cut off when so many bytes of an answer have come through."""
    left, place = times, urlsplit(url)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        up_reader, up_writer = await asyncio.open_connection(place.hostname, place.port)
        forth = asyncio.create_task(_pump(reader, up_writer))
        through = 0
        try:
            while chunk := await up_reader.read(65536):
                if left and through + len(chunk) > after:
                    left -= 1
                    writer.write(chunk[: after - through])
                    await writer.drain()
                    return
                through += len(chunk)
                writer.write(chunk)
                await writer.drain()
        finally:
            forth.cancel()
            await asyncio.gather(forth, return_exceptions=True)
            up_writer.transport.abort()

    async with listening(relay) as server:
        yield server


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
