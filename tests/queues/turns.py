"""The contract of a queue: who is next."""

from collections import Counter

import pytest

from consignee.queue import Job, Queue
from queues.claiming import START, filled, ids, one_of


class TurnContract:
    """Who is next."""

    async def test_no_lane_has_more_than_its_share_under_lease(self, queue: Queue) -> None:
        """What ends makes room."""
        await filled(queue, 9)
        jobs = await queue.claim(10, each=4)
        assert len(jobs) == 4
        assert await ids(queue, each=4) == []
        await queue.acknowledge(jobs[0], {})
        await queue.retry(jobs[1], {}, due=START + 99)
        await queue.remove("a", jobs[2].id)
        assert len(await ids(queue, each=4)) == 3
        assert await ids(queue, each=4) == []
        assert len(await ids(queue, each=6)) == 2

    async def test_lanes_of_the_same_name_of_two_accounts_are_two(self, queue: Queue) -> None:
        await filled(queue, 3, account="a")
        await filled(queue, 3, account="b")
        jobs = await queue.claim(10, each=2)
        assert Counter(job.account for job in jobs) == {"a": 2, "b": 2}

    async def test_in_a_lane_what_is_due_first_comes_first(self, queue: Queue) -> None:
        for id_, due in (("3", 3.0), ("1", 1.0), ("2", 2.0), ("late", 99.0)):
            await queue.add("a", id_, {}, lane="l", due=START - 50 + due)
        assert [(await one_of(queue)).id for _ in range(3)] == ["1", "2", "3"]

    @pytest.mark.parametrize("limit", [1, 6])
    async def test_a_small_account_does_not_wait_for_a_big_one(self, queue: Queue, limit: int) -> None:
        await filled(queue, 1000, account="big")
        await filled(queue, 3, account="small")
        assert (await self.first(queue, 6, limit))["small"] == 3

    @pytest.mark.parametrize("limit", [1, 6])
    async def test_a_small_lane_does_not_wait_for_a_big_one(self, queue: Queue, limit: int) -> None:
        await filled(queue, 1000, lane="big")
        await filled(queue, 3, lane="small")
        assert (await self.first(queue, 6, limit, by_lane=True))["small"] == 3

    async def first(self, queue: Queue, count: int, limit: int, *, by_lane: bool = False) -> Counter[str]:
        """Count whose the first jobs are, if so many are claimed at once and end before the next are claimed."""
        claimed: list[Job] = []
        while len(claimed) < count:
            jobs = await queue.claim(limit, each=3)
            claimed += jobs
            for job in jobs:
                await queue.acknowledge(job, {})
        return Counter(job.lane if by_lane else job.account for job in claimed)

    async def test_many_lanes_of_one_account_do_not_outdo_another_account(self, queue: Queue) -> None:
        for lane in range(50):
            await filled(queue, 2, account="many", lane=f"l{lane}.")
        await filled(queue, 3, account="small")
        jobs = await queue.claim(6, each=3)
        assert Counter(job.account for job in jobs) == {"many": 3, "small": 3}
        assert len({job.lane for job in jobs}) == 4
