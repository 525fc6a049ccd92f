"""The contract of a queue: when it is worth while to claim again."""

import asyncio

import pytest

from consignee.queue import Change, Job, Queue
from queues.claiming import EACH, LEASE, START, Clock, filled, ids, settled, soon


class WaitContract:
    """When it is worth while to claim again."""

    async def test_a_wait_ends_at_the_latest_after_its_time(self, queue: Queue) -> None:
        await settled(queue)
        await soon(queue.wait(0.01))
        await filled(queue, 5)
        assert len(await ids(queue)) == EACH
        await soon(queue.wait(0.01))

    @pytest.mark.parametrize(
        "news", ["add", "acknowledge", "retry", "release", "change", "remove", "lift", "hold anew"]
    )
    async def test_a_wait_ends_with_news(self, queue: Queue, news: str) -> None:
        """Whatever gives a claim something to give."""
        await filled(queue, EACH + 1)
        await filled(queue, 1, lane="held")
        await queue.hold("a", "held", START + 9999)
        job, *_ = await queue.claim(10, each=EACH)
        await settled(queue)
        waiting = asyncio.ensure_future(queue.wait(9999))
        await asyncio.sleep(0)
        await self._tell(queue, job, news)
        await soon(waiting)
        assert len(await ids(queue)) == 1

    async def _tell(self, queue: Queue, job: Job, news: str) -> None:
        match news:
            case "add":
                await queue.add("a", "new", {}, lane="new", due=START)
            case "acknowledge":
                await queue.acknowledge(job, {})
            case "retry":
                await queue.retry(job, {}, due=START + 999)
            case "release":
                await queue.release(job)
            case "change":
                await queue.change("a", job.id, lambda job: Change({}, None))
            case "remove":
                await queue.remove("a", job.id)
            case "lift":
                await queue.hold("a", "held", None)
            case _:
                await queue.hold("a", "held", START)

    async def test_news_before_the_wait_are_not_missed(self, queue: Queue) -> None:
        await settled(queue)
        await filled(queue, 1)
        await soon(queue.wait(9999))
        assert await ids(queue) == ["l0"]

    async def test_what_a_claim_left_over_is_no_reason_to_wait(self, queue: Queue) -> None:
        await filled(queue, 5)
        found: list[str] = []
        while len(found) < 4:
            await soon(queue.wait(9999))
            found += await ids(queue, 1)
        assert found == ["l0", "l1", "l2", "l3"]

    @pytest.mark.parametrize("what", ["job", "retry", "hold", "lease", "extended"])
    async def test_a_wait_ends_when_something_becomes_due(self, queue: Queue, clock: Clock, what: str) -> None:
        await filled(queue, 1, due=START + 0.1 if what == "job" else START)
        if what == "hold":
            await queue.hold("a", "l", START + 0.1)
        for job in await queue.claim(10, each=EACH):
            if what == "retry":
                await queue.retry(job, {}, due=START + 0.1)
            elif what == "extended":
                clock.advance(10)
                await queue.extend(job)
        if what in ("lease", "extended"):
            clock.advance(LEASE - 0.1)
        waits = 0
        before = clock()
        while clock() == before:
            begun = asyncio.get_running_loop().time()
            await soon(queue.wait(9999))
            waits += 1
            if asyncio.get_running_loop().time() - begun > 0.05:
                clock.advance(0.1)
        assert waits <= 3
        assert await ids(queue) == ["l0"]

    async def test_a_full_lane_does_not_make_the_waits_spin(self, queue: Queue, clock: Clock) -> None:
        """Nor does one that rests, or that awaits the word about its probe, or a job that is not due yet."""
        await filled(queue, 50)
        await filled(queue, 50, lane="rests")
        await filled(queue, 50, lane="probed")
        await queue.add("a", "later", {}, lane="later", due=START + 9999)
        await queue.hold("a", "rests", START + 9999)
        await queue.hold("a", "probed", START)
        jobs = {job.lane: job for job in await queue.claim(100, each=EACH)}
        await queue.retry(jobs["probed"], {}, due=START)
        clock.advance(1)
        waits = 0

        async def wait_and_claim() -> None:
            nonlocal waits
            while True:
                await queue.wait(9999)
                waits += 1
                assert await ids(queue) == []

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait_and_claim(), 0.3)
        assert waits <= 3

    async def test_a_wait_may_be_cancelled(self, queue: Queue) -> None:
        await settled(queue)
        waiting = asyncio.ensure_future(queue.wait(9999))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await filled(queue, 1)
        await soon(queue.wait(9999))
        assert await ids(queue) == ["l0"]
