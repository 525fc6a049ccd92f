"""What had to be left behind is removed later: at growing intervals, by chance a little sooner or later, until it is gone."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from balky import BalkyStorage, fields
from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.egress import Policy
from consignee.errors import AccessDenied, Conflict, StoreError
from consignee.leftovers import KIND, Leftover, Leftovers
from consignee.outlets import open_outlets
from consignee.removal import AT_ONCE, DAY, DELAYS, Remover
from consignee.secret import Sealer, Secret
from consignee.store.memory import MemoryStore
from consignee.verification import Report, Step
from providers.opening import loopback
from timers import Timers

KEY = "exports/consignee-test-0123456789abcdef.txt"
UPLOADED = Report(steps=(Step(step="delete", ok=False, ms=1, code="timeout"),), left_behind=KEY, doubtful=KEY)
UNSURE = replace(UPLOADED, left_behind=None)
LEFTOVER = Leftover(
    account="ann",
    id="0123456789abcdef",
    key=KEY,
    type="memory",
    settings={"memory_bucket_name": "bucket"},
    secrets={"memory_secret": Secret("memory-secret")},
    found={},
    created_at="2026-01-02T03:04:05.678Z",
)


@dataclass
class Bench:
    """A remover, its time, its storage and what it remembers."""

    remover: Remover
    leftovers: Leftovers
    storage: BalkyStorage
    store: MemoryStore
    timers: Timers
    catalog: Catalog
    agenda: Agenda

    async def leave(self, report: Report | None) -> None:
        """Let a test end with this report, its file still there."""
        draft = self.catalog.parse(fields())
        async with self.remover.watch("ann", draft, {}, id=LEFTOVER.id) as watch:
            await watch.remember(KEY)
            self.storage.memory.buckets["bucket"][KEY] = b"x"
            assert self.timers.waiting == 0, "a test that runs is left alone"
            watch.report = report

    @property
    def there(self) -> bool:
        """Whether the file is."""
        return KEY in self.storage.memory.buckets["bucket"]

    async def remembered(self) -> list[str]:
        """Return the ids of what is remembered."""
        return [id_ for _, id_ in await self.leftovers.places()]


@asynccontextmanager
async def bench(*, chance: float = 0.5, timeout: float = 30.0, key: bytes = bytes(32)) -> AsyncIterator[Bench]:
    """Yield a remover whose dice always show `chance`."""
    timers, storage, store = Timers(), BalkyStorage("bucket"), MemoryStore()
    catalog, agenda = Catalog([storage.provider], Policy()), Agenda(timers)
    await store.open()
    leftovers = Leftovers(store, sealer=Sealer(key))
    async with open_outlets(loopback()) as outlets:
        remover = Remover(
            leftovers, catalog=catalog, outlets=outlets, agenda=agenda, timeout=timeout, random=lambda: chance
        )
        yield Bench(remover, leftovers, storage, store, timers, catalog, agenda)
        await agenda.close()


async def test_it_goes_on_for_days(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as running:
        running.storage.deletes = [AccessDenied("no") for _ in range(9)]
        await running.leave(UPLOADED)
        await running.timers.advance(20 * DAY)
        assert running.timers.delays == [*DELAYS, DAY, DAY, DAY, DAY]
        assert not running.there
        assert await running.remembered() == []
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 4, "once for each day on which it gives up"
    assert all(KEY in text and "ann" in text and "access_denied" in text for text in warned)


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (1.0, 1.2)])
async def test_nobody_meets_all_others_at_the_same_moment(chance: float, factor: float) -> None:
    async with bench(chance=chance) as running:
        running.storage.deletes = [AccessDenied("no") for _ in range(6)]
        await running.leave(UPLOADED)
        await running.timers.advance(2 * DAY)
    assert running.timers.delays == pytest.approx([delay * factor for delay in (*DELAYS, DAY)])


async def test_a_removal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with bench() as running:
        await running.leave(UPLOADED)
        await running.timers.advance(1)
        assert not running.there
        assert await running.remembered() == []
        assert running.timers.waiting == 0
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("INFO", f"the test file {KEY} of account ann was removed")
    ]


@pytest.mark.parametrize("report", [UNSURE, None])
async def test_what_may_still_be_on_its_way_is_removed_twice(report: Report | None) -> None:
    """The storage may put it there after the first delete. `None` is a test that was cut off."""
    async with bench() as running:
        await running.leave(report)
        await running.timers.advance(1)
        assert not running.there
        assert await running.remembered() == [LEFTOVER.id]
        running.storage.memory.buckets["bucket"][KEY] = b"late"
        await running.timers.advance(10)
        assert not running.there
        assert await running.remembered() == []


async def test_a_test_that_removed_its_file_leaves_nothing_to_do() -> None:
    async with bench() as running:
        await running.leave(Report(steps=()))
        assert await running.remembered() == []
        assert running.timers.delays == []


async def test_what_could_not_be_remembered_is_not_removed() -> None:
    """It was never uploaded; and what has its id is another test's, which may still run."""
    async with bench() as running:
        await running.leftovers.remember(LEFTOVER)
        with pytest.raises(Conflict):
            await running.leave(UPLOADED)
        assert running.timers.delays == []
        assert await running.remembered() == [LEFTOVER.id]


