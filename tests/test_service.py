"""Testing many destinations at once: fairly over accounts, and whoever hangs delays no other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from balky import fields
from clinic import Clinic, clinic
from timers import settled


@asynccontextmanager
async def verifying(running: Clinic, *accounts: str) -> AsyncIterator[dict[str, list[bool]]]:
    """Let each account test all that it has; yield the outcomes as they come."""
    outcomes: dict[str, list[bool]] = {account: [] for account in accounts}

    async def verify(account: str) -> None:
        async for _, report in running.destinations.verify(account):
            outcomes[account].append(report.ok)

    tasks = [asyncio.create_task(verify(account)) for account in accounts]
    await settled()
    try:
        yield outcomes
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_accounts_hanging_ones_hold_a_quarter_of_the_places() -> None:
    """The two others are served meanwhile, whoever asked first; and a single test finds a place at once."""
    async with clinic(concurrency=8) as running:
        for number in range(50):
            running.storage.hanging.add(await _register(running, "ann", number))
        for account in ("bob", "cy"):
            for number in range(5):
                await _register(running, account, number)
        async with verifying(running, "ann", "bob", "cy") as outcomes:
            assert Counter(running.storage.under_way) == {"ann-0": 1, "ann-1": 1}
            assert outcomes == {"ann": [], "bob": [True] * 5, "cy": [True] * 5}
            assert (await running.destinations.test("ann", fields("bob-0"))).ok
        await settled()
        assert running.storage.under_way == []


async def test_many_accounts_that_hang_leave_half_of_the_places() -> None:
    names = [f"account{number}" for number in range(10)]
    async with clinic(concurrency=8) as running:
        for account in names:
            running.storage.hanging.add(await _register(running, account, 0))
        async with verifying(running, *names):
            assert len(running.storage.under_way) == 4


async def test_all_are_tested_in_the_end() -> None:
    """Also by a service that tests one at a time."""
    async with clinic(concurrency=1) as running:
        for account in ("ann", "bob"):
            for number in range(10):
                await _register(running, account, number)
        async with verifying(running, "ann", "bob") as outcomes:
            while any(len(reports) < 10 for reports in outcomes.values()):
                await settled()
        assert running.storage.most == 1
        assert running.storage.opened[:6] == ["ann-0", "ann-1", "bob-0", "ann-2", "bob-1", "ann-3"]


async def test_one_that_is_deleted_while_it_waits_is_left_out() -> None:
    async with clinic(concurrency=4) as running:
        for number in range(3):
            await _register(running, "ann", number)
        running.storage.hanging.add("ann-0")
        page = await running.destinations.list("ann")
        async with verifying(running, "ann") as outcomes:
            await running.destinations.delete("ann", page.destinations[1].id)
            running.storage.resumed.set()
            await settled()
            assert outcomes == {"ann": [True, True]}
        assert running.storage.opened == ["ann-0", "ann-2"]


async def test_a_change_for_the_worse_is_counted_whoever_asked() -> None:
    async with clinic() as running:
        id_ = await running.register("ann", "one")
        running.storage.refusing.add("one")
        for _ in range(2):
            assert not (await running.destinations.test_saved("ann", id_)).ok
        assert (running.destinations.health.broke, running.destinations.health.recovered) == (1, 0)


async def test_two_tests_that_find_the_same_change_count_it_once() -> None:
    """Both began when it was good."""
    async with clinic() as running:
        id_ = await running.register("ann", "one")
        running.storage.refusing.add("one")
        await asyncio.gather(*(running.destinations.test_saved("ann", id_) for _ in range(5)))
        assert running.destinations.health.broke == 1


async def _register(running: Clinic, account: str, number: int) -> str:
    """Save a destination, and return the name of its bucket."""
    await running.register(account, name := f"{account}-{number}")
    return name
