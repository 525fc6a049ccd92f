"""Deliveries are found by their ids: of thousands, few are read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consignee.delivery.delivery import Delivery
from consignee.delivery.search import READ_AT_ONCE, Filter, newest
from consignee.queue import Job
from consignee.queue.stored import StoredQueue
from consignee.store import Document
from consignee.store.memory import MemoryStore
from delivery.depot import START, depot

KIND = "deliveries"


class WatchedStore(MemoryStore):
    """A store that remembers the documents that were read, as kind and id; in lists too."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[tuple[str, str]] = []

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        self.read.append((kind, id))
        return await super().get(kind, account, id)

    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        found = await super().list(kind, account, prefix=prefix)
        self.read += [(kind, one.id) for one in found]
        return found

    def read_of(self, kind: str) -> int:
        """Return how many of a kind were read."""
        return len([one for one, _ in self.read if one == kind])


@pytest.fixture
async def store() -> AsyncIterator[WatchedStore]:
    made = WatchedStore()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def queue(store: WatchedStore) -> StoredQueue:
    return StoredQueue(store, KIND, now=lambda: START)


async def filled(queue: StoredQueue, count: int) -> list[str]:
    """Add so many deliveries, to two destinations in turn, and return their ids, newest first."""
    ids = []
    for number in range(1, count + 1):
        status = "failed" if number % 10 == 0 else "success"
        delivery = Delivery(
            collection_id="AAAA0000",
            number=number,
            destination_id="D1D1D1D1" if number % 2 else "D0D0D0D0",
            created_at=f"2026-01-02T03:{number // 60:02}:{number % 60:02}.000Z",
            status=status,
        )
        job = await queue.add("ann", delivery.id, delivery.to_data(), lane=delivery.destination_id, due=None)
        ids.append(job.id)
    return ids[::-1]


async def found(queue: StoredQueue, *, most: int = 10_000, behind: Job | None = None, **wanted: Any) -> list[str]:
    """Return the ids of the first deliveries that are wanted."""
    place = (behind.data["created_at"], behind.id) if behind else None
    ids: list[str] = []
    async for job in newest(queue, "ann", Filter(**wanted), behind=place):
        ids.append(job.id)
        if len(ids) == most:
            break
    return ids


async def test_no_more_are_read_than_are_asked_for(queue: StoredQueue, store: WatchedStore) -> None:
    ids = await filled(queue, 50)
    assert await found(queue, most=3) == ids[:3]
    assert len(store.read) == 3
    assert await found(queue, most=3, destination_id="D1D1D1D1") == [ids[1], ids[3], ids[5]]
    assert len(store.read) == 6
    assert await found(queue, collection_id="BBBB0000") == await found(queue, destination_id="AAAA0000") == []
    assert len(store.read) == 6
    assert await found(queue, status="failed") == ids[0::10]


async def test_a_list_goes_on_behind_any_entry_without_reading_what_is_before(
    queue: StoredQueue, store: WatchedStore
) -> None:
    ids = await filled(queue, 50)
    for index in (0, 1, 30, 48, 49):
        behind = await queue.get("ann", ids[index])
        store.read.clear()
        assert await found(queue, behind=behind, most=2) == ids[index + 1 : index + 3]
        assert len(store.read) <= 2


@pytest.mark.parametrize("index", [0, 7, 49])
async def test_a_list_goes_on_although_the_entry_is_gone(queue: StoredQueue, store: WatchedStore, index: int) -> None:
    """Nothing is left out, nothing comes twice; and it is found without reading everything."""
    ids = await filled(queue, 50)
    behind = await queue.get("ann", ids[index])
    await queue.remove("ann", ids[index])
    store.read.clear()
    assert await found(queue, behind=behind, most=2) == ids[index + 1 : index + 3]
    assert len(store.read) <= 9


async def test_what_is_removed_while_it_is_listed_is_left_out(queue: StoredQueue) -> None:
    ids = await filled(queue, 5)
    seen = []
    async for job in newest(queue, "ann", Filter()):
        seen.append(job.id)
        await queue.remove("ann", ids[2])
    assert seen == [ids[0], ids[1], ids[3], ids[4]]


async def test_a_long_search_lets_others_have_their_turn(queue: StoredQueue) -> None:
    await filled(queue, 2 * READ_AT_ONCE + 1)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert await found(queue, status="skipped") == []
    task.cancel()
    assert turns >= 2


async def test_what_concerns_one_destination_reads_no_others_deliveries(tmp_path: Path, store: WatchedStore) -> None:
    """Sending again what failed there, and cancelling what waits when it is deleted."""
    async with depot(tmp_path, store=store) as d:
        here, there = await d.destination("here"), await d.destination("there")
        await d.deliver(await d.collection(here))
        elsewhere = await d.collection(there)
        for _ in range(10):
            await d.deliver(elsewhere)
        store.read.clear()
        assert await d.parts.deliveries.resend_failed("ann", here) == 0
        await d.destinations.delete("ann", here)
        assert {id_.rpartition(".")[2] for kind, id_ in store.read if kind == KIND} == {here}


async def test_the_status_is_known_without_reading_the_result_set(tmp_path: Path, store: WatchedStore) -> None:
    """It may name ten thousand files, and is asked for again and again."""
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        view = await d.parts.dispatch.view_of(result_set)
        store.read.clear()
        status = await d.parts.dispatch.status("ann", result_set.collection_id, "1")
        assert store.read_of("result_sets") == 0
        assert status == {name: view[name] for name in ("destination_status", "webhook_status")}


async def test_result_sets_are_counted_without_reading_them(tmp_path: Path, store: WatchedStore) -> None:
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection()
        for _ in range(12):
            await d.deliver(collection)
        store.read.clear()
        assert await d.parts.results.numbers("ann", collection.id) == list(range(12, 0, -1))
        assert await d.parts.results.numbers("bob", collection.id) == []
        assert store.read == []
        assert [one.number for one in await d.parts.results.kept("ann", collection.id)] == list(range(12, 0, -1))
