"""The engine: it claims, lets work, and stops without harm."""

import asyncio
import logging
from pathlib import Path

import pytest

from consignee.delivery.engine import Engine
from consignee.errors import StoreError
from consignee.queue import AT_ONCE, Job, LeaseLost
from consignee.queue.stored import StoredQueue
from consignee.store.memory import MemoryStore
from delivery.depot import Clock, at_work, depot, until


async def _queue(clock: Clock, *, jobs: int = 0, lease: float = 30) -> StoredQueue:
    store = MemoryStore()
    await store.open()
    queue = StoredQueue(store, "jobs", now=clock, lease=lease)
    await queue.open()
    for number in range(jobs):
        await queue.add("ann", str(number), {}, lane="lane", due=clock.now)
    return queue


async def test_it_claims_nothing_more_once_it_stops_and_lets_what_is_under_way_end(tmp_path: Path) -> None:
    async with depot(tmp_path, per_destination=1) as d:
        result_sets = [await d.ready("one"), await d.ready("two")]
        d.warehouse.gates = {"one": asyncio.Event(), "two": asyncio.Event()}
        d.parts.dispatch.start()
        await until(lambda: d.warehouse.under_way.total() == 2)
        late = await d.deliver(await d.collection(result_sets[0].destination_ids[0]))
        stopping = asyncio.create_task(d.parts.dispatch.stop(30))
        d.warehouse.gates["one"].set()
        await until(lambda: d.has(result_sets[0], "success"))
        d.warehouse.gates["two"].set()
        await stopping
        assert await d.at_rest(*result_sets)
        assert await d.has(late, "pending")


async def test_what_does_not_end_in_time_is_given_back_unharmed(tmp_path: Path) -> None:
    """No crash is counted, no step of the schedule is used up, and the next start goes on with it at once."""
    async with depot(tmp_path) as d:
        result_set = await d.ready(files={"a": b"1", "b": b"2"})
        d.warehouse.in_parts = True
        d.warehouse.gates["bucket"] = asyncio.Event()
        async with at_work(d, grace=0.01):
            await until(lambda: d.warehouse.under_way["bucket"] == 2)
        job, delivery = await d.job(result_set), await d.delivery(result_set)
        assert (job.crashes, job.lease, job.due) == (0, None, AT_ONCE)
        assert (delivery.status, delivery.attempts, delivery.failures) == ("pending", 1, 0)
        assert set(delivery.checkpoints) == {"0", "1"}
        assert d.warehouse.under_way["bucket"] == 0
        d.warehouse.gates.clear()
        async with d.again() as again:
            await again.work()
            assert await again.has(result_set, "success")
            assert len(again.warehouse.resumed) == 2


async def test_a_worker_whose_lease_is_lost_is_ended() -> None:
    clock, ended = Clock(), asyncio.Event()
    queue = await _queue(clock, jobs=1, lease=0.05)

    async def work(job: Job) -> None:
        await queue.remove(job.account, job.id)
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    engine = Engine(queue, work, places=4, each=4, lease=0.05)
    engine.start()
    async with asyncio.timeout(10):
        await ended.wait()
    await engine.stop(0)


async def test_a_worker_keeps_its_lease_as_long_as_it_works() -> None:
    clock = Clock()
    queue = await _queue(clock, jobs=1, lease=0.06)
    attempts: list[int] = []
    go_on = asyncio.Event()

    async def work(job: Job) -> None:
        attempts.append(job.attempt)
        await go_on.wait()
        await queue.acknowledge(job, {"done": True})

    engine = Engine(queue, work, places=4, each=4, lease=0.06)
    engine.start()
    await until(lambda: len(attempts) == 1)
    for _ in range(3):
        clock.now += 0.05
        seen = clock.now
        await until(lambda seen=seen: _extended(queue, seen + 0.05))
    go_on.set()
    await until(lambda: _done(queue))
    await engine.stop(1)
    assert attempts == [1]


async def _extended(queue: StoredQueue, until_: float) -> bool:
    job = await queue.get("ann", "0")
    return job is not None and job.lease is not None and job.lease > until_


async def _done(queue: StoredQueue) -> bool:
    job = await queue.get("ann", "0")
    return job is not None and job.due is None


