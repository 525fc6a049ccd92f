"""Your own tests, without a network: a storage in memory takes the place of the real ones, and a store that forgets."""

from dataclasses import replace

from consignee import Secret, Settings, open_destinations
from consignee.providers.memory import MemoryStorage
from consignee.settings import SecretsSettings
from consignee.store.memory import MemoryStore

FIELDS = {
    "name": "Mine",
    "enabled": True,
    "type": "memory",
    "memory_secret": "memory-secret",
    "memory_bucket_name": "reports",
}


async def test_a_customer_can_register_a_bucket() -> None:
    storage, store = MemoryStorage("reports"), MemoryStore()
    settings = replace(Settings(), secrets=SecretsSettings(key=Secret("00" * 32)))
    await store.open()
    async with open_destinations(settings, store=store, providers=[storage.provider]) as destinations:
        made = await destinations.create("ann", FIELDS)
        assert await destinations.get("ann", made.id) == made
    assert storage.buckets["reports"] == {}  # the test file was removed again
    await store.close()
