"""What several processes decide together, on a real database: each store here has connections of its own, as a process has."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from consignee.accounts import open_accounts
from consignee.delivery.conditions import WELL
from consignee.delivery.counters import SharedCounters
from consignee.delivery.delivery import KIND as DELIVERIES
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.delivery.result_set import document_id
from consignee.delivery.schedule import Schedule
from consignee.delivery.shared_conditions import SharedConditions
from consignee.errors import Conflict, StoreUnusable
from consignee.idempotency import Idempotency
from consignee.postgres.database import Database
from consignee.precedents import Precedents, Subject
from consignee.queue import AT_ONCE
from consignee.queue.postgres import PostgresQueue
from consignee.sealing_key import load_sealer
from consignee.secret import Sealer, Secret
from consignee.sections import DeliverySettings
from consignee.service import KIND as DESTINATIONS
from consignee.settings import SecretsSettings
from consignee.store.postgres import PostgresStore
from consignee.tenure import Tenure
from delivery.warehouse import passing

PLACE = ("ann", "ONE")
SEALER = Sealer(bytes(32))


@pytest.fixture
async def stores(url: Secret) -> AsyncIterator[list[PostgresStore]]:
    """Three, open."""
    async with AsyncExitStack() as stack:
        made = [PostgresStore(Database(url)) for _ in range(3)]
        for store in made:
            await store.open()
            stack.push_async_callback(store.close)
        yield made


async def test_one_has_the_tenure_and_when_it_leaves_another(stores: list[PostgresStore]) -> None:
    tenures = [Tenure(store) for store in stores]
    found = await asyncio.gather(*(tenure.is_ours() for tenure in tenures))
    assert sum(found) == 1
    await tenures[found.index(True)].leave()
    later = [Tenure(store) for store in stores]
    assert sum(await asyncio.gather(*(tenure.is_ours() for tenure in later))) == 1


async def test_a_holder_that_is_silent_is_found_out_by_time_that_passes_here(stores: list[PostgresStore]) -> None:
    now = 100.0
    one, other = Tenure(stores[0], clock=lambda: now), Tenure(stores[1], clock=lambda: now)
    assert (await one.is_ours(), await other.is_ours()) == (True, False)
    now += 15
    assert await other.is_ours()
    assert not await one.is_ours()


async def test_all_that_start_at_once_have_one_pepper_and_one_key(stores: list[PostgresStore], tmp_path: Path) -> None:
    settings = SecretsSettings(key_file=str(tmp_path / "secret.key"))
    sealers = await asyncio.gather(*(load_sealer(settings, store) for store in stores))
    assert len({sealer.key_ids for sealer in sealers}) == 1
    found = await asyncio.gather(*(open_accounts(store, sealer=sealers[0]) for store in stores))
    key = await found[0].create_key("ann")
    assert [await each.authenticate(key) for each in found] == ["ann"] * 3
    await found[1].revoke_key((await found[2].list_keys())[0].id)
    assert [await each.authenticate(key) for each in found] == [None] * 3
    with pytest.raises(StoreUnusable, match="that the other processes on this store have"):
        await load_sealer(SecretsSettings(key_file=str(tmp_path / "another.key")), stores[0])


async def test_no_number_is_given_twice_and_none_is_left_out(stores: list[PostgresStore]) -> None:
    async def take(store: PostgresStore) -> list[int]:
        given, counters = [], SharedCounters(store)
        for _ in range(30):
            given.append(number := await counters.next("ann", "SHOP"))
            await store.save(RESULT_SETS, "ann", document_id("SHOP", number), {})
        return given

    given = await asyncio.gather(*map(take, stores))
    assert sorted(number for each in given for number in each) == list(range(1, 91))


async def test_a_request_with_one_key_is_carried_out_once_whichever_process_it_comes_to(
    stores: list[PostgresStore],
) -> None:
    began = time.monotonic()

    async def ask(store: PostgresStore) -> bytes:
        async def make(unused: str) -> bytes:
            await store.save("boxes", "ann", unused, {})
            return unused.encode()

        async def recall(made: str) -> bytes:
            raise AssertionError(made)

        idempotency = Idempotency(Precedents(store, sealer=SEALER, most=9))
        while time.monotonic() - began < 20:
            try:
                with idempotency.claim("ann", "boxes", "k") as claim:
                    subject = Subject("boxes", f"BOX{id(store)}")
                    return (await claim.answer(b"a box", subject, make=make, recall=recall)).body
            except Conflict:
                await asyncio.sleep(0.02)
        raise AssertionError("it never came to an end")

    answers = await asyncio.gather(*(ask(store) for store in stores for _ in range(3)))
    assert len({*answers}) == 1
    assert await stores[0].count("boxes", "ann") == 1


def noting(store: PostgresStore, queue: PostgresQueue) -> SharedConditions:
    """Return what notes how deliveries go, in one process."""
    schedule = Schedule.of(DeliverySettings(), random=lambda: 0.5)
    return SharedConditions(store, queue, schedule=schedule, breaker=5, disable_after=None, now=time.time)


async def test_failures_in_all_processes_put_a_destination_to_rest_for_all(stores: list[PostgresStore]) -> None:
    """And one success ends that for all; none is lost that several note at the same time."""
    queues = [PostgresQueue(store, DELIVERIES) for store in stores]
    processes = [noting(store, queue) for store, queue in zip(stores, queues, strict=True)]
    for queue, process in zip(queues, processes, strict=True):
        await queue.open()
        await process.open()
    await stores[0].save(DESTINATIONS, *PLACE, {})
    for number in range(2):
        await queues[0].add("ann", f"{number}", {}, lane="ONE", due=AT_ONCE)
    await asyncio.gather(*(process.failed(*PLACE, passing()) for process in processes for _ in range(10)))
    condition = await processes[1].look(*PLACE)
    assert (condition.failures, condition.state) == (30, "resting")
    assert await queues[2].claim(9, each=9) == []
    await processes[2].succeeded(*PLACE)
    assert (await processes[0].look_at_all("ann"))("ONE") != WELL
    assert (await processes[0].look(*PLACE)).state == "ok"
    assert len(await queues[1].claim(9, each=9)) == 2
    await processes[0].sweep()
    await processes[1].forget(*PLACE)
    assert await processes[2].look(*PLACE) == WELL
