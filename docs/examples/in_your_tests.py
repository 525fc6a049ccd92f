"""Your own tests, without a network: a storage in memory takes the place of the real ones, and a store that forgets."""

from consignee import Destinations
from consignee.testing import MemoryStorage, ended

pytest_plugins = ["consignee.testing"]  # in your conftest.py; it brings the fixtures

FIELDS = {
    "name": "Mine",
    "enabled": True,
    "type": "memory",
    "memory_secret": "memory-secret",
    "memory_bucket_name": "bucket",
}


async def test_a_customer_can_register_a_bucket(
    memory_destinations: Destinations, memory_storage: MemoryStorage
) -> None:
    made = await memory_destinations.create("ann", FIELDS)
    assert await memory_destinations.get("ann", made.id) == made
    assert memory_storage.buckets["bucket"] == {}  # the test file was removed again


async def test_what_is_handed_over_arrives(memory_destinations: Destinations, memory_storage: MemoryStorage) -> None:
    made = await memory_destinations.create("ann", FIELDS)
    fields = {"name": "Figures", "destination_ids": [made.id]}
    collection = await memory_destinations.dispatch.collections.create("ann", fields)
    await memory_destinations.deliver("ann", collection.id, [("visits.csv", b"day,visits\n")])
    assert await ended(memory_destinations, "ann", collection.id) == {made.id: "success"}
    assert memory_storage.buckets["bucket"] == {"visits.csv": b"day,visits\n"}
