"""How often a result set is looked at, however many follow it; with a clock of the test's own."""

import asyncio
from contextlib import ExitStack
from itertools import pairwise

import pytest

from consignee.errors import RateLimited, StoreError
from consignee.web.followed import EVERY, SLOWEST, Followed, Glance


class Sight:
    """A result set to look at, and the clock; each look takes `cost` seconds."""

    def __init__(self, *, cost: float = 0.0) -> None:
        self.now = 1000.0
        self.cost = cost
        self.looks = 0
        self.event = b"first"
        self.fails = False

    def clock(self) -> float:
        return self.now

    async def look(self) -> Glance:
        self.looks += 1
        self.now += self.cost
        await asyncio.sleep(0)
        if self.fails:
            raise StoreError("the disk is gone")
        return Glance(self.event, finished=False)


async def test_all_who_follow_a_result_set_share_a_look() -> None:
    sight = Sight()
    followed = Followed(clock=sight.clock)
    with ExitStack() as stack:
        shared = [stack.enter_context(followed.follow("ann", "A.1", sight.look)) for _ in range(20)]
        assert {seen.event for seen in await asyncio.gather(*(look() for look in shared)) if seen} == {b"first"}
        assert sight.looks == 1
        sight.event = b"second"
        sight.now += EVERY
        assert {seen.event for seen in await asyncio.gather(*(look() for look in shared)) if seen} == {b"second"}
        assert sight.looks == 2
    with followed.follow("ann", "A.1", sight.look) as look:
        await look()
        assert sight.looks == 3, "who follows anew sees it as it is now"


async def test_looks_become_rare_where_nothing_happens_and_frequent_again_after_news() -> None:
    sight = Sight()
    with Followed(clock=sight.clock).follow("ann", "A.1", sight.look) as look:
        times: list[float] = []
        while len(times) < 20:
            before = sight.looks
            await look()
            if sight.looks > before:
                times.append(sight.now)
            sight.event = b"news" if len(times) > 18 else b"first"
            sight.now += EVERY / 10
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert waits[0] < 2 * EVERY
        assert SLOWEST <= waits[15] <= SLOWEST + EVERY
        before = sight.looks
        sight.now += EVERY
        await look()
        assert sight.looks == before + 1


@pytest.mark.parametrize("subjects", [1, 3])
async def test_what_costs_much_is_looked_at_seldom(subjects: int) -> None:
    """However many are followed, looking takes a twentieth of the time."""
    sight = Sight(cost=1.0)
    followed = Followed(clock=sight.clock)
    with ExitStack() as stack:
        looks = [stack.enter_context(followed.follow("ann", f"A.{one}", sight.look)) for one in range(subjects)]
        began = sight.now
        while sight.now < began + 600:
            for look in looks:
                await look()
            sight.now += EVERY
            sight.event = str(sight.now).encode()
    assert 10 <= sight.looks <= 30 + 2 * subjects


async def test_an_account_may_have_so_many_who_follow_and_no_more() -> None:
    sight = Sight()
    followed = Followed(most=2, clock=sight.clock)
    with followed.follow("ann", "A.1", sight.look):
        with followed.follow("ann", "A.2", sight.look):
            with pytest.raises(RateLimited) as raised, followed.follow("ann", "A.1", sight.look):
                pass
            assert raised.value.retry_after > 0
            with followed.follow("bob", "B.1", sight.look):
                pass
        with followed.follow("ann", "A.1", sight.look) as look:
            assert await look() == Glance(b"first", finished=False)


async def test_a_look_that_failed_is_repeated_for_the_next_one() -> None:
    sight = Sight()
    sight.fails = True
    with Followed(clock=sight.clock).follow("ann", "A.1", sight.look) as look:
        for _ in range(2):
            with pytest.raises(StoreError):
                await look()
        sight.fails = False
        assert await look() == Glance(b"first", finished=False)
        assert sight.looks == 3
