"""The contract of a queue: what becomes of a job."""

from dataclasses import replace

import pytest

from consignee.errors import Conflict
from consignee.queue import AT_ONCE, Change, Job, Queue
from queues.claiming import EACH, LEASE, START, Clock, Reopen, filled, ids, one


class OutcomeContract:
    """What becomes of a job."""

    async def test_a_new_queue_is_empty(self, queue: Queue) -> None:
        assert await queue.claim(10, each=EACH) == []
        assert await queue.get("a", "1") is None
        assert await queue.list("a") == []
        assert await queue.ids("a") == []

    async def test_a_job_is_as_it_was_added(self, queue: Queue) -> None:
        data = {"b": [1, None, {"x": 1.5}], "ü": 'q"\\\0'}
        job = await queue.add('a"ü', 'i"\\', data, lane="l ü", due=START + 5)
        assert job == Job(account='a"ü', id='i"\\', lane="l ü", data=data, due=START + 5)
        assert await queue.get('a"ü', 'i"\\') == job
        assert await queue.list('a"ü') == [job]

    async def test_a_second_job_of_the_same_id_is_a_conflict(self, queue: Queue) -> None:
        """But not one of another account; the first is as it was."""
        first = await queue.add("a", "1", {"n": 1}, lane="l", due=START)
        with pytest.raises(Conflict):
            await queue.add("a", "1", {"n": 2}, lane="m", due=None)
        await queue.add("b", "1", {"n": 3}, lane="l", due=START)
        assert await queue.get("a", "1") == first
        assert len(await queue.claim(10, each=EACH)) == 2

    async def test_what_is_unfinished_is_known_without_reading_it(self, queue: Queue) -> None:
        """Due or leased, of those jobs alone; one at rest is not, and one that is no more."""
        for id_, due in (("x.1", START), ("x.2", None), ("y.1", None), ("z.1", START)):
            await queue.add("a", id_, {}, lane="l", due=due)
        assert await queue.unfinished("a", prefix="x.")
        assert not await queue.unfinished("a", prefix="y.")
        assert not await queue.unfinished("b", prefix="x.")
        first, second = await queue.claim(2, each=EACH)
        assert await queue.unfinished("a", prefix="x.")
        await queue.acknowledge(first, {})
        await queue.remove(second.account, second.id)
        assert not await queue.unfinished("a", prefix="")

    async def test_a_list_is_of_one_account_and_oldest_first(self, queue: Queue) -> None:
        for id_ in ("x.2", "y.1", "x.1"):
            await queue.add("a", id_, {}, lane="l", due=None)
        await queue.add("b", "x.3", {}, lane="l", due=START)
        await queue.change("a", "x.2", lambda job: Change({"later": 1}, None))
        assert [job.id for job in await queue.list("a")] == ["x.2", "y.1", "x.1"]
        assert [job.id for job in await queue.list("a", prefix="x.")] == ["x.2", "x.1"]
        assert await queue.ids("a") == ["x.2", "y.1", "x.1"]
        assert await queue.ids("a", prefix="x.") == ["x.2", "x.1"]
        await queue.remove("a", "x.2")
        assert await queue.ids("a") == ["y.1", "x.1"]

    async def test_a_job_is_claimed_when_it_is_due_and_not_before(self, queue: Queue, clock: Clock) -> None:
        await queue.add("a", "1", {}, lane="l", due=START + 10)
        await queue.add("a", "rests", {}, lane="l", due=None)
        clock.advance(9.5)
        assert await ids(queue) == []
        clock.advance(0.5)
        assert await ids(queue) == ["1"]

    async def test_a_claimed_job_has_a_lease_and_is_not_claimed_again(self, queue: Queue, clock: Clock) -> None:
        (added,) = await filled(queue, 1)
        job = await one(queue)
        assert job == replace(added, attempt=1, lease=START + LEASE)
        assert await queue.get("a", job.id) == job
        assert await queue.list("a") == [job]
        clock.advance(LEASE - 1)
        assert await ids(queue) == []

    async def test_at_most_as_many_as_asked_for_are_claimed(self, queue: Queue) -> None:
        await filled(queue, 4)
        assert await ids(queue, 0) == []
        assert await ids(queue, 3) == ["l0", "l1", "l2"]
        assert await ids(queue, 3) == ["l3"]

    async def test_an_acknowledged_job_rests_with_its_outcome(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 1)
        job = await one(queue)
        done = await queue.acknowledge(job, {"done": True})
        assert done == replace(job, data={"done": True}, due=None, lease=None)
        assert await queue.get("a", job.id) == done
        clock.advance(10 * LEASE)
        assert await ids(queue) == []

    async def test_a_retried_job_comes_again_at_its_time(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 1)
        job = await one(queue)
        later = await queue.retry(job, {"failed": 1}, due=START + 10)
        assert later == replace(job, data={"failed": 1}, due=START + 10, lease=None)
        assert await ids(queue) == []
        clock.advance(10)
        again = await one(queue)
        assert (again.attempt, again.crashes, again.data) == (2, 0, {"failed": 1})

    async def test_a_released_job_comes_again_at_once_and_that_is_no_crash(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 1)
        job = await one(queue)
        clock.advance(5)
        given_back = await queue.release(job)
        assert given_back == replace(job, due=AT_ONCE, lease=None)
        again = await one(queue)
        assert (again.attempt, again.crashes, again.data) == (2, 0, job.data)
        assert (await queue.release(again, {"half": "done"})).data == {"half": "done"}
        assert (await one(queue)).data == {"half": "done"}

    async def test_what_an_attempt_found_out_is_kept_when_its_job_is_given_back(self, queue: Queue) -> None:
        """Also if the worker hands in the job as it was claimed."""
        await filled(queue, 1)
        job = await one(queue)
        await queue.extend(job, {"half": "done"})
        await queue.extend(job)
        await queue.release(job)
        assert (await one(queue)).data == {"half": "done"}

    async def test_an_extended_lease_begins_anew(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 1)
        job = await one(queue)
        clock.advance(LEASE - 1)
        job = await queue.extend(job)
        assert job.lease == START + 2 * LEASE - 1
        clock.advance(LEASE - 1)
        job = await queue.extend(job, {"half": "done"})
        clock.advance(LEASE - 1)
        assert await ids(queue) == []
        assert await queue.get("a", job.id) == job
        assert (job.attempt, job.data) == (1, {"half": "done"})
        clock.advance(1)
        assert (await one(queue)).crashes == 1

    async def test_leases_that_end_count_as_crashes_in_a_row(self, queue: Queue, clock: Clock) -> None:
        """Any word about the job ends the row."""
        await filled(queue, 1)
        for crashes in range(3):
            job = await one(queue)
            assert (job.attempt, job.crashes) == (crashes + 1, crashes)
            clock.advance(LEASE)
        await queue.retry(await one(queue), {}, due=START)
        assert (await one(queue)).crashes == 0

    async def test_what_was_claimed_by_a_process_that_is_no_more_comes_again(
        self, queue: Queue, clock: Clock, reopen: Reopen
    ) -> None:
        """At the latest when its lease ends, with a crash; nothing else changes."""
        await filled(queue, 6)
        jobs = await queue.claim(5, each=9)
        await queue.release(jobs[0])
        await queue.acknowledge(jobs[1], {})
        await queue.retry(jobs[2], {}, due=START + 99)
        await queue.extend(jobs[3], {"half": "done"})
        queue = await reopen()
        clock.advance(LEASE)
        found = {job.id: (job.attempt, job.crashes) for job in await queue.claim(10, each=9)}
        assert found == {"l0": (2, 0), "l3": (2, 1), "l4": (2, 1), "l5": (1, 0)}
        half = await queue.get("a", "l3")
        assert half is not None and half.data == {"half": "done"}
        clock.advance(99 - LEASE)
        assert "l2" in await ids(queue, each=9)
