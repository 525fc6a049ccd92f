"""Who waits for what in the store on the disk: readers of much, and writers of the same document."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consignee.store.json_file import JsonFileStore
from consignee.testing.stores import KIND


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JsonFileStore]:
    """A new store."""
    store = JsonFileStore(tmp_path / "store")
    await store.open()
    yield store
    await store.close()


async def test_a_long_list_lets_others_have_their_turn(store: JsonFileStore) -> None:
    """It is as the documents were when it was asked for, whatever is saved meanwhile."""
    await asyncio.gather(*(store.save(KIND, "a", str(n), {"n": n}) for n in range(600)))
    listing = asyncio.create_task(store.list(KIND, "a"))
    await asyncio.sleep(0)
    assert not listing.done()
    await store.save(KIND, "a", "599", {"n": "later"}, replaces=1)
    assert [one.data["n"] for one in await listing] == [*range(600)]


async def test_a_cancelled_caller_leaves_its_document_under_way(store: JsonFileStore) -> None:
    """Whoever wants to change it next waits until that change has ended; and may give up that."""
    first = asyncio.create_task(store.save(KIND, "a", "1", {"n": 1}))
    later = [asyncio.create_task(store.save(KIND, "a", "1", {"n": n}, replaces=1)) for n in (2, 3)]
    await asyncio.sleep(0)
    first.cancel()
    later[0].cancel()
    assert (await later[1]).revision == 2
    assert first.cancelled()
    found = await store.get(KIND, "a", "1")
    assert found is not None
    assert found.data == {"n": 3}
