"""How the server stops while deliveries are under way. It is run in this process, and the signal is sent to ourselves."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
from aiohttp import web

from balky import BalkyStorage, fields
from consignee import open_destinations
from consignee.delivery.search import Filter
from consignee.sections import DeliverySettings
from consignee.settings import ServerSettings, Settings
from consignee.web import create_app
from consignee.web.keys import DRAINING
from consignee.web.server import serve

from .conftest import form

MULTIPART = {"Content-Type": "multipart/form-data; boundary=XX"}


async def until(true: Callable[[], bool]) -> None:
    """Return when it is true."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def served(settings: Settings, app: web.Application) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session with the server as ann; the block stops it with SIGTERM. On return it has ended well."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(settings, ready=url.set_result, app=app))
    async with aiohttp.ClientSession(await url, headers={"X-API-Key": "key-a"}) as session:
        yield session
    await asyncio.wait_for(server, 15)


async def hanging(session: aiohttp.ClientSession, storage: BalkyStorage, *names: str) -> str:
    """Send result sets of one file each to a storage that hangs; return the path of their collection."""
    async with session.post("/destinations", json=fields()) as response:
        ids = [(await response.json())["destination"]["id"]]
    async with session.post("/collections", json={"name": "x", "destination_ids": ids}) as response:
        path = f"/collections/{(await response.json())['collection']['id']}"
    storage.hanging.add("bucket")
    for name in names:
        async with session.post(f"{path}/results", data=form({name: b"content"})) as response:
            assert response.status == 200
    await until(lambda: storage.under_way == ["bucket"])
    return path


async def test_nothing_more_is_claimed_and_what_is_under_way_may_end(settings: Settings) -> None:
    """Deliveries and requests alike: neither waits until the other is done. What came last is kept for the next start."""
    storage, more = BalkyStorage("bucket"), asyncio.Event()
    here = replace(
        settings,
        server=ServerSettings(port=0, shutdown_timeout=20),
        delivery=DeliverySettings(concurrency=1),
    )
    app = create_app(here, providers=[storage.provider])

    async def slow() -> AsyncIterator[bytes]:
        yield b"--XX\r\n"
        await more.wait()
        yield b'Content-Disposition: form-data; name="f"; filename="third"\r\n\r\n\r\n--XX--\r\n'

    async with served(here, app) as session:
        path = await hanging(session, storage, "first", "second")
        sent = asyncio.create_task(session.post(f"{path}/results", data=slow(), headers=MULTIPART))
        incoming = Path(settings.store.path) / "spool" / "incoming"
        await until(lambda: [*incoming.iterdir()] != [])
        os.kill(os.getpid(), signal.SIGTERM)
        await app[DRAINING].wait()
        storage.resumed.set()
        await until(lambda: storage.under_way == [])
        more.set()
        async with await sent as response:
            assert response.status == 200
    assert set(storage.memory.buckets["bucket"]) == {"first"}
    async with open_destinations(settings, providers=[storage.provider]):
        await until(lambda: set(storage.memory.buckets["bucket"]) == {"first", "second", "third"})


async def test_what_does_not_end_in_time_is_given_back_unharmed(settings: Settings) -> None:
    """A delivery that hangs and a client that listens to it: at the next start the first begins anew."""
    storage = BalkyStorage("bucket")
    here = replace(settings, server=ServerSettings(port=0, shutdown_timeout=0.3))
    async with served(here, create_app(here, providers=[storage.provider])) as session:
        path = await hanging(session, storage, "a")
        async with session.get(f"{path}/results/1/events") as listening:
            os.kill(os.getpid(), signal.SIGTERM)
            assert b"event: status" in await listening.content.read()
    assert storage.memory.buckets["bucket"] == {}
    storage.hanging.clear()
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        (job,) = await destinations.dispatch.deliveries.list("ann", Filter())
        assert job.crashes == 0
        await until(lambda: storage.memory.buckets["bucket"] == {"a": b"content"})
