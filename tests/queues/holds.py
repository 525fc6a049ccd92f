"""The contract of a queue: lanes that rest."""

import pytest

from consignee.queue import Change, Queue
from queues.claiming import EACH, LEASE, START, Clock, filled, ids, one


class HoldContract:
    """Lanes that rest."""

    async def test_a_held_lane_gives_nothing_before_its_time_and_then_one(self, queue: Queue, clock: Clock) -> None:
        await filled(queue, 5)
        await filled(queue, 1, lane="other")
        await queue.hold("a", "l", START + 10)
        await queue.acknowledge(await one(queue), {})
        clock.advance(9.5)
        assert await ids(queue) == []
        clock.advance(0.5)
        assert await ids(queue) == ["l0"]
        clock.advance(LEASE - 1)
        assert await ids(queue) == []

    @pytest.mark.parametrize("outcome", ["acknowledge", "retry"])
    async def test_after_the_probe_a_word_about_the_lane_is_awaited(
        self, queue: Queue, clock: Clock, outcome: str
    ) -> None:
        await filled(queue, 6)
        await queue.hold("a", "l", START)
        probe = await one(queue)
        if outcome == "retry":
            await queue.retry(probe, {}, due=START)
        else:
            await queue.acknowledge(probe, {})
        clock.advance(1000)
        assert await ids(queue) == []
        await queue.hold("a", "l", clock() + 10)
        assert await ids(queue) == []
        clock.advance(10)
        assert len(await ids(queue)) == 1
        assert await ids(queue) == []
        await queue.hold("a", "l", None)
        assert len(await ids(queue)) == EACH - 1

    @pytest.mark.parametrize("end", ["lease", "release", "change", "remove"])
    async def test_a_probe_without_an_outcome_is_followed_by_another(
        self, queue: Queue, clock: Clock, end: str
    ) -> None:
        """Nobody may be left who would say anything about the lane."""
        await filled(queue, 5)
        await queue.hold("a", "l", START)
        probe = await one(queue)
        match end:
            case "lease":
                clock.advance(LEASE)
            case "release":
                await queue.release(probe)
            case "change":
                await queue.change("a", probe.id, lambda job: Change({}, None))
            case _:
                await queue.remove("a", probe.id)
        assert len(await ids(queue)) == 1
        assert await ids(queue) == []

    async def test_a_lane_is_not_probed_while_others_of_it_are_under_way(self, queue: Queue) -> None:
        await filled(queue, 5)
        first, second = await queue.claim(2, each=EACH)
        await queue.hold("a", "l", START)
        assert await ids(queue) == []
        await queue.retry(first, {}, due=START + 99)
        assert await ids(queue) == []
        await queue.release(second)
        assert len(await ids(queue)) == 1
        assert await ids(queue) == []

    async def test_a_hold_that_is_set_anew_has_a_probe_of_its_own(self, queue: Queue) -> None:
        """How the earlier one ends does not count for it."""
        await filled(queue, 5)
        await queue.hold("a", "l", START)
        probe = await one(queue)
        await queue.hold("a", "l", START)
        assert await ids(queue) == []
        await queue.acknowledge(probe, {})
        assert len(await ids(queue)) == 1
        assert await ids(queue) == []

    async def test_a_hold_that_is_lifted_is_forgotten(self, queue: Queue) -> None:
        await filled(queue, 5)
        await queue.hold("a", "l", START + 1000)
        await queue.hold("a", "l", None)
        await queue.hold("a", "never", None)
        assert len(await ids(queue)) == EACH

    async def test_a_hold_is_of_one_lane_of_one_account_and_may_come_before_its_jobs(
        self, queue: Queue, clock: Clock
    ) -> None:
        await queue.hold("a", "l", START + 10)
        await filled(queue, 1, account="b")
        await filled(queue, 2)
        assert [job.account for job in await queue.claim(9, each=EACH)] == ["b"]
        clock.advance(10)
        assert [job.account for job in await queue.claim(9, each=EACH)] == ["a"]
