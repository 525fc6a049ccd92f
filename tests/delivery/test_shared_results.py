"""Result sets on a store that other processes have too: no number twice, and what one of them left half done is finished."""

import asyncio
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from consignee.delivery.counters import KIND as COUNTERS
from consignee.delivery.counters import SharedCounters
from consignee.delivery.result_set import KIND, document_id
from consignee.delivery.shared_upkeep import AWAITED, FAILURES, POSITION
from consignee.delivery.webhooks import KIND as MESSAGES
from consignee.errors import StoreError
from consignee.queue import Change
from delivery.depot import Depot, FrailStore, at_work, depot, until
from delivery.warehouse import passing
from sharing import SharedMemoryStore, opened

PLACE = ("ann", "SHOP")
DAY = 86400.0
HOOK = "https://hooks.example.com/x"


async def give(counters: SharedCounters, store: SharedMemoryStore, times: int = 1) -> list[int]:
    """Give numbers, and use them."""
    given = []
    for _ in range(times):
        given.append(number := await counters.next(*PLACE))
        await store.save(KIND, "ann", document_id("SHOP", number), {})
    return given


async def test_processes_that_take_in_at_the_same_time_give_each_number_once_and_leave_none_out() -> None:
    first = await opened()
    stores = [first, *(first.another() for _ in range(3))]
    counters = [SharedCounters(store) for store in stores]
    given = await asyncio.gather(*(give(*pair, times=50) for pair in zip(counters, stores, strict=True)))
    assert sorted(number for each in given for number in each) == list(range(1, 201))
    assert [await each.count(*PLACE) for each in counters] == [200] * 4


async def test_a_number_is_not_given_again_when_another_process_gave_and_removed_it() -> None:
    first = await opened()
    one, two = SharedCounters(first), SharedCounters(first.another())
    assert await give(one, first) == [1]
    assert await give(two, first, 2) == [2, 3]
    for number in (1, 2, 3):
        await two.keep(*PLACE, number)
        await first.remove(KIND, "ann", document_id("SHOP", number), replaces=1)
    assert await give(one, first) == [4]
    assert await one.count(*PLACE) == await two.count(*PLACE) == 4


async def test_a_number_that_was_not_used_is_given_to_the_next_one_if_nobody_has_a_higher_one() -> None:
    first = await opened()
    one, two = SharedCounters(first), SharedCounters(first.another())
    number = await one.next(*PLACE)
    await one.give_back(*PLACE, number)
    assert await give(two, first) == [number]
    left_out = await one.next(*PLACE)
    assert await give(two, first) == [left_out + 1]
    await one.give_back(*PLACE, left_out)
    assert await give(two, first) == [left_out + 2]
    first.away = True
    await one.give_back(*PLACE, left_out + 2)


async def test_what_came_from_a_store_that_was_not_shared_is_counted(tmp_path: Path) -> None:
    """There only those numbers are noted that no document shows any more."""
    first = await opened()
    await first.save(COUNTERS, *PLACE, {"highest": 3})
    for number in (4, 5, 6):
        await first.save(KIND, "ann", document_id("SHOP", number), {})
    counters = SharedCounters(first)
    assert await counters.count(*PLACE) == 6
    await counters.catch_up(*PLACE)
    assert await give(counters, first) == [7]
    async with shared_depot(tmp_path) as d:
        collection = await d.collection()
        await d.store.save(COUNTERS, "ann", collection.id, {"highest": 3})
        for number in (4, 5, 6):
            await d.store.save(KIND, "ann", document_id(collection.id, number), {})
        assert (await d.deliver(collection)).number == 7


@asynccontextmanager
async def shared_depot(place: Path, store: SharedMemoryStore | None = None, **own: Any) -> AsyncIterator[Depot]:
    """Yield all of delivery in a process that has the tenure."""
    if store is None:
        store = SharedMemoryStore(FrailStore())
        await store.open()
    async with depot(place, store=store, **own) as d:
        assert await d.parts.tenure.is_ours()
        yield d


