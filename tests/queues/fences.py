"""The contract of a queue: whose word counts."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from consignee.queue import AT_ONCE, Change, Job, LeaseLost, Queue
from queues.claiming import EACH, LEASE, START, Clock, filled, ids, one, one_of


class FenceContract:
    """Whose word counts."""

    async def lost(self, queue: Queue, job: Job) -> None:
        """Check that this attempt can't do anything, and changes nothing."""
        before = await queue.get(job.account, job.id)
        words = (
            queue.acknowledge(job, {"stale": 1}),
            queue.retry(job, {"stale": 1}, due=START),
            queue.release(job, {"stale": 1}),
            queue.release(job),
            queue.extend(job, {"stale": 1}),
            queue.extend(job),
        )
        for word in words:
            with pytest.raises(LeaseLost):
                await word
        assert await queue.get(job.account, job.id) == before

    async def test_an_attempt_whose_job_was_claimed_again_has_no_say(self, queue: Queue, clock: Clock) -> None:
        """The newest attempt has."""
        await filled(queue, 1)
        old = await one(queue)
        clock.advance(LEASE)
        new = await one(queue)
        await self.lost(queue, old)
        assert (await queue.acknowledge(await queue.extend(new), {"new": 1})).data == {"new": 1}

    @pytest.mark.parametrize("word", ["acknowledge", "retry", "release", "extend", "extend with data"])
    async def test_an_attempt_whose_lease_ended_has_a_say_until_the_job_is_claimed_again(
        self, queue: Queue, clock: Clock, word: str
    ) -> None:
        """Whether or not a claim of others noticed that the lease ended."""
        await filled(queue, 1, lane="other", due=START + 9 * LEASE)
        await filled(queue, 1)
        job = await one(queue)
        clock.advance(LEASE)
        await queue.hold("a", "l", clock() + 5)
        assert await ids(queue) == []
        match word:
            case "acknowledge":
                assert (await queue.acknowledge(job, {})).due is None
            case "retry":
                assert (await queue.retry(job, {}, due=START + 99)).due == START + 99
            case "release":
                assert (await queue.release(job)).due == AT_ONCE
            case "extend":
                assert (await queue.extend(job)).lease == clock() + LEASE
            case _:
                assert (await queue.extend(job, {"x": 1})).lease == clock() + LEASE
        await queue.hold("a", "l", None)
        assert await ids(queue) == (["l0"] if word == "release" else [])

    async def test_an_attempt_ends_once(self, queue: Queue) -> None:
        await filled(queue, 3)
        first, second, third = await queue.claim(3, each=EACH)
        await queue.acknowledge(first, {})
        await queue.retry(second, {}, due=START + 99)
        await queue.release(third)
        for job in (first, second, third):
            await self.lost(queue, job)

    @pytest.mark.parametrize("due", [None, START, START + 99])
    async def test_a_change_from_outside_revokes_the_lease(self, queue: Queue, clock: Clock, due: float | None) -> None:
        await filled(queue, 1)
        job = await one(queue)
        changed = await queue.change("a", job.id, lambda now: Change({**now.data, "changed": 1}, due))
        assert changed == replace(job, data={"of": "l0", "changed": 1}, due=due, lease=None)
        assert await queue.get("a", job.id) == changed
        await self.lost(queue, job)
        clock.advance(99)
        again = await queue.claim(10, each=EACH)
        assert [(one.attempt > job.attempt, one.crashes) for one in again] == ([] if due is None else [(True, 0)])
        await self.lost(queue, job)

    async def test_a_change_forgets_the_crashes(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 1)
        for _ in range(2):
            await one(queue)
            clock.advance(LEASE)
        await queue.change("a", "l0", lambda job: Change({}, START))
        assert (await one(queue)).crashes == 0

    async def test_a_change_that_is_not_wanted_changes_nothing(self, queue: Queue) -> None:
        """Who decides sees the job as it is, with the lease that it has."""
        await filled(queue, 1)
        job = await one(queue)
        seen: list[Job] = []
        assert await queue.change("a", job.id, seen.append) == job
        assert seen[:1] == [job]
        assert await queue.change("a", "other", seen.append) is None
        assert (await queue.acknowledge(job, {})).due is None

    async def test_a_change_wakes_a_job_at_rest(self, queue: Queue) -> None:
        await queue.add("a", "1", {"n": 1}, lane="l", due=None)
        await queue.change("a", "1", lambda job: Change({"n": 2}, START))
        assert (await one(queue)).data == {"n": 2}

    async def test_a_removed_job_is_gone_also_for_its_worker(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 2)
        job = await one_of(queue)
        await queue.remove("a", job.id)
        await queue.remove("a", job.id)
        await self.lost(queue, job)
        assert await queue.get("a", job.id) is None
        await queue.remove("a", "l1")
        clock.advance(2 * LEASE)
        assert await ids(queue) == []
        assert await queue.list("a") == []

    async def test_claimers_at_once_never_get_the_same_job(self, queue: Queue) -> None:
        for lane in range(10):
            await filled(queue, 10, lane=f"l{lane}.", account=f"a{lane % 3}")

        async def claimer() -> list[Job]:
            mine: list[Job] = []
            while jobs := await queue.claim(3, each=10):
                mine += jobs
            return mine

        claimed = [job for jobs in await asyncio.gather(*(claimer() for _ in range(4))) for job in jobs]
        assert Counter((job.account, job.id, job.attempt) for job in claimed) == Counter(
            (f"a{lane % 3}", f"l{lane}.{number}", 1) for lane in range(10) for number in range(10)
        )

    async def test_of_an_outcome_and_a_change_at_once_one_comes_second(self, queue: Queue) -> None:
        """If the change is first, the worker loses its lease; if it is second, it sees the outcome."""
        await filled(queue, 20)
        jobs = await queue.claim(20, each=20)
        for job in jobs:
            outcome, changed = await asyncio.gather(
                queue.acknowledge(job, {"done": 1}),
                queue.change("a", job.id, lambda now: Change({**now.data, "changed": 1}, None)),
                return_exceptions=True,
            )
            assert isinstance(outcome, LeaseLost | Job) and isinstance(changed, Job)
            expected = {"of": job.id} if isinstance(outcome, LeaseLost) else {"done": 1}
            assert changed.data == {**expected, "changed": 1}
            assert await queue.get("a", job.id) == changed

    async def test_a_claim_and_a_change_at_once_leave_one_of_both(self, queue: Queue, clock: Clock) -> None:
        """A job that was put to rest meanwhile is not worked on, or its worker has no say."""
        await filled(queue, 20)
        claiming = asyncio.ensure_future(queue.claim(20, each=20))
        await asyncio.gather(*(queue.change("a", f"l{n}", lambda job: Change({}, None)) for n in range(20)))
        claimed = await claiming
        for job in claimed:
            await self.lost(queue, job)
        clock.advance(2 * LEASE)
        assert await ids(queue, each=20) == []

    async def test_a_worker_that_is_cancelled_while_it_speaks_has_spoken_or_not(
        self, queue: Queue, clock: Clock
    ) -> None:
        """Either way the queue knows: what is to be done is done, and nothing else."""
        await filled(queue, 20)
        for job in await queue.claim(20, each=20):
            word = asyncio.ensure_future(queue.acknowledge(job, {}))
            await asyncio.sleep(0)
            word.cancel()
            await asyncio.wait([word])
        clock.advance(LEASE)
        claimed = set(await ids(queue, each=20))
        unfinished = {job.id for job in await queue.list("a") if job.due is not None}
        assert claimed == unfinished
