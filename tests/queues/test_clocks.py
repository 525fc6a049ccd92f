"""Clocks that are set, and accounts that would have everything."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from consignee.queue import AT_ONCE
from consignee.queue.stored import StoredQueue
from consignee.store import Store
from consignee.store.memory import MemoryStore
from queues.claiming import EACH, LEASE, START, Clock, filled, ids, one, settled, soon

HOUR = 3600.0


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """A store, open."""
    made = MemoryStore()
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_setting_the_clock_neither_ends_a_lease_nor_prolongs_it(store: Store, jump: float) -> None:
    """A worker that lives keeps its job; one that does not, loses it when the lease ends."""
    wall, ticks = Clock(), Clock(5.0)
    queue = StoredQueue(store, "jobs", now=wall, clock=ticks, lease=LEASE)
    await queue.open()
    await filled(queue, 1, due=AT_ONCE)
    job = await one(queue)
    wall.advance(jump)
    assert await ids(queue) == []
    assert (await queue.extend(job)).attempt == 1
    shown = await queue.get("a", job.id)
    assert shown is not None and shown.lease == 5.0 + LEASE
    ticks.advance(LEASE)
    assert (await one(queue)).crashes == 1


async def test_a_wait_ends_with_a_lease_by_the_clock_of_leases(store: Store) -> None:
    wall, ticks = Clock(), Clock(5.0)
    queue = StoredQueue(store, "jobs", now=wall, clock=ticks, lease=LEASE)
    await queue.open()
    await filled(queue, 1)
    await one(queue)
    await settled(queue)
    ticks.advance(LEASE - 0.01)
    await soon(queue.wait(9999))
    ticks.time = 5.0 + LEASE
    assert await ids(queue) == ["l0"]


async def test_what_is_due_at_once_does_not_wait_for_a_clock_that_was_set_back(store: Store) -> None:
    """Nor does what was given back, or what had become due before."""
    wall = Clock()
    queue = StoredQueue(store, "jobs", now=wall, lease=LEASE)
    await queue.open()
    await queue.add("a", "back", {}, lane="l", due=AT_ONCE)
    await queue.release(await one(queue))
    await queue.add("a", "new", {}, lane="l", due=AT_ONCE)
    await queue.add("a", "later", {}, lane="l", due=START - 2 * HOUR + 10)
    wall.advance(-2 * HOUR)
    assert await ids(queue) == ["back", "new"]
    wall.advance(10)
    assert await ids(queue) == ["later"]


async def test_what_is_due_at_once_does_not_push_ahead_of_what_became_due_before_it_came(store: Store) -> None:
    """Else a lane with much to do would never come to its retries."""
    wall = Clock()
    queue = StoredQueue(store, "jobs", now=wall, lease=LEASE)
    await queue.open()
    await queue.add("a", "retry", {}, lane="l", due=START + 10)
    await queue.add("a", "before", {}, lane="l", due=AT_ONCE)
    wall.advance(20)
    await queue.add("a", "behind", {}, lane="l", due=AT_ONCE)
    assert await ids(queue) == ["before", "retry", "behind"]


async def test_what_seems_to_be_due_in_the_far_future_is_due_earlier_after_a_restart(store: Store) -> None:
    wall = Clock(START + 100 * HOUR)
    queue = StoredQueue(store, "jobs", now=wall, furthest=25 * HOUR)
    await queue.open()
    await filled(queue, 1, due=wall() + HOUR)
    await queue.add("a", "rests", {}, lane="l", due=None)
    wall.time = START
    again = StoredQueue(store, "jobs", now=wall, furthest=25 * HOUR)
    await again.open()
    wall.advance(25 * HOUR - 1)
    assert await ids(again) == []
    wall.advance(1)
    assert await ids(again) == ["l0"]


async def test_one_account_does_not_get_every_place(store: Store) -> None:
    """Also if nobody else has anything to do yet: who comes then must not wait for what takes long."""
    queue = StoredQueue(store, "jobs", now=Clock(), of_account=3)
    await queue.open()
    for lane in "xyz":
        await filled(queue, 4, lane=lane)
    jobs = await queue.claim(4, each=EACH)
    assert Counter(job.lane for job in jobs) == {"x": 1, "y": 1, "z": 1}
    await settled(queue)
    await filled(queue, 2, account="b")
    assert [job.account for job in await queue.claim(4, each=EACH)] == ["b", "b"]
    await settled(queue)
    waiting = asyncio.ensure_future(queue.wait(9999))
    await queue.acknowledge(jobs[0], {})
    await soon(waiting)
    assert len(await ids(queue)) == 1
    assert await ids(queue) == []


async def test_a_lease_that_ends_makes_room_in_its_account(store: Store) -> None:
    clock = Clock()
    queue = StoredQueue(store, "jobs", now=clock, lease=LEASE, of_account=1)
    await queue.open()
    for lane in "xy":
        await filled(queue, 1, lane=lane)
    first = await one(queue)
    await settled(queue)
    clock.advance(LEASE)
    await soon(queue.wait(9999))
    assert (await one(queue)).id != first.id
