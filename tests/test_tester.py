"""Tests at once, each within its time; and what they leave behind is really removed, as soon as the storage lets us."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from consignee import tester
from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.errors import MissingExtra, RateLimited, StoreError
from consignee.outlets import open_outlets, policy
from consignee.providers import Bucket, Provider, discover
from consignee.settings import VerificationSettings
from consignee.sweeper import Sweeper
from fakes import hostile
from fakes.scripted import Answer, Request, scripted
from providers.opening import COMMON, S3_FIELDS, draft_of, loopback

NAMED = "consignee-test-abababababababab.txt"
LONG = 30.0


@dataclass
class Lab:
    """A tester, and the making of drafts for it."""

    tester: tester.Tester
    catalog: Catalog

    def draft(self, url: str, **more: Any) -> Draft:
        """Return an S3-compatible destination there."""
        return self.catalog.parse(S3_FIELDS | {"type": "s3compatible", "s3_endpoint": url, **more})


@asynccontextmanager
async def lab(
    *,
    timeout: float = LONG,
    concurrency: int = 4,
    delays: tuple[float, ...] = (0.01,) * 50,
    providers: Mapping[str, Provider] | None = None,
) -> AsyncIterator[Lab]:
    """Yield a tester whose sweeper hurries."""
    settings = loopback()
    catalog = Catalog((providers or discover()).values(), policy(settings.egress))
    async with open_outlets(settings) as outlets:
        made = tester.Tester(
            VerificationSettings(timeout=timeout, concurrency=concurrency),
            catalog=catalog,
            outlets=outlets,
            sweeper=Sweeper(delays),
            random=lambda length: b"\xab" * length,
        )
        try:
            yield Lab(made, catalog)
        finally:
            await made.close()


@dataclass
class Stubborn:
    """A storage that takes every PUT, but lets the first deletes fail, each in its own way; then it has `gone` set."""

    deletes: list[Callable[[], Answer]]
    put: Callable[[Request], Answer] = hostile.as_storage
    objects: set[str] = field(default_factory=set)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        if request.method == "PUT":
            self.objects.add(request.path)
            return self.put(request)
        if self.deletes:
            return self.deletes.pop(0)()
        self.objects.discard(request.path)
        self.gone.set()
        return Answer(204)

    async def emptied(self) -> set[str]:
        """Wait for a delete that works, and return what is left."""
        async with asyncio.timeout(LONG):
            await self.gone.wait()
        return self.objects


def denied() -> Answer:
    """Return a refusal."""
    return Answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")


def broken() -> Answer:
    """Return a fault."""
    return Answer(500, {}, b"<Error><Code>InternalError</Code></Error>")


def silent() -> Answer:
    """Return an answer that never comes."""
    return Answer(raw=_never())


async def _never() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""


async def test_a_file_is_named_by_chance() -> None:
    async with hostile.accepting() as server, lab() as running:
        report = await running.tester.test(running.draft(server.url), {})
    assert report.ok
    assert [request.path for request in server.requests] == [f"/demo-bucket/{NAMED}"] * 2


async def test_what_was_found_is_used() -> None:
    async with hostile.accepting() as server, lab() as running:
        await running.tester.test(running.draft(server.url), {"region": "found-1"})
    assert all("/found-1/s3/" in request.headers["authorization"] for request in server.requests)


async def test_what_could_not_be_deleted_is_removed_once_it_can_be() -> None:
    """The storage refuses, then has a fault, then lets us."""
    storage = Stubborn([denied, denied, broken])
    async with scripted(storage) as server, lab() as running:
        report = await running.tester.test(running.draft(server.url, s3_path_prefix="a/b"), {})
        assert report.left_behind == f"a/b/{NAMED}"
        assert storage.objects == {f"/demo-bucket/a/b/{NAMED}"}
        assert await storage.emptied() == set()


async def test_a_delete_that_hangs_is_tried_again() -> None:
    """Also if the sweeper's own attempt hangs: it is given up after the time of a test, and the next one made."""
    storage = Stubborn([silent, silent])
    async with scripted(storage) as server, lab(timeout=0.3) as running:
        report = await running.tester.test(running.draft(server.url), {})
        assert (report.code, report.left_behind) == ("timeout", NAMED)
        assert await storage.emptied() == set()


