"""Destinations and collections that are deleted while something is on its way."""

import asyncio
from pathlib import Path

import pytest

from consignee.errors import CredentialsRejected, NotFound
from delivery.depot import at_work, depot, until
from delivery.warehouse import CANARY, passing


async def test_a_deleted_destination_ends_the_upload_that_is_under_way(tmp_path: Path) -> None:
    """Its unfinished upload is abandoned, its delivery skipped, and its place is free again."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.gates["bucket"] = asyncio.Event()
        async with at_work(d):
            await until(lambda: d.warehouse.under_way["bucket"] == 1)
            await d.destinations.delete("ann", result_set.destination_ids[0])
            assert d.warehouse.under_way["bucket"] == 0
            status = await d.status(result_set)
            assert (status["status"], status["log"][-1]["text"]) == ("skipped", "The destination was deleted.")
            await until(lambda: len(d.warehouse.abandoned) == 1)
        assert d.warehouse.abandoned == [("a.txt", {"upload": CANARY, "key": "a.txt"})]
        assert not (await d.delivery(result_set)).checkpoints
        assert d.warehouse["bucket"] == {}


async def test_a_deleted_destination_ends_what_waits_and_leaves_what_ended(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await d.destination()
        collection = await d.collection(one)
        done = await d.deliver(collection)
        await d.work()
        d.warehouse.broken["bucket"] = passing()
        d.warehouse.in_parts = True
        retrying = await d.deliver(collection)
        await d.work()
        fresh = await d.deliver(collection)
        await d.destinations.delete("ann", one)
        assert [(await d.status(each))["status"] for each in (done, retrying, fresh)] == ["success", *["skipped"] * 2]
        assert await d.work() == 0
        await until(lambda: len(d.warehouse.abandoned) == 1)


async def test_a_destination_that_is_gone_without_a_word_is_skipped(tmp_path: Path) -> None:
    """As after an end of the process between its removal and the cancelling of its deliveries."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.destinations.deleted.clear()
        await d.destinations.delete("ann", result_set.destination_ids[0])
        await d.work()
        status = await d.status(result_set)
        assert (status["status"], status["log"][-1]["text"]) == ("skipped", "The destination was deleted.")


async def test_a_deleted_collection_takes_its_deliveries_and_files_along(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready("one", "two")
        d.warehouse.in_parts = True
        d.warehouse.gates["one"] = asyncio.Event()
        async with at_work(d):
            await until(lambda: d.warehouse.under_way["one"] == 1 and len(d.warehouse["two"]) == 1)
            await d.parts.collections.delete("ann", result_set.collection_id)
            assert d.warehouse.under_way["one"] == 0
            assert await d.parts.spool.tokens() == []
            assert await d.parts.deliveries.of("ann", result_set.id) == {}
            await until(lambda: d.warehouse.abandoned == [("a.txt", {"upload": CANARY, "key": "a.txt"})])
        with pytest.raises(NotFound):
            await d.parts.results.get("ann", result_set.collection_id, 1)
        assert d.warehouse["one"] == {}
        assert len(d.warehouse["two"]) == 1


async def test_a_job_whose_result_set_is_gone_goes_too(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        await d.store.remove("result_sets", "ann", result_set.id, replaces=1)
        await d.work()
        with pytest.raises(NotFound):
            await d.job(result_set)
        assert d.sent() == []


async def test_an_upload_that_failed_for_good_is_abandoned(tmp_path: Path) -> None:
    async with depot(tmp_path, retries=("1s",)) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        assert d.warehouse.abandoned == []
        d.clock.now += 2
        await d.work()
        assert (await d.delivery(result_set)).status == "failed"
        await until(lambda: len(d.warehouse.abandoned) == 1)
        assert d.warehouse.abandoned == [("a.txt", {"upload": CANARY, "key": "a.txt"})]


@pytest.mark.parametrize("deaf", [passing(), TimeoutError(), TypeError(CANARY)])
async def test_storage_that_cannot_be_told_of_an_abandoned_upload_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, deaf: Exception
) -> None:
    """Nor does a fault of ours keep the delivery from its end."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.faults["bucket"] = [CredentialsRejected("No.")]
        d.warehouse.deaf = deaf
        await d.work()
        assert await d.has(result_set, "failed")
        await until(lambda: f"is left behind: {type(deaf).__name__}" in caplog.text)
        assert CANARY not in caplog.text


async def test_what_an_upload_in_parts_has_achieved_is_sealed_and_passed_on(tmp_path: Path) -> None:
    """The next attempt goes on with it; it is gone when the file has arrived; nothing at rest shows it."""
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.faults["bucket"] = [passing()]
        await d.work()
        kept = (await d.delivery(result_set)).checkpoints
        assert list(kept) == ["0"]
        assert CANARY not in str(await d.job(result_set))
        assert CANARY not in str(d.parts.dispatch.delivery_view(await d.job(result_set), uploads=True))
        d.clock.now += 10
        await d.work()
        assert d.warehouse.resumed == [CANARY]
        assert not (await d.delivery(result_set)).checkpoints
        assert d.warehouse.abandoned == []


async def test_a_checkpoint_that_cannot_be_opened_is_no_obstacle(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.faults["bucket"] = [passing()]
        await d.work()
        document = await d.store.get("deliveries", "ann", (await d.job(result_set)).id)
        assert document is not None
        altered = {**document.data, "data": {**document.data["data"], "checkpoints": {"0": "other:AAAA"}}}
        await d.store.save("deliveries", "ann", document.id, altered, replaces=document.revision)
        async with d.again() as again:
            again.clock.now += 10
            await again.work()
            assert (await again.delivery(result_set)).status == "success"
        assert d.warehouse.resumed == []
