"""Progress as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from balky import BalkyStorage
from balky import fields as balky
from consignee.errors import StoreError
from consignee.providers import Provider
from consignee.providers.memory import MemoryStorage
from consignee.settings import Settings
from consignee.store import Document
from consignee.store.memory import MemoryStore
from consignee.web import create_app
from consignee.web.events import follow, glance
from consignee.web.followed import Glance, Look
from consignee.web.keys import DRAINING

from .conftest import Client, collected, created, rest_of, rested, sent

Event = tuple[str, Any]


def parsed(text: str) -> list[Event]:
    """Return the events of a stream, comments left out."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block and not block.startswith(":")]
    assert all([line.partition(": ")[0] for line in block] == ["event", "data"] for block in blocks)
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


async def test_a_result_set_that_is_done_is_told_at_once(client: Client) -> None:
    here = (await created(client))["id"]
    collection = await collected(client, here)
    await sent(client, collection, {"a": b""})
    result = await rested(client, collection)
    response = await client.get(f"{collection}/results/1/events")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Trace-ID"]
    told = {name: result[name] for name in ("destination_status", "webhook_status")}
    assert parsed(await response.text()) == [("status", told), ("end", {})]


class TestWhileItGoesOn:
    """With a storage that hangs until it is told to go on."""

    @pytest.fixture
    def balky(self) -> BalkyStorage:
        return BalkyStorage("bucket")

    @pytest.fixture
    def providers(self, balky: BalkyStorage) -> list[Provider]:
        return [balky.provider]

    async def hanging(self, client: Client, storage: BalkyStorage) -> tuple[str, str]:
        """Return a destination and the path of a collection whose result set hangs."""
        answer = await (await client.post("/destinations", json=balky())).json()
        here = answer["destination"]["id"]
        storage.hanging.add("bucket")
        collection = await collected(client, here)
        await sent(client, collection, {"a": b"12"})
        return here, collection

    async def test_each_change_is_told_as_it_happens_and_then_the_end(
        self, client: Client, balky: BalkyStorage
    ) -> None:
        here, collection = await self.hanging(client, balky)
        response = await client.get(f"{collection}/results/1/events")
        text = ""
        async with asyncio.timeout(20):
            while '"uploading"' not in text:
                text += (await response.content.readany()).decode()
            balky.resumed.set()
            text += (await response.content.read()).decode()
        events = parsed(text)
        statuses = [content["destination_status"][here]["status"] for name, content in events if name == "status"]
        assert (statuses[-2:], events[-1]) == (["uploading", "success"], ("end", {}))
        assert all(one != other for one, other in pairwise(events))

    async def test_a_service_that_stops_ends_the_stream_at_once(self, client: Client, balky: BalkyStorage) -> None:
        _, collection = await self.hanging(client, balky)
        response = await client.get(f"{collection}/results/1/events")
        await response.content.readuntil(b"\n\n")
        assert client.app is not None
        client.app[DRAINING].set()
        rest = (await asyncio.wait_for(response.content.read(), 5)).decode()
        assert "end" not in [name for name, _ in parsed(rest)]
        balky.resumed.set()

    async def test_a_host_application_that_stops_need_not_wait(self, client: Client, balky: BalkyStorage) -> None:
        _, collection = await self.hanging(client, balky)
        response = await client.get(f"{collection}/results/1/events")
        await response.content.readuntil(b"\n\n")
        balky.resumed.set()
        await asyncio.wait_for(client.server.close(), 10)
        assert client.app is not None
        assert client.app[DRAINING].is_set()

    async def test_a_client_that_goes_away_is_noticed(self, client: Client, balky: BalkyStorage) -> None:
        _, collection = await self.hanging(client, balky)
        before = asyncio.all_tasks()
        response = await client.get(f"{collection}/results/1/events")
        await response.content.readuntil(b"\n\n")
        response.close()
        async with asyncio.timeout(20):
            while {task for task in asyncio.all_tasks() - before if "events" in repr(task.get_coro())}:
                await asyncio.sleep(0.01)
        balky.resumed.set()

    async def test_so_many_may_listen_and_no_more(self, client: Client, balky: BalkyStorage) -> None:
        """Others are told when to come back; who leaves makes room."""
        _, collection = await self.hanging(client, balky)
        path = f"{collection}/results/1/events"
        open_ = [await client.get(path) for _ in range(20)]
        refused = await client.get(path)
        assert (refused.status, (await refused.json())["request_info"]["code"]) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await client.get(path, headers={"X-API-Key": "key-b"})).status == 404
        open_.pop().close()
        async with asyncio.timeout(20):
            while (again := await client.get(path)).status == 429:
                await asyncio.sleep(0.02)
        assert again.status == 200
        balky.resumed.set()


