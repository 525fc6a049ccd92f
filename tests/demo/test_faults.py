"""The storage that has a bad day."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from consignee.demo.faults import Faults, running_faults
from fakes.scripted import Answer, Request, Server, scripted

SECONDS = 30.0


@pytest.fixture
async def upstream() -> AsyncIterator[Server]:
    """A server that answers with what was sent to it."""

    def echo(request: Request) -> Answer:
        return Answer(200, {"X-Method": request.method}, request.body)

    async with scripted(echo) as server:
        yield server


@pytest.fixture
async def faults(upstream: Server) -> AsyncIterator[Faults]:
    """The faults before it."""
    async with running_faults(upstream.url) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps its connections."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        yield session


async def put(client: aiohttp.ClientSession, faults: Faults, path: str = "/b/key") -> tuple[int, bytes]:
    """Send a body of 1 MB and return what is answered."""
    async with client.put(faults.url + path, data=b"x" * 1_000_000) as response:
        return response.status, await response.read()


async def test_at_first_everything_passes(upstream: Server, faults: Faults, client: aiohttp.ClientSession) -> None:
    """The Host stays as it was: it is signed."""
    assert await put(client, faults, "/b/a%20key?x=1") == (200, b"x" * 1_000_000)
    assert await put(client, faults, "/b/a%20key?x=2") == (200, b"x" * 1_000_000)
    assert faults.passed == {"PUT /b/a key": 2}
    assert {request.headers["host"] for request in upstream.requests} == {faults.url.removeprefix("http://")}


async def test_it_refuses_until_it_is_healed(upstream: Server, faults: Faults, client: aiohttp.ClientSession) -> None:
    faults.refuse()
    for _ in range(2):
        status, body = await put(client, faults)
        assert (status, b"<Code>SlowDown</Code>" in body) == (503, True)
    assert not upstream.requests and not faults.passed
    faults.heal()
    assert (await put(client, faults))[0] == 200


async def test_it_hangs_after_as_many_requests_as_it_was_told(faults: Faults, client: aiohttp.ClientSession) -> None:
    faults.hang(after=1)
    assert (await put(client, faults))[0] == 200
    assert not faults.hanging.is_set()
    second = asyncio.create_task(put(client, faults))
    await asyncio.wait_for(faults.hanging.wait(), SECONDS)
    assert not second.done()
    faults.heal()
    assert (await put(client, faults))[0] == 200
    second.cancel()
    assert isinstance((await asyncio.gather(second, return_exceptions=True))[0], asyncio.CancelledError)
    assert faults.passed == {"PUT /b/key": 2}