async def test_an_upload_that_was_not_answered_in_time_is_swept_up() -> None:
    """It may have been written: the customer is not told so, but it is removed if it was."""
    storage = Stubborn([], put=lambda _: silent())
    async with scripted(storage) as server, lab(timeout=0.3) as running:
        report = await running.tester.test(running.draft(server.url), {})
        assert (report.code, report.left_behind) == ("timeout", None)
        assert storage.objects == {f"/demo-bucket/{NAMED}"}
        assert await storage.emptied() == set()


async def test_the_sweeper_knows_the_region_that_was_found() -> None:
    def in_region(request: Request) -> Answer:
        if "/eu-west-1/s3/" in request.headers["authorization"]:
            return storage(request)
        named = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
        return Answer(400, {}, named)

    storage = Stubborn([denied])
    async with scripted(in_region) as server, lab() as running:
        await running.tester.test(running.draft(server.url), {})
        assert await storage.emptied() == set()
    signed_for = ["eu-west-1" if "/eu-west-1/" in one.headers["authorization"] else "" for one in server.requests]
    assert signed_for == ["", "eu-west-1", "eu-west-1", "eu-west-1"]


async def test_what_was_removed_is_not_removed_twice() -> None:
    async with hostile.accepting() as server, lab() as running:
        await running.tester.test(running.draft(server.url), {})
        await asyncio.sleep(0.05)
    assert [request.method for request in server.requests] == ["PUT", "DELETE"]


async def test_a_refused_upload_leaves_nothing_to_sweep() -> None:
    async with hostile.answering(403) as server, lab() as running:
        await running.tester.test(running.draft(server.url), {})
        await asyncio.sleep(0.05)
    assert [request.method for request in server.requests] == ["PUT"]


async def test_closing_names_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    storage = Stubborn([denied] * 100)
    async with scripted(storage) as server, lab(delays=(1000.0,)) as running:
        await running.tester.test(running.draft(server.url), {})
    assert [record.levelname for record in caplog.records if NAMED in record.getMessage()] == ["WARNING"]


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
        reports = await asyncio.gather(*(running.tester.test(draft, {}) for _ in range(12)))
    assert all(report.ok for report in reports)
    assert most == 3


async def test_who_waits_too_long_for_a_slot_is_told_when_to_come_back() -> None:
    """A patient caller goes on waiting; both waited behind another, in the order in which they came."""
    async with hostile.hanging() as server, lab(timeout=0.4, concurrency=1) as running:
        draft = running.draft(server.url)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(running.tester.test(draft, {}))
            patient = group.create_task(running.tester.test(draft, {}, patient=True))
            await asyncio.sleep(0)
            with pytest.raises(RateLimited) as limited:
                await running.tester.test(draft, {})
    assert limited.value.retry_after == 1
    assert [first.result().code, patient.result().code] == ["timeout", "timeout"]


async def test_a_cancelled_test_gives_its_slot_back() -> None:
    async with hostile.hanging() as hanging, hostile.accepting() as server, lab(concurrency=1) as running:
        cancelled = asyncio.create_task(running.tester.test(running.draft(hanging.url), {}))
        async with asyncio.timeout(LONG):
            while not hanging.connections:
                await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (await running.tester.test(running.draft(server.url), {})).ok


async def test_a_type_that_is_not_served_any_more_is_not_tested() -> None:
    async with lab() as running:
        gone = Draft(type="gone", name="x", enabled=True, settings={}, secrets={})
        with pytest.raises(StoreError, match="'gone' are not served here any more"):
            await running.tester.test(gone, {})


async def test_a_missing_package_is_no_outcome_of_a_test(caplog: pytest.LogCaptureFixture) -> None:
    """Raised as it is: the destination may be fine."""

    def open_nothing(*_: object) -> AbstractAsyncContextManager[Bucket]:
        raise MissingExtra("toy")

    known = discover()["s3"]
    provider = Provider(type="toy", label="Toy", fields=known.fields, open=open_nothing, extra="toy")
    async with lab(providers={"toy": provider}) as running:
        draft = draft_of(provider, S3_FIELDS | COMMON | {"type": "toy"}, loopback())
        with pytest.raises(MissingExtra, match=r"consignee\[toy\]"):
            await running.tester.test(draft, {})
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
