"""Deliveries that are asked for again."""

import asyncio
from pathlib import Path

import pytest

from consignee.delivery.search import Filter
from consignee.errors import CredentialsRejected, NotFound
from delivery.depot import at_work, depot, until
from delivery.warehouse import passing


async def test_resending_a_success_sends_all_files_again(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready("one", "two", files={"a": b"1", "b": b"2"})
        await d.work()
        await d.parts.deliveries.resend(result_set, result_set.destination_ids)
        status = await d.status(result_set)
        assert (status["status"], status["next_attempt_at"]) == ("pending", None)
        await d.work()
        assert sorted(d.sent("one")) == sorted(d.sent("two")) == ["a", "a", "b", "b"]
        delivery = await d.delivery(result_set)
        assert (delivery.status, delivery.bytes_sent) == ("success", 2)
        assert "Sending again was asked for." in [entry["text"] for entry in delivery.log]


async def test_resending_a_failure_sends_what_is_missing_with_the_schedule_from_its_start(tmp_path: Path) -> None:
    async with depot(tmp_path, per_destination=1) as d:
        result_set = await d.ready(files={"a": b"1", "b": b"2"})
        d.warehouse.faults["bucket"] = [None, CredentialsRejected("No."), passing()]
        await d.work()
        await d.parts.deliveries.resend(result_set, result_set.destination_ids)
        await d.work()
        assert (await d.job(result_set)).due == d.clock.now + 10
        d.clock.now += 10
        await d.work()
        assert d.sent() == ["a", "b", "b", "b"]
        assert (await d.delivery(result_set)).status == "success"


async def test_one_destination_alone_can_be_resent_to(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready("one", "two")
        await d.work()
        await d.parts.deliveries.resend(result_set, result_set.destination_ids[:1])
        await d.work()
        assert (len(d.sent("one")), len(d.sent("two"))) == (2, 1)


async def test_a_destination_that_was_not_meant_can_be_sent_to(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready("one")
        await d.work()
        other = await d.destination("other")
        await d.parts.deliveries.resend(result_set, [other])
        await d.work()
        assert await d.has(result_set, "success", other)


async def test_what_waits_for_its_next_attempt_is_tried_at_once(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.faults["bucket"] = [passing(), passing()]
        await d.work()
        d.clock.now += 10
        await d.work()
        await d.parts.deliveries.resend(result_set, result_set.destination_ids)
        assert await d.work() == 1
        assert await d.has(result_set, "success")


async def test_resending_while_an_attempt_is_under_way_changes_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.gates["bucket"] = asyncio.Event()
        async with at_work(d):
            await until(lambda: d.warehouse.under_way["bucket"] == 1)
            await d.parts.deliveries.resend(result_set, result_set.destination_ids)
            d.warehouse.gates["bucket"].set()
            await until(lambda: d.at_rest(result_set))
        assert (len(d.sent()), (await d.delivery(result_set)).attempts) == (1, 1)


async def test_a_resend_is_tried_although_the_destination_rests(tmp_path: Path) -> None:
    async with depot(tmp_path, breaker=1) as d:
        result_set = await d.ready()
        d.warehouse.broken["bucket"] = passing()
        await d.work()
        d.warehouse.broken.clear()
        await d.parts.deliveries.resend(result_set, result_set.destination_ids)
        assert await d.work() == 1


async def test_everything_that_failed_since_can_be_repeated(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await d.destination()
        collection = await d.collection(one)
        d.warehouse.broken["bucket"] = CredentialsRejected("No.")
        sets = []
        for _ in range(3):
            sets.append(await d.deliver(collection))
            await d.work()
            d.clock.now += 3600
        d.warehouse.broken.clear()
        sets.append(await d.deliver(collection))
        await d.work()
        assert await d.parts.deliveries.resend_failed("ann", one, since="2026-01-02T04:00:00.000Z") == 2
        await d.work()
        assert [(await d.status(each))["status"] for each in sets] == ["failed", *["success"] * 3]
        assert await d.parts.deliveries.resend_failed("ann", one) == 1
        await d.work()
        assert [(await d.delivery(each)).attempts for each in sets] == [2, 2, 2, 1]


async def test_resending_to_a_disabled_destination_is_skipped_again_and_works_when_enabled(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        one = await d.destination(enabled=False)
        result_set = await d.deliver(await d.collection(one))
        for enabled, status in ((False, "skipped"), (True, "success")):
            await d.destinations.update("ann", one, {"enabled": enabled})
            await d.parts.deliveries.resend(result_set, [one])
            await d.work()
            assert await d.has(result_set, status)


async def test_deliveries_are_found_by_destination_status_and_collection(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        first = await d.ready("one", "two")
        second = await d.ready("three")
        d.warehouse.broken["one"] = CredentialsRejected("No.")
        await d.work()
        find = d.parts.deliveries.list

        async def lanes(**wanted: str) -> list[str]:
            return [job.lane for job in await find("ann", Filter(**wanted))]

        assert await lanes() == [*second.destination_ids, *reversed(first.destination_ids)]
        assert await lanes(status="failed") == [first.destination_ids[0]]
        assert await lanes(destination_id=first.destination_ids[1]) == [first.destination_ids[1]]
        assert await lanes(collection_id=second.collection_id) == list(second.destination_ids)
        assert await find("bob", Filter()) == []
        with pytest.raises(NotFound):
            await d.parts.deliveries.get("bob", (await d.job(first)).id)