async def unplanned(d: Depot, *, notify: bool = False) -> tuple[str, str]:
    """Leave what a process leaves that ends when it has saved a result set, and not yet its deliveries; return its place."""
    collection = await d.collection(await d.destination(), **({"notification_webhook": HOOK} if notify else {}))
    result_set = await d.deliver(collection)
    for id_ in await d.store.ids("deliveries", "ann", prefix=result_set.id):
        await d.parts.queue.remove("ann", id_)
    return "ann", result_set.id


async def test_what_a_process_that_ended_had_not_planned_is_planned_a_minute_later(tmp_path: Path) -> None:
    """And not at once: it may be at it."""
    async with shared_depot(tmp_path) as d:
        _, id_ = await unplanned(d)
        for seconds in (0, 30):
            d.clock.now += seconds
            await d.parts.results.finish()
            assert await d.store.ids("deliveries", "ann", prefix=id_) == []
        d.clock.now += 30
        await d.parts.results.finish()
        assert await d.work() == 1
        assert len(d.warehouse["bucket"]) == 1


async def test_one_that_can_not_be_read_does_not_keep_others_from_being_looked_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with shared_depot(tmp_path) as d:
        await d.store.save(KIND, "ann", "DAMAGED.0000000001", {"secret": "hunter2"})
        _, id_ = await unplanned(d)
        d.clock.now += 60
        await d.parts.results.finish()
        assert await d.parts.deliveries.ids("ann", prefix=id_)
        assert "DAMAGED.0000000001 can't be looked at" in caplog.text and "hunter2" not in caplog.text


async def test_each_result_set_is_looked_at_once_and_by_one_process(tmp_path: Path) -> None:
    """Also if the tenure goes to another one: how far the last one came is in the store."""
    async with shared_depot(tmp_path) as d:
        collection = await d.collection(await d.destination())
        made = [await d.deliver(collection) for _ in range(9)]
        d.clock.now += 60
        await d.parts.results.finish()
        position = await d.store.get(*POSITION)
        assert position is not None and position.data["number"] > 0
        await d.work()
        assert isinstance(d.store, SharedMemoryStore)
        d.store.reads.clear()
        await d.parts.results.finish()
        assert not [place for place in d.store.reads if place[0] == KIND]
        await d.parts.tenure.leave()
        later = await d.deliver(collection)
        d.clock.now += 60
        await d.parts.results.finish()
        assert (KIND, "ann", later.id) not in d.store.reads and made


async def test_an_end_that_a_process_did_not_tell_is_told(tmp_path: Path) -> None:
    """Its last delivery is saved, and it ended before the message to the webhook was."""
    async with shared_depot(tmp_path) as d:
        collection = await d.collection(await d.destination(), notification_webhook=HOOK)
        d.warehouse.faults["bucket"] = [passing()]
        result_set = await d.deliver(collection)
        await d.work()
        d.clock.now += 60
        await d.parts.results.finish()
        assert await d.store.ids(AWAITED, "ann") == [result_set.id]
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.parts.queue.acknowledge(job, {**job.data, "status": "success", "ended_at": "2026-01-02T03:04:05.000Z"})
        assert await d.store.ids(MESSAGES, "ann") == []
        await d.parts.results.finish()
        assert await d.store.ids(MESSAGES, "ann") == [result_set.id]
        assert await d.store.ids(AWAITED, "ann") == []