class BlindStore(MemoryStore):
    """A store that can't tell any more which result sets there are, from when it is told so."""

    blind = False

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        return await super().get(kind, account, self._seen(kind, id))

    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        return await super().revision(kind, account, self._seen(kind, id))

    def _seen(self, kind: str, asked: str) -> str:
        if self.blind and kind == "result_sets":
            raise StoreError("the disk is gone")
        return asked


async def test_a_store_that_fails_meanwhile_ends_the_stream_and_answers_no_second_time(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    """What follows the events must not be the head of another answer."""
    storage, store = BalkyStorage("bucket"), BlindStore()
    await store.open()
    app = create_app(settings, providers=[storage.provider], store=store)
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    _, collection = await TestWhileItGoesOn().hanging(client, storage)
    response = await client.get(f"{collection}/results/1/events")
    text = await response.content.readuntil(b"\n\n")
    store.blind = True
    rest, whole = await rest_of(response)
    text += rest
    assert not whole
    assert b"request_info" not in text and b"HTTP/1.1" not in text
    assert {name for name, _ in parsed(text.decode())} == {"status"}
    refused = await client.get(f"{collection}/results/1/events")
    assert (refused.status, (await refused.json())["request_info"]["code"]) == (503, "unavailable")
    store.blind = False
    storage.resumed.set()


def looks(*views: dict[str, Any] | None) -> Look:
    """Return something to look at that shows one view after the other, then the last one for ever; None for none."""
    left = list(views)

    async def look() -> Glance | None:
        view = left.pop(0) if len(left) > 1 else left[0]
        return None if view is None else glance(view)

    return look


def view(status: str, done: int = 0) -> dict[str, Any]:
    """Return a result set with one delivery."""
    return {"destination_status": {"A": {"status": status, "files_done": done}}, "webhook_status": None}


async def texts(stream: AsyncIterator[bytes]) -> list[str]:
    """Return what a stream yields, but for the signs of life that are not sent."""
    return [text.decode() async for text in stream if text]


async def test_only_changes_are_told() -> None:
    look = looks(view("pending"), view("pending"), view("uploading"), view("uploading", 1), view("success", 1))
    told = parsed("".join(await texts(follow(look, stop=asyncio.Event(), every=0))))
    assert [(name, content.get("destination_status")) for name, content in told] == [
        ("status", view("pending")["destination_status"]),
        ("status", view("uploading")["destination_status"]),
        ("status", view("uploading", 1)["destination_status"]),
        ("status", view("success", 1)["destination_status"]),
        ("end", None),
    ]


@pytest.mark.parametrize("status", ["success", "failed", "skipped"])
async def test_a_delivery_at_rest_is_the_end(status: str) -> None:
    assert len(await texts(follow(looks(view(status)), stop=asyncio.Event(), every=0))) == 2


async def test_a_result_set_that_is_removed_is_the_end() -> None:
    told = parsed("".join(await texts(follow(looks(view("retrying"), None), stop=asyncio.Event(), every=0))))
    assert [name for name, _ in told] == ["status", "end"]


async def test_silence_is_broken_and_ends_after_the_longest_time() -> None:
    """With a clock of the test's own: a comment each 15 seconds without news, for an hour."""
    times = iter(range(10_000))
    stream = follow(looks(view("retrying")), stop=asyncio.Event(), every=0, clock=lambda: float(next(times)))
    told = await texts(stream)
    assert told[0].startswith("event: status")
    assert set(told[1:]) == {": still here\n\n"}
    assert 60 <= len(told) <= 240


async def test_an_unknown_result_set_is_an_ordinary_404(client: Client, storage: MemoryStorage) -> None:
    collection = await collected(client)
    response = await client.get(f"{collection}/results/1/events")
    assert (response.status, (await response.json())["request_info"]["code"]) == (404, "not_found")
    assert storage.buckets["bucket"] == {}
