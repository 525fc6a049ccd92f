"""What a failing disk leaves is finished without a restart, and what belongs to nothing does not stay."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consignee.collection import Collection
from consignee.delivery.counters import KIND as COUNTERS
from consignee.errors import NotFound, StoreError
from consignee.store import Data
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing

NOWHERE = "http://127.0.0.1:1024/"
DAY = 86400.0


class DyingStore(FrailStore):
    """A store that takes so many changes more, and then none."""

    left: int | None = None

    def _count(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise StoreError("the disk is gone")

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        self._count()
        await super().before_save(kind, id, data)

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        self._count()
        await super().remove(kind, account, id, replaces=replaces)


@pytest.fixture
async def store() -> AsyncIterator[DyingStore]:
    """A store that can fail, open."""
    made = DyingStore()
    await made.open()
    yield made
    await made.close()


async def _left(d: Depot) -> dict[str, int]:
    kinds = ("result_sets", "deliveries", "webhooks")
    found = {kind: await d.store.count(kind, "ann") for kind in kinds}
    return {**found, "spool": len(await d.parts.spool.tokens())}


async def _messages(d: Depot, collection: Collection) -> list[tuple[str, int]]:
    jobs = await d.parts.messages.list("ann", prefix=f"{collection.id}.")
    return [(job.data["status"], job.data["serial"]) for job in jobs]


async def test_a_message_that_could_not_be_kept_is_made_without_a_restart_and_once(
    tmp_path: Path, store: DyingStore
) -> None:
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination(), notification_webhook=NOWHERE)
        await d.deliver(collection)
        store.failing = {"webhooks"}
        await d.work()
        await d.parts.results.mend()
        assert await _messages(d, collection) == []
        store.failing = set()
        for _ in range(2):
            await d.parts.results.mend()
            assert await _messages(d, collection) == [("pending", 1)]


async def test_what_is_to_be_mended_is_mended_while_the_service_is_at_work(tmp_path: Path, store: DyingStore) -> None:
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(notification_webhook=NOWHERE)
        store.fail_next["webhooks"] = 1
        await d.deliver(collection)
        assert await _messages(d, collection) == []
        async with at_work(d):
            await until(lambda: _has_messages(d, collection))


async def _has_messages(d: Depot, collection: Collection) -> bool:
    return bool(await _messages(d, collection))


async def test_the_number_of_a_result_set_that_was_refused_is_not_given_again(
    tmp_path: Path, store: DyingStore
) -> None:
    """Also by the next process: one of its destinations may have got its files meanwhile."""
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination("one"), await d.destination("two"))
        store.fail_next["deliveries"] = 1
        with pytest.raises(StoreError):
            await d.deliver(collection)
        assert sum((await _left(d)).values()) == 0
        async with d.again() as again:
            assert (await again.deliver(collection)).number == 2


@pytest.mark.parametrize("left", [1, 2, 3])
async def test_what_can_be_neither_planned_nor_removed_is_accepted_and_planned_later(
    tmp_path: Path, store: DyingStore, left: int
) -> None:
    """The disk takes the result set, and at most one delivery and the counter."""
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination("one"), await d.destination("two"))
        store.left = left
        result_set = await d.deliver(collection)
        store.left = None
        await d.work()
        await d.parts.results.mend()
        await d.work()
        assert await d.at_rest(result_set)
        assert list(d.warehouse["one"].values()) == list(d.warehouse["two"].values()) == [b"content of a"]


@pytest.mark.parametrize("left", range(9))
async def test_an_interrupted_removal_leaves_nothing_for_ever(tmp_path: Path, store: DyingStore, left: int) -> None:
    """Wherever it was interrupted: the next process makes an end of it, and makes no delivery anew."""
    async with depot(tmp_path, store=store, retention="1d") as d:
        collection = await d.collection(await d.destination("one"), await d.destination("two"))
        collection = await d.parts.collections.update("ann", collection.id, {"notification_webhook": NOWHERE})
        for _ in range(2):
            await d.deliver(collection)
        await d.work()
        for job in await d.parts.messages.claim(9, each=9):
            await d.parts.messages.acknowledge(job, {**job.data, "status": "success"})
        d.clock.now += DAY
        store.left = left
        async with at_work(d):
            await until(lambda: store.left is not None and store.left <= 0)
        store.left = None
        async with d.again() as again:
            d.warehouse.puts.clear()
            async with at_work(again):
                await until(lambda: _is_empty(again))
            assert d.warehouse.puts == []
            assert await again.parts.results.count("ann", collection.id) == 2


async def _is_empty(d: Depot) -> bool:
    return sum((await _left(d)).values()) == 0


async def test_a_result_set_stays_until_its_message_has_ended(tmp_path: Path) -> None:
    async with depot(tmp_path, retention="1d", retries=("2d",)) as d:
        collection = await d.collection(notification_webhook=NOWHERE)
        result_set = await d.deliver(collection)
        assert await d.tell() == 1
        d.clock.now += DAY
        assert await d.parts.results.retire(d.parts.webhooks.unfinished) == []
        d.clock.now += 2 * DAY
        assert await d.tell() == 1
        assert await _messages(d, collection) == [("failed", 1)]
        assert await d.parts.results.retire(d.parts.webhooks.unfinished) == [("ann", result_set.id)]


@pytest.mark.parametrize("left", range(1, 9))
async def test_a_deletion_of_a_collection_that_failed_half_way_is_finished_and_delivers_nothing(
    tmp_path: Path, store: DyingStore, left: int
) -> None:
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination(), notification_webhook=NOWHERE)
        d.warehouse.faults["bucket"] = [passing(), passing()]
        sets = [await d.deliver(collection) for _ in range(2)]
        await d.work()
        store.left = left
        await d.parts.collections.delete("ann", collection.id)
        store.left = None
        with pytest.raises(NotFound):
            await d.parts.results.get("ann", collection.id, sets[0].number)
        d.warehouse.puts.clear()
        d.clock.now += 60
        await d.work()
        assert d.warehouse.puts == []
        await d.parts.results.mend()
        assert sum((await _left(d)).values()) == 0
        assert await store.count(COUNTERS, "ann") == 0


async def test_what_was_complete_while_there_was_no_webhook_is_not_told_after_a_restart(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection(await d.destination(), notification_webhook=NOWHERE)
        await d.deliver(collection)
        await d.parts.collections.update("ann", collection.id, {"notification_webhook": None})
        await d.work()
        assert await _messages(d, collection) == [("skipped", 1)]
        await d.parts.collections.update("ann", collection.id, {"notification_webhook": NOWHERE})
        async with d.again() as again:
            assert await _messages(again, collection) == [("skipped", 1)]
            assert await again.tell() == 0
            await again.parts.webhooks.resend("ann", collection.id, 1)
            assert await _messages(again, collection) == [("pending", 1)]


async def test_a_mending_that_fails_is_tried_again_and_not_in_a_loop(tmp_path: Path, store: DyingStore) -> None:
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination())
        store.left = 1
        await d.deliver(collection)
        async with asyncio.timeout(30):
            with pytest.raises(StoreError):
                await d.parts.results.mend()
        store.left = None
        await d.parts.results.mend()
        assert await d.work() == 1


class WaitingStore(DyingStore):
    """A store whose removals wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = asyncio.Event()
        self.given_up = False

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise


async def test_nothing_is_removed_any_more_once_deliveries_have_stopped(tmp_path: Path) -> None:
    """The next process may have opened the spool by then."""
    store = WaitingStore()
    await store.open()
    async with depot(tmp_path, store=store, retention="1d") as d:
        await d.deliver(await d.collection())
        d.clock.now += DAY
        async with at_work(d):
            await store.waiting.wait()
        assert store.given_up
    await store.close()
