"""Of all processes that share a store, one at a time holds a tenure, and its end is found out without synchronised clocks."""

import asyncio
from dataclasses import dataclass, field

import pytest

from consignee.agenda import Agenda
from consignee.store.memory import MemoryStore
from consignee.tenure import KIND, Tenure
from sharing import SharedMemoryStore, opened
from timers import Timers

SECONDS = 12.0
LOOK = 3.0


@dataclass
class Process:
    """One process, with a clock of its own."""

    store: SharedMemoryStore
    now: float
    tenure: Tenure = field(init=False)

    def __post_init__(self) -> None:
        self.tenure = Tenure(self.store, seconds=SECONDS, clock=lambda: self.now)

    async def after(self, seconds: float) -> bool:
        """Let time pass for this process, and return whether the tenure is its."""
        self.now += seconds
        return await self.tenure.is_ours()


@pytest.fixture
async def processes() -> list[Process]:
    """Three, whose clocks have nothing to do with each other."""
    first = await opened()
    return [Process(first, 50.0), Process(first.another(), 9e6), Process(first.another(), -7.5)]


async def test_alone_on_a_store_it_is_always_ours_and_nothing_is_written() -> None:
    store = MemoryStore()
    await store.open()
    tenure, timers = Tenure(store), Timers()
    tenure.start(Agenda(timers))
    assert await tenure.is_ours()
    await tenure.leave()
    assert await tenure.is_ours()
    assert store.kinds() == [] and timers.waiting == 0


async def test_one_has_it_and_keeps_it_as_long_as_it_renews_it(processes: list[Process]) -> None:
    one, *others = processes
    assert await one.after(0)
    for _ in range(20):
        assert await one.after(LOOK)
        assert [await each.after(LOOK) for each in others] == [False, False]


async def test_all_who_begin_at_once_give_it_to_one(processes: list[Process]) -> None:
    found = await asyncio.gather(*(each.after(0) for each in processes))
    assert sum(found) == 1


async def test_when_its_holder_is_silent_another_takes_it_over_and_just_one(processes: list[Process]) -> None:
    """Not before the holder itself stopped to count on it."""
    one, *others = processes
    assert await one.after(0)
    for _ in range(4):
        assert [await each.after(LOOK) for each in others] == [False, False]
    one.store.away = True
    assert not await one.after(4 * LOOK)
    found = await asyncio.gather(*(each.after(LOOK) for each in others))
    assert sum(found) == 1
    one.store.away = False
    assert not await one.after(LOOK)


async def test_who_looks_seldom_does_not_take_it_from_one_who_lives(processes: list[Process]) -> None:
    """It has changed since the last look: how long ago is all that counts, and that is not known."""
    one, other, _ = processes
    assert await one.after(0)
    for _ in range(5):
        for _ in range(10):
            assert await one.after(LOOK)
        assert not await other.after(10 * SECONDS)


async def test_a_store_that_is_away_for_a_moment_costs_nobody_the_tenure(processes: list[Process]) -> None:
    one, other, _ = processes
    assert await one.after(0)
    one.store.away = other.store.away = True
    assert await one.after(LOOK)
    assert not await other.after(LOOK)
    one.store.away = other.store.away = False
    assert await one.after(LOOK)
    assert not await other.after(LOOK)


async def test_a_holder_who_stood_still_does_not_believe_what_it_knew(processes: list[Process]) -> None:
    one, other, _ = processes
    assert await one.after(0)
    await other.after(0)
    assert await other.after(SECONDS)
    assert not await one.after(1000)


async def test_who_leaves_lets_the_next_one_in_at_once_and_never_takes_it_again(processes: list[Process]) -> None:
    one, other, third = processes
    assert await one.after(0)
    assert not await other.after(0)
    await third.tenure.leave()
    await one.tenure.leave()
    assert await other.after(LOOK)
    await other.tenure.leave()
    assert [await one.after(100), await third.after(100)] == [False, False]
    document = await one.store.get(KIND, "", "housekeeping")
    assert document is not None and document.revision == 4


async def test_asking_often_does_not_ask_the_store_often(processes: list[Process]) -> None:
    one, other, _ = processes
    for _ in range(100):
        assert await one.after(0.001)
        assert not await other.after(0.001)
    assert len(one.store.reads) == len(other.store.reads) == 1


async def test_it_is_looked_after_in_the_background(processes: list[Process]) -> None:
    one, other, _ = processes
    timers = Timers()
    agendas = [Agenda(timers), Agenda(timers)]
    tenures = [Tenure(each.store, seconds=SECONDS, clock=lambda: timers.now) for each in (one, other)]
    for tenure, agenda in zip(tenures, agendas, strict=True):
        tenure.start(agenda)
    await timers.advance(10 * SECONDS)
    first = [await tenure.is_ours() for tenure in tenures]
    assert sum(first) == 1
    await agendas[first.index(True)].close()
    await timers.advance(2 * SECONDS)
    assert [await tenure.is_ours() for tenure in tenures] == [not was for was in first]
    await asyncio.gather(*(agenda.close() for agenda in agendas))
