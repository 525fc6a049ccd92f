"""Result sets: numbered, whole or not there at all, and removed when nobody needs them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consignee.delivery.counters import KIND as COUNTERS
from consignee.delivery.intake import SpooledFile
from consignee.delivery.result_set import ResultSet
from consignee.errors import InvalidRequest, NotFound, StoreError, StoreUnusable
from consignee.store.json_file import JsonFileStore
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing

DAY = 86400.0


async def test_numbers_count_from_one_in_each_collection_without_gaps_or_repeats(tmp_path: Path) -> None:
    store = JsonFileStore(tmp_path / "store")
    await store.open()
    async with depot(tmp_path, store=store) as d:
        one, two = await d.collection(), await d.collection()
        made = await asyncio.gather(*(d.deliver(one if number % 2 else two) for number in range(200)))
        for collection in (one, two):
            numbers = sorted(each.number for each in made if each.collection_id == collection.id)
            assert numbers == list(range(1, 101))
            assert await d.parts.results.count("ann", collection.id) == 100
    await store.close()


async def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    """Also when its result set is long gone, and the process was another."""
    async with depot(tmp_path, retention="1d") as d:
        collection = await d.collection()
        assert [(await d.deliver(collection)).number for _ in range(3)] == [1, 2, 3]
        d.clock.now += DAY
        assert len(await d.parts.results.retire()) == 3
        assert (await d.deliver(collection)).number == 4
        d.clock.now += DAY
        await d.parts.results.retire()
        async with d.again() as again:
            assert await again.parts.results.count("ann", collection.id) == 4
            assert (await again.deliver(collection)).number == 5


async def test_without_a_file_there_is_no_result_set(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection()
        with pytest.raises(InvalidRequest) as refused:
            await d.destinations.deliver("ann", collection.id, [])
        assert list(refused.value.errors) == ["files"]
        assert await d.parts.results.count("ann", collection.id) == 0


@pytest.mark.parametrize("kind", ["result_sets", "deliveries"])
async def test_when_the_disk_fails_nothing_is_kept_and_no_file_stays(tmp_path: Path, kind: str) -> None:
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination("one"), await d.destination("two"))
        store.fail_next[kind] = 1
        with pytest.raises(StoreError):
            await d.deliver(collection)
        assert await d.parts.results.kept("ann", collection.id) == []
        assert await d.parts.queue.list("ann") == []
        assert await d.parts.spool.tokens() == []
        assert await d.work() == 0
        assert (await d.deliver(collection)).number == {"result_sets": 1, "deliveries": 2}[kind]


async def test_a_cancelled_caller_leaves_a_result_set_whole_or_none(tmp_path: Path) -> None:
    """Wherever the cancellation falls: what is recorded can be delivered, and what is not has left nothing behind."""
    async with depot(tmp_path, "bucket") as d:
        collection = await d.collection(await d.destination())
        for turns in range(60):
            task = asyncio.create_task(d.deliver(collection))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        kept = await d.parts.results.kept("ann", collection.id)
        assert sorted(one.token for one in kept) == await d.parts.spool.tokens()
        await d.work()
        assert [await d.has(one, "success") for one in kept] == [True] * len(kept)


async def test_a_caller_cancelled_while_the_files_are_kept_takes_none_of_them_away(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection()
        for number in range(1, 6):
            task = asyncio.create_task(d.deliver(collection))
            while len(list((tmp_path / "spool" / "kept").iterdir())) < number:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() or task.result()
            kept = await d.parts.results.kept("ann", collection.id)
            assert len(kept) == number
            assert sorted(one.token for one in kept) == await d.parts.spool.tokens()


async def test_a_collection_deleted_while_files_arrive_gets_no_result_set(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection(await d.destination())

        async def content() -> AsyncIterator[bytes]:
            yield b"first"
            await d.parts.collections.delete("ann", collection.id)

        with pytest.raises(NotFound):
            await d.destinations.deliver("ann", collection.id, [("a", content())])
        assert await d.parts.spool.tokens() == []
        assert await d.parts.queue.list("ann") == []
        assert await d.store.list("result_sets", "ann") == []


async def test_deliveries_that_an_end_in_the_middle_left_out_are_planned_at_the_next_start(tmp_path: Path) -> None:
    """As if the process had ended after the result set was saved and one of its two deliveries."""
    async with depot(tmp_path) as d:
        result_set = await d.ready("one", "two")
        job = await d.job(result_set, result_set.destination_ids[1])
        await d.parts.queue.remove("ann", job.id)
        async with d.again() as again:
            assert await again.work() == 2
            assert await again.at_rest(result_set)
        assert len(d.warehouse["one"]) == len(d.warehouse["two"]) == 1


async def test_files_that_belong_to_nothing_are_removed_at_the_next_start(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection()
        result_set = await d.deliver(collection)
        async with d.parts.results.intake(collection) as intake:
            await intake.add("a", _once(b"a"))
            await intake.keep()
        assert len(await d.parts.spool.tokens()) == 2
        async with d.again() as again:
            assert await again.parts.spool.tokens() == [result_set.token]


async def test_another_stores_files_are_left_alone(tmp_path: Path) -> None:
    """A new store, or one that was put in the place of another, must not take their files for what belongs to nothing."""
    async with depot(tmp_path) as d:
        await d.ready()
        kept = await d.parts.spool.tokens()
    with pytest.raises(StoreUnusable, match="holds files of another store"):
        async with depot(tmp_path):
            pass
    async with d.again() as again:
        assert await again.parts.spool.tokens() == kept
        assert await again.work() == 1


async def test_result_sets_of_a_collection_that_is_gone_are_removed_at_the_next_start(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.parts.collections.deleted.clear()
        await d.parts.collections.delete("ann", result_set.collection_id)
        async with d.again() as again:
            assert await again.parts.spool.tokens() == []
            assert await again.parts.queue.list("ann") == []
            assert await again.work() == 0


async def test_what_is_old_is_removed_but_never_while_it_has_to_be_delivered(tmp_path: Path) -> None:
    async with depot(tmp_path, retention="1d") as d:
        collection = await d.collection(await d.destination())
        done, retrying = await d.deliver(collection), await d.deliver(collection)
        d.warehouse.faults["bucket"] = [None, passing()]
        await d.work()
        d.clock.now += DAY - 1
        assert await d.parts.results.retire() == []
        d.clock.now += 1
        newer = await d.deliver(collection)
        states = [(await d.status(one))["status"] for one in (done, retrying)]
        assert sorted(states) == ["retrying", "success"]
        assert len(await d.parts.results.retire()) == 1
        await d.work()
        assert len(await d.parts.results.retire()) == 1
        assert await d.parts.spool.tokens() == [newer.token]
        assert [one.number for one in await d.parts.results.kept("ann", collection.id)] == [3]
        assert {job.data["number"] for job in await d.parts.queue.list("ann")} == {3}


async def test_what_is_old_goes_by_itself_as_soon_as_the_service_is_at_work(tmp_path: Path) -> None:
    async with depot(tmp_path, retention="1d", retries=()) as d:
        collection = await d.collection(notification_webhook="http://127.0.0.1:1024/")
        await d.deliver(collection)
        assert await d.tell() == 1
        d.clock.now += DAY
        async with at_work(d):
            await until(lambda: _is_empty(d, collection.id))
        assert await d.parts.messages.list("ann") == []


async def _is_empty(d: Depot, collection_id: str) -> bool:
    return not await d.parts.results.kept("ann", collection_id) and not await d.parts.messages.list("ann")


async def test_a_deleted_collection_leaves_no_counter(tmp_path: Path) -> None:
    async with depot(tmp_path, retention="1d") as d:
        collection = await d.collection()
        await d.deliver(collection)
        d.clock.now += DAY
        await d.parts.results.retire()
        assert await d.store.get(COUNTERS, "ann", collection.id) is not None
        await d.parts.collections.delete("ann", collection.id)
        assert await d.store.get(COUNTERS, "ann", collection.id) is None


@pytest.mark.parametrize("number", ["0", "2", "x", "-1", "1e0", "\u0661", "1" * 40])
async def test_a_number_that_is_none_is_not_found(tmp_path: Path, number: str) -> None:
    async with depot(tmp_path) as d:
        collection = await d.collection()
        await d.deliver(collection)
        with pytest.raises(NotFound):
            await d.parts.results.get("ann", collection.id, number)
        with pytest.raises(NotFound):
            await d.parts.results.get("bob", collection.id, 1)


def test_a_manifest_is_always_the_same_bytes() -> None:
    fields: dict[str, Any] = dict.fromkeys(
        ("started_at", "ended_at", "created_at", "expires_at"), "2026-01-02T03:00:00.000Z"
    )
    files = [SpooledFile("ä.txt", 3, "00", "11")]
    made = [
        ResultSet(
            account="ann",
            collection_id="C",
            collection_name="Shöp",
            number=7,
            revision=revision,
            token="t",
            files=files,
            destination_ids=[],
            **fields,
        )
        for revision in (1, 2)
    ]
    assert made[0].manifest_body().sha256 == made[1].manifest_body().sha256


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
