"""Lists of result sets: sent one result set at a time."""

import asyncio
import json

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import StoreError
from consignee.providers import Provider
from consignee.settings import Settings
from consignee.store import Document
from consignee.store.memory import MemoryStore
from consignee.web import create_app

from .conftest import Client, collected, rest_of, sent


class SlowStore(MemoryStore):
    """A store that remembers which result sets were read; one of them waits for `gate`, and fails if it is told to."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.read: list[str] = []
        self.last = last
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        if kind == RESULT_SETS:
            self.read.append(id)
            if id.endswith(self.last):
                await self.gate.wait()
                if self.fails:
                    raise StoreError("the disk is gone")
        return await super().get(kind, account, id)


@pytest.fixture
def store() -> SlowStore:
    return SlowStore("0002")


@pytest.fixture
async def client(
    aiohttp_client: AiohttpClient, settings: Settings, providers: list[Provider], store: SlowStore
) -> Client:
    await store.open()
    return await aiohttp_client(create_app(settings, providers=providers, store=store), headers={"X-API-Key": "key-a"})


async def five(client: Client, store: SlowStore) -> str:
    """Return the path of a collection with that many."""
    collection = await collected(client)
    for _ in range(5):
        await sent(client, collection, {"a": b""})
    store.read.clear()
    store.gate.clear()
    return collection


async def test_each_goes_out_before_the_next_is_read(client: Client, store: SlowStore) -> None:
    """So that a list of many files neither fills the memory nor holds up whoever else is served."""
    collection = await five(client, store)
    response = await asyncio.wait_for(client.get(f"{collection}/results"), 20)
    text = b""
    async with asyncio.timeout(20):
        while b'"id":3' not in text:
            text += await response.content.readany()
    assert [one[-1] for one in store.read] == ["5", "4", "3", "2"]
    store.gate.set()
    assert [one["id"] for one in json.loads(text + await response.content.read())["results"]] == [5, 4, 3, 2, 1]


async def test_only_what_is_on_the_page_is_read(client: Client, store: SlowStore) -> None:
    collection = await five(client, store)
    answer = await (await client.get(f"{collection}/results?page=2&page_size=1")).json()
    assert (answer["results_count"], [one["id"] for one in answer["results"]]) == (5, [4])
    assert [one[-1] for one in store.read] == ["4"]
    answer = await (await client.get(f"{collection}/results?page=9")).json()
    assert (answer["results_count"], answer["results"], answer["request_info"]) == (5, [], {"success": True})


async def test_what_fails_in_the_middle_ends_there_and_is_no_second_answer(client: Client, store: SlowStore) -> None:
    collection = await five(client, store)
    store.fails = True
    store.gate.set()
    response = await client.get(f"{collection}/results")
    text, whole = await rest_of(response)
    assert not whole
    assert (response.status, text.count(b"request_info"), text.count(b'"id"')) == (200, 1, 3)


async def test_what_fails_at_once_is_an_ordinary_answer(client: Client, store: SlowStore) -> None:
    collection = await five(client, store)
    store.fails = True
    store.gate.set()
    response = await client.get(f"{collection}/results?page=4&page_size=1")
    assert (response.status, (await response.json())["request_info"]["code"]) == (503, "unavailable")


async def test_what_is_removed_meanwhile_is_left_out(client: Client, store: SlowStore) -> None:
    collection = await five(client, store)
    response = await client.get(f"{collection}/results")
    await store.remove(RESULT_SETS, "ann", collection.rpartition("/")[2] + ".0000000001", replaces=1)
    store.gate.set()
    assert [one["id"] for one in (await response.json())["results"]] == [5, 4, 3, 2]
