"""What a test leaves behind is really removed, as soon as the storage lets us; what may be there is remembered until then."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from consignee.errors import RateLimited, StoreError
from consignee.leftovers import KIND
from consignee.store.json_file import JsonFileStore
from fakes import hostile
from fakes.scripted import Answer, Request, scripted
from lab import LONG, NAMED, Stubborn, broken, denied, lab, silent


def our_tasks() -> list[object]:
    """Return what consignee itself has running."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return [one for one in coroutines if "/consignee/" in getattr(one, "cr_code", our_tasks.__code__).co_filename]


async def test_what_could_not_be_deleted_is_removed_once_it_can_be() -> None:
    """The storage refuses, then has a fault, then lets us."""
    storage = Stubborn([denied, denied, broken])
    async with scripted(storage) as server, lab() as running:
        report = await running.test(running.draft(server.url, s3_path_prefix="a/b"))
        assert report.left_behind == f"a/b/{NAMED}"
        assert storage.objects == {f"/demo-bucket/a/b/{NAMED}"}
        assert await storage.emptied() == set()
        await running.forgotten()


async def test_a_delete_that_hangs_is_tried_again() -> None:
    """Also if a later attempt hangs: it is given up after the time of a test, and the next one made."""
    storage = Stubborn([silent, silent])
    async with scripted(storage) as server, lab(timeout=0.3) as running:
        report = await running.test(running.draft(server.url))
        assert (report.code, report.left_behind) == ("timeout", NAMED)
        assert await storage.emptied() == set()
        await running.forgotten()


async def test_an_upload_that_was_not_answered_in_time_is_removed() -> None:
    """It may have been written: the customer is not told so, but it is removed if it was."""
    storage = Stubborn([], put=lambda _: silent())
    async with scripted(storage) as server, lab(timeout=0.3) as running:
        report = await running.test(running.draft(server.url))
        assert (report.code, report.left_behind) == ("timeout", None)
        assert storage.objects == {f"/demo-bucket/{NAMED}"}
        assert await storage.emptied() == set()
        await running.forgotten()


async def test_the_remover_knows_the_region_that_was_found() -> None:
    def in_region(request: Request) -> Answer:
        if "/eu-west-1/s3/" in request.headers["authorization"]:
            return storage(request)
        named = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
        return Answer(400, {}, named)

    storage = Stubborn([denied])
    async with scripted(in_region) as server, lab() as running:
        await running.test(running.draft(server.url))
        assert await storage.emptied() == set()
        await running.forgotten()
    signed_for = ["eu-west-1" if "/eu-west-1/" in one.headers["authorization"] else "" for one in server.requests]
    assert signed_for == ["", "eu-west-1", "eu-west-1", "eu-west-1"]


async def test_what_was_removed_is_not_removed_twice() -> None:
    async with hostile.accepting() as server, lab() as running:
        await running.test(running.draft(server.url))
        assert await running.remembered() == []
        await asyncio.sleep(0.05)
    assert [request.method for request in server.requests] == ["PUT", "DELETE"]


async def test_a_refused_upload_leaves_nothing_to_remove() -> None:
    async with hostile.answering(403) as server, lab() as running:
        await running.test(running.draft(server.url))
        assert await running.remembered() == []
        await asyncio.sleep(0.05)
    assert [request.method for request in server.requests] == ["PUT"]


async def test_it_is_remembered_before_the_upload_and_forgotten_after_the_delete() -> None:
    seen: list[tuple[str, list[str]]] = []

    async def look(request: Request) -> AsyncGenerator[bytes, None]:
        seen.append((request.method, await running.remembered()))
        yield hostile.as_storage(request).encode()

    async with scripted(lambda request: Answer(raw=look(request))) as server, lab() as running:
        await running.test(running.draft(server.url))
        assert seen == [("PUT", [NAMED]), ("DELETE", [NAMED])]
        assert await running.remembered() == []


async def test_closing_leaves_what_is_remembered() -> None:
    storage = Stubborn([denied] * 100)
    async with scripted(storage) as server, lab(delays=(1000.0,)) as running:
        await running.test(running.draft(server.url))
    assert await running.remembered() == [NAMED]


async def test_an_upload_that_arrives_after_the_first_delete_is_removed_too() -> None:
    """A storage may go on with what it has received when nobody waits for the answer any more."""
    storage = Stubborn([], put=lambda _: silent())

    def late(request: Request) -> Answer:
        answer = storage(request)
        if request.method == "DELETE" and len(deletes) == 0:
            storage.objects.add(request.path)
        deletes.extend([request.path] if request.method == "DELETE" else [])
        return answer

    deletes: list[str] = []
    async with scripted(late) as server, lab(timeout=0.3) as running:
        await running.test(running.draft(server.url))
        await running.forgotten()
    assert storage.objects == set()
    assert len(deletes) == 2


async def test_a_test_that_is_cancelled_in_its_upload_leaves_a_document_and_no_task() -> None:
    """The file is removed later, whether the storage has it or not."""
    storage = Stubborn([], put=lambda _: silent())
    async with scripted(storage) as server, lab(delays=(0.5,) * 10) as running:
        cancelled = asyncio.create_task(running.test(running.draft(server.url)))
        async with asyncio.timeout(LONG):
            while not storage.objects:
                await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert await running.remembered() == [NAMED]
        assert our_tasks() == []
        await running.forgotten()
        assert storage.objects == set()


async def test_the_memories_of_many_tests_are_written_together(tmp_path: Path) -> None:
    """Two changes for each test, but far fewer waits for the disk."""
    store = JsonFileStore(tmp_path)
    async with hostile.accepting() as server, lab(concurrency=50, store=store) as running:
        draft = running.draft(server.url)
        await asyncio.gather(*(running.test(draft) for _ in range(50)))
        assert await running.remembered() == []
        assert len((tmp_path / f"{KIND}.jsonl").read_text().splitlines()) == 101
        assert store.commits < 50
        await store.close()


async def test_a_store_that_can_not_remember_prevents_the_upload() -> None:
    async with hostile.accepting() as server, lab() as running:
        await running.store.close()
        with pytest.raises(StoreError):
            await running.test(running.draft(server.url))
    assert server.requests == []


async def test_an_account_with_too_many_files_left_can_not_test() -> None:
    """Until some are gone; another account can."""
    storage = Stubborn([denied] * 2)
    async with scripted(storage) as server, lab(delays=(1000.0,), most=2) as running:
        draft = running.draft(server.url)
        for _ in range(2):
            assert (await running.test(draft)).left_behind
        with pytest.raises(RateLimited) as limited:
            await running.test(draft)
        assert limited.value.retry_after == 300
        assert len(storage.objects) == 2, "nothing was uploaded by the third"
        assert (await running.tester.test("bob", draft, {})).ok