async def test_a_worker_that_fails_unexpectedly_is_not_repeated_before_its_lease_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    queue = await _queue(clock, jobs=1)
    jobs: list[Job] = []

    async def work(job: Job) -> None:
        jobs.append(job)
        raise KeyError("secret-4711")

    engine = Engine(queue, work, places=4, each=4, lease=30)
    engine.start()
    await until(lambda: len(jobs) == 1)
    await queue.hold("ann", "lane", None)
    await queue.add("ann", "other", {}, lane="other", due=clock.now)
    await until(lambda: len(jobs) == 2)
    clock.now += 30
    await queue.hold("ann", "lane", None)
    await until(lambda: len(jobs) == 4)
    await engine.stop(0)
    assert [job.crashes for job in jobs] == [0, 0, 1, 1]
    assert "KeyError at work" in caplog.text
    assert "secret-4711" not in caplog.text


class _Broken(StoredQueue):
    """A queue whose first claims fail as no queue should."""

    left = 1

    async def claim(self, limit: int, *, each: int) -> list[Job]:
        if self.left:
            self.left -= 1
            raise RuntimeError("a fault")
        return await super().claim(limit, each=each)


async def test_a_fault_of_the_queue_does_not_end_all_delivery() -> None:
    store = MemoryStore()
    await store.open()
    queue, done = _Broken(store, "jobs", now=Clock()), asyncio.Event()
    await queue.open()
    await queue.add("ann", "1", {}, lane="lane", due=0.0)

    async def work(job: Job) -> None:
        await queue.acknowledge(job, {})
        done.set()

    engine = Engine(queue, work, places=1, each=1, lease=30)
    engine.start()
    async with asyncio.timeout(10):
        await done.wait()
    await engine.stop(0)


class _Slow(StoredQueue):
    """A queue whose claims take until they are let go on."""

    claimed = asyncio.Event()
    go_on = asyncio.Event()

    async def claim(self, limit: int, *, each: int) -> list[Job]:
        jobs = await super().claim(limit, each=each)
        self.claimed.set()
        await self.go_on.wait()
        return jobs


async def test_what_is_claimed_while_it_stops_is_given_back() -> None:
    store, clock = MemoryStore(), Clock()
    await store.open()
    queue = _Slow(store, "jobs", now=clock)
    queue.claimed, queue.go_on = asyncio.Event(), asyncio.Event()
    await queue.open()
    await queue.add("ann", "1", {}, lane="lane", due=0.0)
    worked: list[Job] = []

    async def work(job: Job) -> None:
        worked.append(job)

    engine = Engine(queue, work, places=4, each=4, lease=30)
    engine.start()
    await queue.claimed.wait()
    stopping = asyncio.create_task(engine.stop(0))
    await asyncio.sleep(0)
    queue.go_on.set()
    await stopping
    job = await queue.get("ann", "1")
    assert job is not None
    assert (job.lease, job.crashes, job.due, worked) == (None, 0, AT_ONCE, [])


async def test_a_worker_that_has_its_own_job_taken_away_goes_on() -> None:
    """As one that disables a destination, for which its own delivery waits too."""
    queue, done = await _queue(Clock(), jobs=1), asyncio.Event()

    async def work(job: Job) -> None:
        await queue.retry(job, {}, due=1e12)
        await engine.take_away(job.account, job.id)
        done.set()

    engine = Engine(queue, work, places=4, each=4, lease=30)
    engine.start()
    async with asyncio.timeout(10):
        await done.wait()
    await engine.stop(0)


@pytest.mark.parametrize(
    ("failure", "word"),
    [(LeaseLost("It was."), "the job 0 was taken away"), (StoreError("It is full."), "It is full.")],
)
async def test_a_worker_that_could_not_have_its_say_is_logged(
    caplog: pytest.LogCaptureFixture, failure: Exception, word: str
) -> None:
    caplog.set_level(logging.INFO)
    queue = await _queue(Clock(), jobs=1)

    async def work(job: Job) -> None:
        raise failure

    engine = Engine(queue, work, places=4, each=4, lease=30)
    engine.start()
    await until(lambda: word in caplog.text)
    await engine.stop(0)
