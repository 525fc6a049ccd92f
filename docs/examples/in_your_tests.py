"""Your own tests, without a network: a storage in memory takes the place of the real ones, and a store that forgets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from consignee import Destinations, Secret, Settings, open_destinations
from consignee.providers.memory import MemoryStorage
from consignee.settings import SecretsSettings, StoreSettings
from consignee.store.memory import MemoryStore

FIELDS = {
    "name": "Mine",
    "enabled": True,
    "type": "memory",
    "memory_secret": "memory-secret",
    "memory_bucket_name": "reports",
}


@asynccontextmanager
async def opened(storage: MemoryStorage, directory: Path) -> AsyncIterator[Destinations]:
    key = SecretsSettings(key=Secret("00" * 32))
    settings = replace(Settings(), secrets=key, store=StoreSettings(path=str(directory)))  # where files are spooled
    store = MemoryStore()
    await store.open()
    async with open_destinations(settings, store=store, providers=[storage.provider]) as destinations:
        yield destinations
    await store.close()


async def test_a_customer_can_register_a_bucket(tmp_path: Path) -> None:
    storage = MemoryStorage("reports")
    async with opened(storage, tmp_path) as destinations:
        made = await destinations.create("ann", FIELDS)
        assert await destinations.get("ann", made.id) == made
    assert storage.buckets["reports"] == {}  # the test file was removed again


async def all_arrived(destinations: Destinations, collection_id: str) -> None:
    while True:
        view = await destinations.dispatch.view("ann", collection_id, 1)
        if all(one["status"] == "success" for one in view["destination_status"].values()):
            return
        await asyncio.sleep(0.01)


async def test_what_is_handed_over_arrives(tmp_path: Path) -> None:
    storage = MemoryStorage("reports")
    async with opened(storage, tmp_path) as destinations:
        made = await destinations.create("ann", FIELDS)
        fields = {"name": "Figures", "destination_ids": [made.id]}
        collection = await destinations.dispatch.collections.create("ann", fields)
        await destinations.deliver("ann", collection.id, [("visits.csv", b"day,visits\n")])
        await asyncio.wait_for(all_arrived(destinations, collection.id), timeout=10)
    assert set(storage.buckets["reports"]) == {"visits.csv"}
