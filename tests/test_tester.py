"""Tests at once, each within its time."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager

import pytest

from consignee.destination import Draft
from consignee.errors import MissingExtra, RateLimited, StoreError
from consignee.providers import Bucket, Provider, discover
from fakes import hostile
from fakes.scripted import Answer, Request, scripted
from lab import LONG, NAMED, lab
from providers.opening import COMMON, S3_FIELDS, draft_of, loopback


async def test_a_file_is_named_by_chance() -> None:
    async with hostile.accepting() as server, lab() as running:
        report = await running.test(running.draft(server.url))
    assert report.ok
    assert [request.path for request in server.requests] == [f"/demo-bucket/{NAMED}"] * 2


async def test_what_was_found_is_used() -> None:
    async with hostile.accepting() as server, lab() as running:
        await running.test(running.draft(server.url), {"region": "found-1"})
    assert all("/found-1/s3/" in request.headers["authorization"] for request in server.requests)


async def test_so_many_at_once_and_no_more() -> None:
    """The slots bound the connections, and are given back whatever the outcome."""
    under_way, most = 0, 0

    def count(request: Request) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)

        async def slowly() -> AsyncGenerator[bytes, None]:
            nonlocal under_way
            await asyncio.sleep(0.02)
            under_way -= 1
            yield hostile.as_storage(request).encode()

        return Answer(raw=slowly())

    async with scripted(count) as server, lab(concurrency=3) as running:
        draft = running.draft(server.url)
        reports = await asyncio.gather(*(running.test(draft) for _ in range(12)))
    assert all(report.ok for report in reports)
    assert most == 3


async def test_who_waits_too_long_for_a_slot_is_told_when_to_come_back() -> None:
    """A patient caller goes on waiting; both waited behind another, in the order in which they came."""
    async with hostile.hanging() as server, lab(timeout=0.4, concurrency=1) as running:
        draft = running.draft(server.url)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(running.test(draft))
            patient = group.create_task(running.test(draft, patient=True))
            await asyncio.sleep(0)
            with pytest.raises(RateLimited) as limited:
                await running.test(draft)
    assert limited.value.retry_after == 1
    assert [first.result().code, patient.result().code] == ["timeout", "timeout"]


async def test_a_cancelled_test_gives_its_slot_back() -> None:
    async with hostile.hanging() as hanging, hostile.accepting() as server, lab(concurrency=1) as running:
        cancelled = asyncio.create_task(running.test(running.draft(hanging.url)))
        async with asyncio.timeout(LONG):
            while not hanging.connections:
                await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (await running.test(running.draft(server.url))).ok


async def test_a_type_that_is_not_served_any_more_is_not_tested() -> None:
    async with lab() as running:
        gone = Draft(type="gone", name="x", enabled=True, settings={}, secrets={})
        with pytest.raises(StoreError, match="'gone' are not served here any more"):
            await running.test(gone)


async def test_a_missing_package_is_no_outcome_of_a_test(caplog: pytest.LogCaptureFixture) -> None:
    """Raised as it is: the destination may be fine."""

    def open_nothing(*_: object) -> AbstractAsyncContextManager[Bucket]:
        raise MissingExtra("toy")

    known = discover()["s3"]
    provider = Provider(type="toy", label="Toy", fields=known.fields, open=open_nothing, extra="toy")
    async with lab(providers={"toy": provider}) as running:
        draft = draft_of(provider, S3_FIELDS | COMMON | {"type": "toy"}, loopback())
        with pytest.raises(MissingExtra, match=r"consignee\[toy\]"):
            await running.test(draft)
        assert await running.remembered() == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
