"""A job that is saved anew is dressed as things are now, and nobody who has to do with it notices."""

import asyncio
import gc

import pytest

from consignee.queue import Data
from consignee.queue.stored import StoredQueue
from consignee.store import Document
from queues.claiming import EACH, LEASE, Clock, one
from racing import RacyStore

KIND = "jobs"


class Wardrobe:
    """A queue whose jobs are saved with what they wear now."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = RacyStore()
        self.worn = "old"
        self.queue = self.opened()

    def opened(self) -> StoredQueue:
        """Return another queue over the same store."""
        return StoredQueue(self.store, KIND, now=self.clock, lease=LEASE, dress=self._dress)

    def _dress(self, account: str, id_: str, data: Data) -> Data:
        return {**data, "data": {**data["data"], "worn": f"{account} {id_} {self.worn}"}}

    async def document(self) -> Document:
        """Return the only job's document."""
        document = await self.store.get(KIND, "ann", "1")
        assert document is not None
        return document

    async def worn_now(self) -> str:
        """Return what the only job is saved with."""
        return str((await self.document()).data["data"]["worn"])


@pytest.fixture
async def wardrobe() -> Wardrobe:
    """One job, which is due."""
    made = Wardrobe()
    await made.store.open()
    await made.queue.open()
    await made.queue.add("ann", "1", {"n": 1}, lane="a", due=made.clock())
    made.worn = "new"
    return made


async def test_a_waiting_job_is_dressed_anew_and_can_be_claimed(wardrobe: Wardrobe) -> None:
    assert await wardrobe.worn_now() == "ann 1 old"
    await wardrobe.queue.renew("ann", "1")
    assert await wardrobe.worn_now() == "ann 1 new"
    job = await one(wardrobe.queue)
    assert (job.data["n"], job.attempt, job.crashes) == (1, 1, 0)


async def test_whoever_works_on_it_goes_on(wardrobe: Wardrobe) -> None:
    """Its lease lasts as long as it would have, as it was extended in memory, and nobody else gets the job."""
    job = await one(wardrobe.queue)
    wardrobe.clock.advance(LEASE - 1)
    job = await wardrobe.queue.extend(job)
    wardrobe.clock.advance(LEASE - 1)
    await wardrobe.queue.renew("ann", "1")
    assert await wardrobe.queue.claim(9, each=EACH) == []
    job = await wardrobe.queue.extend(job, {"n": 2})
    ended = await wardrobe.queue.acknowledge(job, {"n": 3})
    assert (ended.data["n"], ended.attempt, ended.due) == (3, 1, None)


async def test_a_lease_that_ended_is_a_crash_all_the_same(wardrobe: Wardrobe) -> None:
    await one(wardrobe.queue)
    wardrobe.clock.advance(LEASE + 1)
    await wardrobe.queue.renew("ann", "1")
    job = await one(wardrobe.queue)
    assert (job.attempt, job.crashes) == (2, 1)


async def test_a_lease_of_a_process_that_is_no_more_is_a_crash_all_the_same(wardrobe: Wardrobe) -> None:
    """And the job can be claimed at once."""
    await one(wardrobe.queue)
    again = wardrobe.opened()
    await again.open()
    await again.renew("ann", "1")
    job = await one(again)
    assert (job.attempt, job.crashes) == (2, 1)


async def test_a_job_at_rest_stays_at_rest(wardrobe: Wardrobe) -> None:
    await wardrobe.queue.acknowledge(await one(wardrobe.queue), {"n": 2})
    before = await wardrobe.document()
    await wardrobe.queue.renew("ann", "1")
    after = await wardrobe.document()
    assert (after.revision, after.data) == (before.revision + 1, before.data)
    assert await wardrobe.queue.claim(9, each=EACH) == []


async def test_a_job_that_is_gone_is_nothing_to_renew(wardrobe: Wardrobe) -> None:
    await wardrobe.queue.remove("ann", "1")
    await wardrobe.queue.renew("ann", "1")
    assert await wardrobe.store.get(KIND, "ann", "1") is None


async def test_a_change_that_comes_between_is_not_lost(wardrobe: Wardrobe) -> None:
    """The job is looked at again."""
    job = await one(wardrobe.queue)
    wardrobe.store.first = lambda: wardrobe.queue.extend(job, {"n": 2})
    await wardrobe.queue.renew("ann", "1")
    document = await wardrobe.document()
    assert (document.data["data"]["n"], document.revision) == (2, 4)
    assert await wardrobe.worn_now() == "ann 1 new"
    await wardrobe.queue.acknowledge(job, {"n": 3})


async def test_a_change_whose_caller_went_away_fails_in_silence(wardrobe: Wardrobe) -> None:
    """What a worker noted in between is saved with what it says next; nobody waits for this any more."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    job = await one(wardrobe.queue)

    calls: list[asyncio.Future[object]] = []

    async def renew_and_cancel() -> None:
        await wardrobe.queue.renew("ann", "1")
        calls[0].cancel()
        await asyncio.wait(calls)

    wardrobe.store.first = renew_and_cancel
    calls.append(asyncio.ensure_future(wardrobe.queue.extend(job, {"n": 2})))
    await asyncio.wait(calls)
    while asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.sleep(0)
    assert calls.pop().cancelled()
    gc.collect()  # it is when it goes that a task complains
    assert complaints == []
    assert (await wardrobe.queue.acknowledge(job, {"n": 3})).data["n"] == 3
