"""The queue over a store keeps the contract, in memory and over files."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consignee.errors import Conflict, StoreError
from consignee.queue import Change, Job, LeaseLost, Queue
from consignee.queue.stored import PAUSE, StoredQueue
from consignee.store import Data, Store
from consignee.store.json_file import JsonFileStore
from consignee.store.memory import MemoryStore
from preceded import PrecededStore
from queues.claiming import EACH, LEASE, START, Clock, Reopen, filled, ids, one, settled, soon
from queues.contract import QueueContract

KIND = "jobs"


async def opened(store: Store, clock: Clock) -> StoredQueue:
    """Open a queue over an open store."""
    queue = StoredQueue(store, KIND, now=clock, lease=LEASE)
    await queue.open()
    return queue


@pytest.fixture
def clock() -> Clock:
    """The time, which stands still."""
    return Clock()


class Stores:
    """Opens the store, and closes it when its process is no more."""

    def __init__(self, new: Callable[[], Store]) -> None:
        self._new = new
        self.store = new()

    async def reopen(self, clock: Clock) -> StoredQueue:
        """Close the store without ending anything, and open what it left."""
        await self.store.close()
        self.store = self._new()
        await self.store.open()
        return await opened(self.store, clock)


class StoredContract(QueueContract):
    """The contract, and what else holds over a store; subclasses give `stores`."""

    @pytest.fixture
    async def queue(self, stores: Stores, clock: Clock) -> AsyncIterator[StoredQueue]:
        await stores.store.open()
        yield await opened(stores.store, clock)
        await stores.store.close()

    @pytest.fixture
    def reopen(self, stores: Stores, clock: Clock) -> Reopen:
        async def reopen() -> Queue:
            return await stores.reopen(clock)

        return reopen

    async def test_after_a_restart_what_was_leased_is_claimed_at_once(self, queue: StoredQueue, reopen: Reopen) -> None:
        """And counts a crash, unless it was given back; nobody is shown as its worker until then."""
        await filled(queue, 3)
        job, *_ = await queue.claim(3, each=EACH)
        await queue.release(job)
        restarted = await reopen()
        assert [job.lease for job in await restarted.list("a")] == [None] * 3
        seen: list[Job] = []
        await restarted.change("a", "l1", seen.append)
        assert [job.lease for job in seen] == [None]
        found = {job.id: job.crashes for job in await restarted.claim(9, each=EACH)}
        assert found == {"l0": 0, "l1": 1, "l2": 1}

    async def test_crashes_in_a_row_are_counted_over_restarts(self, queue: Queue, reopen: Reopen) -> None:
        await filled(queue, 1)
        for crashes in range(4):
            job = await one(queue)
            assert (job.attempt, job.crashes) == (crashes + 1, crashes)
            queue = await reopen()

    async def test_a_restart_forgets_the_holds(self, queue: StoredQueue, reopen: Reopen) -> None:
        await filled(queue, 1)
        await queue.hold("a", "l", START + 1000)
        restarted = await reopen()
        await soon(restarted.wait(9999))
        assert await ids(restarted) == ["l0"]


class TestOverMemory(StoredContract):
    """The contract, over the store in memory."""

    @pytest.fixture
    def stores(self) -> Stores:
        store = MemoryStore()
        return Stores(lambda: store)


class TestOverFiles(StoredContract):
    """The contract, over files."""

    @pytest.fixture
    def stores(self, tmp_path: Path) -> Stores:
        return Stores(lambda: JsonFileStore(tmp_path / "store", now=lambda: datetime(2026, 1, 31, tzinfo=UTC)))


class FullDisk(PrecededStore):
    """A store that fails when it is told to, and waits with each save until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.go = asyncio.Event()
        self.go.set()

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        await self.go.wait()
        if self.full:
            raise StoreError("No space is left on the disk.")


@pytest.fixture
async def disk() -> AsyncIterator[FullDisk]:
    """A store that can fail, open."""
    disk = FullDisk()
    await disk.open()
    yield disk
    await disk.close()


