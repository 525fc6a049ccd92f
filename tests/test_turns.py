"""Places are shared fairly, and none gets lost."""

import asyncio
import random

import pytest

from consignee.turns import Turns
from timers import settled


class Crowd:
    """Tasks that take turns; each holds its place until it is let go."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.inside: list[str] = []
        self.served: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def come(self, *names: str) -> None:
        """Let each wait for its turn; a name is the account, and a number."""
        for name in names:
            self._doors[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._visit(name))

    async def _visit(self, name: str) -> None:
        async with self._turns.turn(name.rstrip("0123456789")):
            self.inside.append(name)
            self.served.append(name)
            try:
                await self._doors[name].wait()
            finally:
                self.inside.remove(name)

    async def go(self, *names: str) -> None:
        """Let them go, and the next ones in."""
        for name in names:
            self._doors[name].set()
        await settled()

    async def cancel(self, *names: str) -> None:
        """Cancel them."""
        for name in names:
            self.tasks[name].cancel()
        await settled()

    async def empty(self) -> None:
        """Let everybody go, one after the other, until all have been served."""
        while self.inside:
            await self.go(self.inside[0])


async def test_one_account_gets_only_its_share() -> None:
    """Even if nobody else wants the rest."""
    crowd = Crowd(Turns(4, each=2))
    crowd.come("ann1", "ann2", "ann3", "ann4", "ann5")
    await settled()
    assert crowd.inside == ["ann1", "ann2"]
    crowd.come("bob1", "bob2", "bob3")
    await settled()
    assert crowd.inside == ["ann1", "ann2", "bob1", "bob2"]
    await crowd.empty()
    assert len(crowd.served) == 8


async def test_accounts_take_turns() -> None:
    """Whoever came first with many: the others are served one by one between."""
    crowd = Crowd(Turns(1, each=1))
    crowd.come(*(f"ann{number}" for number in range(6)), "bob0", "bob1", "cy0", "cy1")
    await settled()
    await crowd.empty()
    assert crowd.served == ["ann0", "ann1", "bob0", "cy0", "ann2", "bob1", "cy1", "ann3", "ann4", "ann5"]


async def test_who_is_cancelled_while_waiting_leaves_no_gap() -> None:
    crowd = Crowd(Turns(1, each=1))
    crowd.come("ann1", "ann2", "bob1")
    await settled()
    await crowd.cancel("ann2")
    await crowd.go("ann1")
    assert crowd.inside == ["bob1"]
    await crowd.empty()
    crowd.come("cy1")
    await settled()
    assert crowd.inside == ["cy1"]
    await crowd.empty()


async def test_who_is_cancelled_inside_gives_its_place_back() -> None:
    crowd = Crowd(Turns(1, each=1))
    crowd.come("ann1", "ann2")
    await settled()
    await crowd.cancel("ann1")
    assert crowd.inside == ["ann2"]
    await crowd.empty()


async def test_who_is_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    """It was given the place, but never got to know."""
    turns = Turns(1, each=1)
    crowd = Crowd(turns)
    async with turns.turn("ann"):
        crowd.come("bob1", "cy1")
        await settled()
    crowd.tasks["bob1"].cancel()
    await settled()
    assert crowd.served == ["cy1"]
    await crowd.empty()


async def test_who_waits_only_so_long_leaves_no_gap() -> None:
    turns = Turns(1, each=1)
    await turns.take("ann")
    with pytest.raises(TimeoutError):
        await turns.take("bob", within=0.01)
    turns.give_back("ann")
    await turns.take("cy", within=0.01)
    turns.give_back("cy")


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_all_places_come_back(seed: int) -> None:
    dice = random.Random(seed)
    crowd = Crowd(Turns(3, each=2))
    names = [f"{dice.choice(['ann', 'bob', 'cy'])}{number}" for number in range(60)]
    for name in names:
        crowd.come(name)
        if dice.random() < 0.5:
            await asyncio.sleep(0)
        if dice.random() < 0.4:
            crowd.tasks[dice.choice(list(crowd.tasks))].cancel()
        if crowd.inside and dice.random() < 0.4:
            await crowd.go(dice.choice(crowd.inside))
        assert len(crowd.inside) <= 3
    await settled()
    await crowd.empty()
    assert all(task.done() for task in crowd.tasks.values())
    crowd.come("ann100", "bob100", "cy100")
    await settled()
    assert len(crowd.inside) == 3
    await crowd.empty()