async def test_a_bucket_that_is_gone_took_the_file_with_it() -> None:
    async with bench() as running:
        await running.leave(UPLOADED)
        del running.storage.memory.buckets["bucket"]
        await running.timers.advance(1)
        assert await running.remembered() == []
        assert running.timers.waiting == 0


async def test_what_was_left_before_a_restart_is_removed_after_it() -> None:
    async with bench() as running:
        running.storage.memory.buckets["bucket"][KEY] = b"x"
        await running.leftovers.remember(LEFTOVER)
        await running.leftovers.remember(replace(LEFTOVER, account="bob"))
        await running.remover.take_up()
        await running.timers.advance(11)
        assert not running.there
        assert await running.leftovers.places() == []


async def test_a_type_that_is_not_served_any_more_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """With its name, for somebody else has to remove it now."""
    async with bench() as running:
        await running.leftovers.remember(replace(LEFTOVER, type="gone"))
        await running.remover.take_up()
        await running.timers.advance(1)
        assert await running.remembered() == []
    assert [(one.levelname, KEY in one.getMessage()) for one in caplog.records] == [("WARNING", True)]


async def test_what_can_not_be_read_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """As with a store whose sealing key was lost: it stays, and the operator hears of it."""
    async with bench() as running:
        foreign = Leftovers(running.store, sealer=Sealer(bytes(range(32))))
        await foreign.remember(replace(LEFTOVER, id="f"))
        await running.leftovers.remember(LEFTOVER)
        await running.remover.take_up()
        await running.timers.advance(DAY / 2)
        assert await running.remembered() == ["f"]
        with pytest.raises(StoreError):
            await running.leftovers.get("ann", "f")
    assert [one.levelname for one in caplog.records] == ["WARNING"]


async def test_only_so_many_at_once_and_of_one_account_fewer() -> None:
    """Ann's storage hangs; bob's file is removed all the same."""
    async with bench() as running:
        running.storage.memory.buckets["other"] = {}
        running.storage.hanging.add("bucket")
        for number in range(20):
            await running.leftovers.remember(replace(LEFTOVER, id=f"{number:02}"))
        await running.leftovers.remember(replace(LEFTOVER, account="bob", settings={"memory_bucket_name": "other"}))
        await running.remover.take_up()
        await running.timers.advance(11)
        assert running.storage.under_way == ["bucket"] * (AT_ONCE // 4)
        assert [account for account, _ in await running.leftovers.places()] == ["ann"] * 20
        await running.agenda.close()
        assert running.storage.under_way == []


async def test_an_attempt_that_hangs_ends_and_is_repeated() -> None:
    async with bench(timeout=0.05) as running:
        await running.leave(UPLOADED)
        running.storage.hanging.add("bucket")
        await running.timers.advance(1)
        async with asyncio.timeout(30):
            while len(running.timers.delays) < 2:
                await asyncio.sleep(0.01)
        running.storage.hanging.clear()
        await running.timers.advance(10)
        assert not running.there
        assert await running.remembered() == []


async def test_closing_leaves_what_is_remembered_for_the_next_start() -> None:
    async with bench() as running:
        await running.leave(UPLOADED)
        await running.agenda.close()
        await running.timers.advance(DAY)
        assert running.there
        assert await running.remembered() == [LEFTOVER.id]
        assert await running.store.accounts(KIND) == ["ann"]