async def test_the_end_of_what_is_sent_again_is_told_too(tmp_path: Path) -> None:
    async with shared_depot(tmp_path) as d:
        collection = await d.collection(one := await d.destination(), notification_webhook=HOOK)
        result_set = await d.deliver(collection)
        await d.work()
        d.clock.now += 60
        await d.parts.results.finish()
        before = await d.parts.messages.get("ann", result_set.id)
        await d.parts.deliveries.resend(result_set, [one])
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.parts.queue.acknowledge(job, {**job.data, "status": "failed", "ended_at": "2026-01-02T03:04:05.000Z"})
        assert await d.parts.deliveries.resend_failed("ann", one) == 1
        (job,) = await d.parts.queue.claim(1, each=1)
        await d.parts.queue.acknowledge(job, {**job.data, "status": "success", "ended_at": "2026-01-02T03:04:05.000Z"})
        await d.parts.results.finish()
        after = await d.parts.messages.get("ann", result_set.id)
        assert before and after and after.data["serial"] == before.data["serial"] + 1


async def test_an_awaited_end_of_what_is_gone_is_not_awaited_any_more(tmp_path: Path) -> None:
    async with shared_depot(tmp_path) as d:
        collection = await d.collection(notification_webhook=HOOK)
        await d.store.save(AWAITED, "ann", document_id(collection.id, 9), {})
        await d.parts.results.finish()
        assert await d.store.ids(AWAITED, "ann") == []
        assert await d.store.ids(MESSAGES, "ann") == []


async def test_old_ones_go_whoever_took_them_in_and_those_that_are_needed_stay(tmp_path: Path) -> None:
    """Also what is to be kept for less, though it came later: by then the retention was another."""
    async with shared_depot(tmp_path, retention="7d") as d:
        collection = await d.collection(await d.destination())
        d.warehouse.faults["bucket"] = [passing()]
        needed, kept, short, last = [await d.deliver(collection) for _ in range(4)]
        await d.work()
        for result_set, expires_at in ((needed, "2026-01-02"), (short, "2026-01-03")):
            document = await d.store.get(KIND, "ann", result_set.id)
            assert document is not None
            await d.store.save(KIND, "ann", result_set.id, {**document.data, "expires_at": expires_at}, replaces=1)
        d.clock.now += DAY
        assert list(await d.parts.results.retire()) == [("ann", short.id)]
        assert await d.store.ids(KIND, "ann") == [needed.id, kept.id, last.id]
        await d.work()
        assert list(await d.parts.results.retire()) == [("ann", needed.id)]
        d.clock.now += 7 * DAY
        assert {place for _, place in await d.parts.results.retire()} == {kept.id, last.id}
        assert (await d.deliver(collection)).number == 5


async def test_who_has_not_the_tenure_keeps_no_house(tmp_path: Path) -> None:
    store = SharedMemoryStore(FrailStore())
    await store.open()
    async with shared_depot(tmp_path / "one", store=store, retention="1d") as d:
        collection = await d.collection()
        await d.deliver(collection)
        d.clock.now += 2 * DAY
        await d.parts.tenure.leave()
        assert list(await d.parts.results.retire()) == []
        await d.store.save(COUNTERS, "ann", "STRAY", {"highest": 1})
        await d.store.save(AWAITED, "ann", "GONE.0000000001", {})
        async with at_work(d):
            await asyncio.sleep(0.1)
        assert [await d.store.count(kind, "ann") for kind in (KIND, AWAITED, COUNTERS)] == [1, 1, 2]
    async with shared_depot(tmp_path / "one", store=store, retention="1d") as again:
        again.clock.now += 2 * DAY
        async with at_work(again):
            await until(lambda: _is_empty(again))


async def test_what_others_left_is_found_without_being_asked_for(tmp_path: Path) -> None:
    async with shared_depot(tmp_path) as d:
        account, id_ = await unplanned(d)
        d.clock.now += 60
        async with at_work(d):
            await until(lambda: len(d.warehouse["bucket"]) == 1)
            assert await d.parts.deliveries.ids(account, prefix=id_)


async def _is_empty(d: Depot) -> bool:
    left = [await d.store.ids(kind, "ann") for kind in (KIND, AWAITED, COUNTERS)]
    return left[:2] == [[], []] and "STRAY" not in left[2]


