"""Small content goes out with its headers, in one piece; a request with anything special about it goes as aiohttp sends it."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from consignee.egress import AllowRule, Policy, open_session
from consignee.prompt import MOST
from fakes import hostile
from fakes.scripted import Answer, Server, listening

POLICY = Policy(allow=(AllowRule.parse("127.0.0.1/32:*"),), allow_http=True)


@asynccontextmanager
async def put(server: Server, content: bytes | None, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    """Yield the answer to one PUT."""
    async with (
        open_session(POLICY) as session,
        session.put(server.url, data=content, allow_redirects=False, **options) as answer,
    ):
        yield answer


async def test_small_content_comes_with_its_headers() -> None:
    pieces: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces.append(await reader.read(1 << 20))
        writer.write(Answer(201).encode())

    async with listening(handle) as server, put(server, b"x" * 1024) as answer:
        assert answer.status == 201
    assert pieces[0].endswith(b"\r\n\r\n" + b"x" * 1024)


@pytest.mark.parametrize("size", [0, 1, MOST - 1, MOST, MOST + 1, 10 * MOST])
async def test_content_of_any_size_arrives_whole(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    async with hostile.accepting() as server, put(server, content) as answer:
        assert answer.status == 200
    assert [request.body for request in server.requests] == [content]


async def test_a_connection_that_ended_meanwhile_is_replaced() -> None:
    """The first one is dropped with its second request, which has not been answered: it is sent again on another."""
    seen: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(0)
        while await reader.read(1 << 20):
            seen[-1] += 1
            if seen == [2]:
                writer.close()
                return
            writer.write(Answer(201).encode())

    async with listening(handle) as server, open_session(POLICY) as session:
        for _ in range(2):
            async with session.put(server.url, data=b"content", allow_redirects=False) as answer:
                assert answer.status == 201
    assert seen == [2, 1]


async def test_content_that_the_server_wants_to_be_asked_for_is_held_back() -> None:
    pieces: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"HTTP/1.1 100 Continue\r\n\r\n", Answer(201).encode()):
            pieces.append(await reader.read(1 << 20))
            writer.write(answer)

    async with listening(handle) as server, put(server, b"content", expect100=True) as answer:
        assert answer.status == 201
    assert pieces[0].endswith(b"\r\n\r\n")
    assert pieces[1] == b"content"


async def test_content_that_is_to_be_compressed_is() -> None:
    pieces: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not b"".join(pieces).endswith(b"0\r\n\r\n"):
            pieces.append(await reader.read(1 << 20))
        writer.write(Answer(201).encode())

    async with listening(handle) as server, put(server, b"x" * 1000, compress="deflate") as answer:
        assert answer.status == 201
    assert zlib.decompress(_joined(b"".join(pieces).partition(b"\r\n\r\n")[2])) == b"x" * 1000


def _joined(chunks: bytes) -> bytes:
    size, _, rest = chunks.partition(b"\r\n")
    length = int(size, 16)
    return rest[:length] + _joined(rest[length + 2 :]) if length else b""