async def test_what_the_disk_refuses_changes_nothing(disk: FullDisk, clock: Clock) -> None:
    queue = await opened(disk, clock)
    await filled(queue, 1)
    job = await one(queue)
    disk.full = True
    words = (
        queue.acknowledge(job, {}),
        queue.retry(job, {}, due=START),
        queue.release(job),
        queue.extend(job, {}),
        queue.change("a", job.id, lambda job: Change({}, None)),
        queue.add("a", "new", {}, lane="l", due=START),
    )
    for word in words:
        with pytest.raises(StoreError):
            await word
    assert await queue.list("a") == [job]
    assert await ids(queue) == []
    disk.full = False
    assert (await queue.acknowledge(job, {})).attempt == 1


async def test_what_the_disk_does_not_let_be_claimed_is_left_out(
    disk: FullDisk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again after a pause, and until then nothing spins; that is logged once for each claim."""
    queue = await opened(disk, clock)
    (added,) = await filled(queue, 1)
    disk.full = True
    for _ in range(3):
        assert await ids(queue) == []
        await settled(queue)
        assert await ids(queue) == []
        clock.advance(PAUSE)
    assert caplog.messages == ["1 jobs could not be claimed: No space is left on the disk."] * 3
    assert await queue.get("a", "l0") == added
    disk.full = False
    job = await one(queue)
    assert (job.attempt, job.crashes) == (1, 0)
    assert (await queue.extend(job)).attempt == 1


async def test_a_word_that_nobody_awaits_any_more_is_taken_in_all_the_same(disk: FullDisk, clock: Clock) -> None:
    """The store does what was begun, so the queue must know of it: else the job would be forgotten until a restart."""
    queue = await opened(disk, clock)
    disk.go.clear()
    adding = asyncio.ensure_future(queue.add("a", "1", {}, lane="l", due=START))
    await asyncio.sleep(0.01)
    adding.cancel()
    await asyncio.wait([adding])
    await settled(queue)
    waiting = asyncio.ensure_future(queue.wait(9999))
    disk.go.set()
    await soon(waiting)
    assert await ids(queue) == ["1"]


async def test_who_had_the_lease_has_no_say_while_it_is_claimed_again(disk: FullDisk, clock: Clock) -> None:
    """One of both gets the job: either the old attempt goes on, or the new one begins."""
    queue = await opened(disk, clock)
    await filled(queue, 1)
    old = await one(queue)
    clock.advance(LEASE)
    disk.go.clear()
    claiming = asyncio.ensure_future(queue.claim(9, each=EACH))
    await asyncio.sleep(0.01)
    extending = asyncio.ensure_future(queue.extend(old))
    await asyncio.sleep(0.01)
    assert not extending.done()
    disk.go.set()
    claimed = await claiming
    if claimed:
        with pytest.raises(LeaseLost):
            await extending
    else:
        assert (await extending).attempt == 1
    assert await ids(queue) == []
    clock.advance(LEASE)
    assert len(await ids(queue)) == 1


async def test_a_job_that_was_written_past_the_queue_is_found_as_it_is(disk: FullDisk, clock: Clock) -> None:
    """What is known in memory gives way to what is stored."""
    queue, other = await opened(disk, clock), await opened(disk, clock)
    await filled(queue, 3)
    await other.change("a", "l0", lambda job: Change({}, None))
    await other.change("a", "l1", lambda job: Change({"other": 1}, START))
    await other.remove("a", "l2")
    assert await ids(queue) == []
    assert [(job.id, job.data) for job in await queue.claim(9, each=EACH)] == [("l1", {"other": 1})]


async def test_a_removal_does_not_take_a_job_that_came_after_it(disk: FullDisk, clock: Clock) -> None:
    queue = await opened(disk, clock)
    await filled(queue, 1)
    removing = asyncio.ensure_future(queue.remove("a", "l0"))
    added = False
    while not added:
        with suppress(Conflict):
            await queue.add("a", "l0", {"again": 1}, lane="l", due=START)
            added = True
        await asyncio.sleep(0)
    await removing
    assert (await one(queue)).data == {"again": 1}