async def test_a_start_sweeps_the_files_that_only_this_process_has(tmp_path: Path) -> None:
    """Those of a directory: no other process can have it at the same time."""
    async with shared_depot(tmp_path) as d:
        await d.deliver(await d.collection(await d.destination()))
        token = (await d.store.list(KIND, "ann"))[0].data["token"]
        await d.parts.spool.close()
        stray = tmp_path / "spool" / "kept" / "abcdef"
        stray.mkdir(mode=0o700)
        async with depot(tmp_path, store=d.store, clock=d.clock, warehouse=d.warehouse) as again:
            assert await again.parts.spool.tokens() == [token]


async def test_what_can_not_be_saved_is_not_kept_and_its_number_is_the_next_ones(tmp_path: Path) -> None:
    frail = FrailStore()
    store = SharedMemoryStore(frail)
    await store.open()
    async with shared_depot(tmp_path, store=store) as d:
        collection = await d.collection(await d.destination())
        assert (await d.deliver(collection)).number == 1
        frail.fail_next[KIND] = 1
        with pytest.raises(StoreError):
            await d.deliver(collection)
        assert (await d.deliver(collection)).number == 2
        frail.fail_next["deliveries"] = 1
        with pytest.raises(StoreError):
            await d.deliver(collection)
        assert await d.store.count(KIND, "ann") == 2
        assert (await d.deliver(collection)).number == 4, "of 3, something may have been delivered"


async def test_a_change_of_one_process_is_not_overwritten_by_the_plan_of_another(tmp_path: Path) -> None:
    async with shared_depot(tmp_path) as d:
        collection = await d.collection(await d.destination())
        result_set = await d.deliver(collection)
        job = await d.job(result_set)
        await d.parts.queue.change("ann", job.id, lambda now: Change({**now.data, "attempts": 7}, now.due))
        d.clock.now += 60
        await d.parts.results.finish()
        assert (await d.job(result_set)).data["attempts"] == 7


async def test_a_long_look_at_what_is_awaited_holds_up_nothing_else(tmp_path: Path) -> None:
    """There may be very many of those, of destinations that rest: what a dead process left must not wait for all of them."""

    class SlowStore(SharedMemoryStore):
        async def accounts(self, kind: str) -> list[str]:
            if kind == AWAITED:
                await asyncio.Event().wait()
            return await super().accounts(kind)

    store = SlowStore(FrailStore())
    await store.open()
    async with shared_depot(tmp_path, store=store) as d:
        await unplanned(d)
        d.clock.now += 60
        async with at_work(d):
            await until(lambda: len(d.warehouse["bucket"]) == 1)


async def test_what_can_not_be_removed_does_not_keep_what_came_after_it(tmp_path: Path) -> None:
    """As an object in a staging bucket that may not be deleted; where nothing can be, that is not tried with each of them."""

    class Stuck(SharedMemoryStore):
        kept: Set[str] = frozenset()
        tried = 0

        async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
            if id in self.kept:
                self.tried += 1
                raise StoreError("the staging bucket answers access_denied")
            await super().remove(kind, account, id, replaces=replaces)

    store = Stuck(FrailStore())
    await store.open()
    async with shared_depot(tmp_path, store=store, retention="1d") as d:
        collection = await d.collection()
        made = [await d.deliver(collection) for _ in range(8)]
        store.kept = {made[0].id}
        d.clock.now += 2 * DAY
        assert len(await d.parts.results.retire()) == 7
        assert await store.ids(KIND, "ann") == [made[0].id]
        store.kept = set()
        assert len(await d.parts.results.retire()) == 1
        made = [await d.deliver(collection) for _ in range(8)]
        store.kept, store.tried = {one.id for one in made}, 0
        d.clock.now += 2 * DAY
        with pytest.raises(StoreError):
            await d.parts.results.retire()
        assert store.tried == FAILURES
