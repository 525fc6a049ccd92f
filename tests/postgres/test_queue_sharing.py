"""Several processes claim from one queue on PostgreSQL: what holds for one holds for all of them together."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from consignee.postgres.database import Database
from consignee.queue import AT_ONCE, Change, LeaseLost
from consignee.queue.postgres import PostgresQueue
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from queues.claiming import EACH, LEASE, START, Clock, filled, ids, one, settled, soon

KIND = "jobs"
Opened = Callable[..., Awaitable[PostgresQueue]]


@pytest.fixture
def clock() -> Clock:
    """The time, which stands still."""
    return Clock()


@pytest.fixture
async def opened(url: Secret, clock: Clock) -> AsyncIterator[Opened]:
    """Opens the queue as another process would: with connections of its own."""
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> PostgresQueue:
            store = PostgresStore(Database(url))
            await store.open()
            stack.push_async_callback(store.close)
            queue = PostgresQueue(store, KIND, **{"now": clock, "lease": LEASE, **options})
            await queue.open()
            return queue

        yield opened


@pytest.fixture
async def first(opened: Opened) -> PostgresQueue:
    """The queue in one process."""
    return await opened()


@pytest.fixture
async def second(opened: Opened) -> PostgresQueue:
    """The queue in another one."""
    return await opened()


async def test_no_lane_has_more_under_lease_than_its_share_in_all_processes(
    first: PostgresQueue, second: PostgresQueue
) -> None:
    await filled(first, 20)
    claimed = [await queue.claim(3, each=4) for queue in (first, second, first)]
    assert [len(jobs) for jobs in claimed] == [3, 1, 0]
    await first.acknowledge(claimed[0][0], {})
    assert len(await second.claim(9, each=4)) == 1


async def test_accounts_take_turns_whoever_claims(first: PostgresQueue, second: PostgresQueue) -> None:
    await filled(first, 100, account="big")
    await filled(second, 3, account="small")
    found: Counter[str] = Counter()
    for queue in (first, second) * 3:
        for job in await queue.claim(1, each=EACH):
            found[job.account] += 1
            await queue.acknowledge(job, {})
    assert found == {"big": 3, "small": 3}


async def test_an_account_that_is_about_to_get_a_job_keeps_nobody_waiting(
    first: PostgresQueue, second: PostgresQueue, database: Database
) -> None:
    """Its lane has nothing to give yet, and must not be put to sleep either: others have their turn."""
    await filled(first, 1, account="a", due=AT_ONCE)
    await first.acknowledge(await one(first), {})
    await filled(first, 2, account="b")
    [job] = await first.claim(1, each=EACH)  # so that the next turn is that of the first account
    await first.acknowledge(job, {})
    session = await database.connected()
    await session.raw.execute(f"BEGIN; SELECT wake_lane('{KIND}', 'a', 'l', 0)")
    assert await ids(second, 1) == ["l1"]
    await session.close()


async def test_a_lane_that_is_about_to_get_a_job_keeps_no_other_waiting(
    first: PostgresQueue, database: Database
) -> None:
    """Commits may take long: they wait for a standby."""
    await filled(first, 1, lane="u", due=AT_ONCE)
    await first.acknowledge(await one(first), {})
    await filled(first, 2, lane="v")
    [job] = await first.claim(1, each=EACH)  # so that the next turn is that of the first lane
    await first.acknowledge(job, {})
    session = await database.connected()
    await session.raw.execute(f"BEGIN; SELECT wake_lane('{KIND}', 'a', 'u', 0)")
    assert await ids(first, 1) == ["v1"]
    await session.close()


async def test_a_job_that_somebody_is_about_to_change_keeps_nobody_waiting(
    first: PostgresQueue, database: Database
) -> None:
    """Though it would be the next one."""
    await filled(first, 2, account="a")
    await filled(first, 1, account="b")
    session = await database.connected()
    await session.raw.execute("BEGIN; SELECT FROM jobs WHERE account = 'a' AND id = 'l0' FOR UPDATE")
    assert [job.account for job in await first.claim(1, each=EACH)] == ["b"]
    await session.close()


async def test_an_account_has_its_share_of_the_places_of_all_that_claim(opened: Opened, clock: Clock) -> None:
    """Of a process that has not been seen for as long as a lease, it has none."""
    first, second = await opened(of_account=3), await opened(of_account=3)
    for lane in "uvwxyz":
        await filled(first, 4, lane=lane)
    assert len(await first.claim(9, each=EACH)) == 3
    jobs = await second.claim(9, each=EACH)
    assert len(jobs) == 3
    clock.advance(LEASE - 1)
    for job in jobs:
        await second.extend(job)
    clock.advance(1)
    assert await ids(second) == [], "what the first one had is due again, but now all of it would be for the second one"
    await first.claim(1, each=EACH)
    assert len(await second.claim(9, each=EACH)) == 2


async def test_an_attempt_of_the_same_number_of_another_worker_has_no_say(
    first: PostgresQueue, second: PostgresQueue
) -> None:
    """Numbers alone would not do: a job that was removed and added anew has them again."""
    await filled(first, 1)
    old = await one(first)
    await second.remove("a", "l0")
    await filled(second, 1)
    new = await one(second)
    assert new.attempt == old.attempt
    for word in (first.acknowledge(old, {}), first.retry(old, {}, due=START), first.release(old), first.extend(old)):
        with pytest.raises(LeaseLost):
            await word
    assert await first.get("a", "l0") == new
    assert (await second.acknowledge(new, {"done": 1})).data == {"done": 1}


async def test_a_change_in_one_process_ends_the_attempt_in_another(first: PostgresQueue, second: PostgresQueue) -> None:
    await filled(first, 1)
    job = await one(first)
    await second.change("a", job.id, lambda now: Change({"changed": 1}, None))
    with pytest.raises(LeaseLost):
        await first.extend(job)
    assert await first.get("a", job.id) == await second.get("a", job.id)


async def test_a_hold_of_one_process_holds_for_all_and_there_is_one_probe(
    first: PostgresQueue, second: PostgresQueue, clock: Clock
) -> None:
    """Whoever lifts it lifts it for all."""
    await filled(first, 9)
    await first.hold("a", "l", START + 10)
    assert await ids(second) == []
    clock.advance(10)
    probe = await one(second)
    assert await ids(first) == []
    await second.retry(probe, {}, due=AT_ONCE)
    clock.advance(1000)
    assert [await ids(queue) for queue in (first, second)] == [[], []]
    await first.hold("a", "l", None)
    assert len(await ids(second)) == EACH


async def test_what_a_dead_process_had_comes_again_when_its_leases_end(
    first: PostgresQueue, second: PostgresQueue, clock: Clock
) -> None:
    await filled(first, 5)
    await first.claim(9, each=EACH)
    assert await ids(second) == []
    clock.advance(LEASE)
    assert Counter(job.crashes for job in await second.claim(9, each=5)) == {1: EACH, 0: 1}


@pytest.mark.parametrize("news", ["add", "release", "change", "lift"])
async def test_a_wait_ends_with_the_news_of_another_process(opened: Opened, second: PostgresQueue, news: str) -> None:
    """At once: not when it would have looked again anyway."""
    first = await opened(look_every=9999.0)
    await filled(first, 1, lane="held")
    await first.hold("a", "held", START + 9999)
    await filled(first, EACH + 1)
    job, *_ = await second.claim(EACH, each=EACH)
    await settled(second)
    await settled(first)
    waiting = asyncio.ensure_future(first.wait(9999))
    match news:
        case "add":
            await filled(second, 1, lane="new")
        case "release":
            await second.release(job)
        case "change":
            await second.change("a", job.id, lambda job: Change({}, AT_ONCE))
        case _:
            await second.hold("a", "held", None)
    async with asyncio.timeout(LEASE / 2):
        await waiting
    assert len(await first.claim(1, each=EACH)) == 1


async def test_what_no_hint_told_of_is_found_all_the_same(first: PostgresQueue, store: PostgresStore) -> None:
    await settled(first)
    waiting = asyncio.ensure_future(first.wait(9999))
    job = {"lane": "l", "attempt": 0, "crashes": 0, "due": START, "lease": None}
    await store.save(KIND, "a", "untold", {"job": job, "data": {}})
    await soon(waiting)
    assert await ids(first) == ["untold"]


async def test_two_queues_of_a_database_do_not_mix(first: PostgresQueue, store: PostgresStore, clock: Clock) -> None:
    other = PostgresQueue(store, "messages", now=clock, lease=LEASE)
    await other.open()
    await filled(first, 2)
    await filled(other, 1)
    assert await ids(other) == ["l0"]
    await other.hold("a", "l", START + 9)
    assert await ids(first) == ["l0", "l1"]
    assert (await first.census()).under_way == 2
    assert (await other.census()).under_way == 1


async def test_the_time_is_the_databases(opened: Opened, database: Database) -> None:
    """Nobody's own clock decides when a job is due or a lease ends."""
    queue = await opened(now=None, lease=1000.0)
    [row] = await database.fetch("SELECT extract(epoch FROM clock_timestamp())::double precision AS now")
    await filled(queue, 1, due=row["now"] + 1000)
    await filled(queue, 1, lane="m", due=row["now"] - 1)
    job = await one(queue)
    assert job.id == "m0" and job.lease is not None and 1000 <= job.lease - row["now"] < 1500


async def test_what_seems_to_be_due_in_the_far_future_is_due_earlier_for_the_next_process(
    first: PostgresQueue, opened: Opened, clock: Clock
) -> None:
    await filled(first, 1, due=START + 9999)
    again = await opened(furthest=100.0)
    assert await ids(again) == []
    clock.advance(100)
    assert await ids(again) == ["l0"]


async def test_nobody_is_told_what_a_job_is_about(
    opened: Opened, caplog: pytest.LogCaptureFixture, first: PostgresQueue
) -> None:
    caplog.set_level(logging.DEBUG)
    queue = await opened(worker=UUID(int=7))
    await queue.add("a", "1", {"secret": "canary"}, lane="l", due=START)
    await queue.acknowledge(await one(queue), {"secret": "canary"})
    assert "canary" not in caplog.text
