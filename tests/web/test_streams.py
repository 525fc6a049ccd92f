"""Answers that go out piece by piece, to clients that don't take them."""

import asyncio
import socket

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from consignee.providers import Provider
from consignee.settings import Settings
from consignee.web import create_app
from consignee.web.keys import DESTINATIONS, PATIENCE

from .conftest import Client, collected

SIZE = 16 * 1024 * 1024
SECONDS = 2.0
"""More than this process, in which are client and server, is ever held up."""
PAUSE = 0.02


async def large(client: Client) -> str:
    """Hand over a file of SIZE bytes, and return where it can be downloaded."""
    collection = await collected(client)
    assert client.app is not None
    dispatch = client.app[DESTINATIONS].dispatch
    await dispatch.deliver("ann", collection.rpartition("/")[2], [("a", bytes(SIZE))])
    return f"{collection}/results/1/files/a"


async def asked(client: Client, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a file on a connection of its own that takes little at once."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (client.host, client.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=16 * 1024)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {client.host}\r\nX-API-Key: key-a\r\nConnection: close\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer


async def all_of(reader: asyncio.StreamReader, *, pause: float = 0) -> int:
    """Return how many bytes still come, read with pauses."""
    count = 0
    try:
        while piece := await reader.read(1024 * 1024):
            count += len(piece)
            await asyncio.sleep(pause)
    except ConnectionError:
        pass
    return count


class TestWithLittlePatience:
    """A service that waits for `SECONDS`."""

    @pytest.fixture
    async def client(self, aiohttp_client: AiohttpClient, settings: Settings, providers: list[Provider]) -> Client:
        app = create_app(settings, providers=providers)
        app[PATIENCE] = SECONDS
        return await aiohttp_client(app, headers={"X-API-Key": "key-a"})

    async def test_a_client_that_takes_nothing_of_a_download_is_cut_off(self, client: Client) -> None:
        """It would hold a connection and a file open for as long as it likes."""
        reader, writer = await asked(client, await large(client))
        assert client.server.runner is not None and client.server.runner.server is not None
        await client.get("/healthz", headers={"Connection": "close"})
        try:
            async with asyncio.timeout(20):
                while client.server.runner.server.connections:
                    await asyncio.sleep(0.02)
            assert await all_of(reader) < SIZE
        finally:
            writer.close()

    async def test_a_client_that_takes_its_time_gets_all_of_it(self, client: Client) -> None:
        """However long that is: only when it takes nothing at all is it cut off."""
        reader, writer = await asked(client, await large(client))
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            assert await all_of(reader, pause=PAUSE) > SIZE
        finally:
            writer.close()
        assert loop.time() - began > SECONDS
