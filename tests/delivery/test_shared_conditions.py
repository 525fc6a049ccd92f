"""Several processes note how deliveries to the same destinations go, and each of them knows what all have noted."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from consignee.delivery.conditions import KIND, WELL
from consignee.delivery.schedule import Schedule
from consignee.delivery.shared_conditions import SharedConditions
from consignee.errors import CredentialsRejected, StoreError
from consignee.events import DestinationNeedsAttention, DestinationRecovered, DestinationRested, Event, Events
from consignee.queue import AT_ONCE
from consignee.queue.stored import StoredQueue
from consignee.sections import DeliverySettings
from consignee.service import KIND as DESTINATIONS
from delivery.depot import Clock
from delivery.warehouse import passing
from sharing import SharedMemoryStore, opened

ONE = ("ann", "ONE")
DAY = 86400.0


class GatedQueue(StoredQueue):
    """Holds that are set wait for the gate, if there is one; one that is lifted does not. While it is `away`, both fail."""

    gate: asyncio.Event | None = None
    setting = away = False

    async def hold(self, account: str, lane: str, until: float | None) -> None:
        if until is not None and self.gate is not None:
            self.setting = True
            await self.gate.wait()
        if self.away:
            raise StoreError("the database can't be reached")
        await super().hold(account, lane, until)


@dataclass
class Cluster:
    """Processes on one store, with one queue."""

    stores: Sequence[SharedMemoryStore]
    queue: GatedQueue
    clock: Clock
    told: list[Event] = field(default_factory=list)
    processes: list[SharedConditions] = field(default_factory=list)

    async def rests(self, lane: str = ONE[1]) -> bool:
        """Whether nothing of a lane can be claimed now."""
        await self.queue.add("ann", f"job-{self.clock.now}-{random.random()}", {}, lane=lane, due=AT_ONCE)
        return not [job for job in await self.queue.claim(64, each=64) if job.lane == lane]


@pytest.fixture
async def cluster() -> Cluster:
    """Three processes, and two destinations of ann's."""
    clock, first = Clock(), await opened()
    stores = [first, first.another(), first.another()]
    queue = GatedQueue(first.documents, "deliveries", now=clock)
    await queue.open()
    made = Cluster(stores, queue, clock)
    for store in stores:
        conditions = SharedConditions(
            store,
            queue,
            schedule=Schedule.of(DeliverySettings(), random=lambda: 0.5),
            breaker=5,
            disable_after=5 * DAY,
            now=clock,
            events=Events(made.told.append),
        )
        await conditions.open()
        made.processes.append(conditions)
    for id_ in ("ONE", "TWO"):
        await first.save(DESTINATIONS, "ann", id_, {})
    return made


async def test_no_failure_is_lost_that_processes_note_at_the_same_time(cluster: Cluster) -> None:
    """A thousand times read, changed, compared and set."""
    failures = (each.failed(*ONE, passing()) for _ in range(100) for each in cluster.processes)
    await asyncio.gather(*failures)
    assert [(await each.look(*ONE)).failures for each in cluster.processes] == [300] * 3
    rested = [one for one in cluster.told if isinstance(one, DestinationRested)]
    assert [one.failures for one in rested] == [5], "it is told once that it rests"


async def test_what_one_process_notes_the_others_see_at_once(cluster: Cluster) -> None:
    one, two, three = cluster.processes
    await one.failed(*ONE, CredentialsRejected("The key is wrong."))
    assert [(await each.look(*ONE)).state for each in cluster.processes] == ["needs_attention"] * 3
    assert (await two.look_at_all("ann"))("ONE").failures == 1
    assert (await two.look_at_all("ann"))("TWO") is WELL
    await two.succeeded(*ONE)
    assert [(await each.look(*ONE)).state for each in cluster.processes] == ["ok"] * 3
    await three.succeeded(*ONE)
    assert [type(each) for each in cluster.told] == [DestinationNeedsAttention, DestinationRecovered]


async def test_a_delivery_to_one_that_is_well_costs_one_look(cluster: Cluster) -> None:
    """And to one that is not, it says that there is more to do."""
    one, two, _ = cluster.processes
    assert await two.delivered(*ONE)
    assert len(cluster.stores[1].reads) == 1
    await one.failed(*ONE, passing())
    assert not await two.delivered(*ONE)
    assert (await one.look(*ONE)).failures == 0
    cluster.stores[1].away = True
    assert not await two.delivered(*ONE)


async def test_failures_in_a_row_are_counted_over_all_processes_and_it_rests_for_all(cluster: Cluster) -> None:
    for number in range(4):
        await cluster.processes[number % 3].failed(*ONE, passing())
    assert not await cluster.rests()
    await cluster.processes[2].failed(*ONE, passing())
    assert await cluster.rests()
    assert not await cluster.rests("TWO")
    await cluster.processes[1].succeeded(*ONE)
    assert not await cluster.rests()


async def test_a_rest_that_is_set_late_does_not_outlast_what_lifted_it(cluster: Cluster) -> None:
    """One process saved that it rests, another one that it works again, and lifted the hold, before the first one set it."""
    one, two, _ = cluster.processes
    for _ in range(4):
        await one.failed(*ONE, passing())
    cluster.queue.gate = asyncio.Event()
    late = asyncio.create_task(one.failed(*ONE, passing()))
    while not cluster.queue.setting:
        await asyncio.sleep(0)
    await two.succeeded(*ONE)
    cluster.queue.gate.set()
    await late
    assert (await one.look(*ONE)).probe_at is None
    assert not await cluster.rests()


async def test_a_probe_without_an_outcome_makes_room_for_another_whoever_set_the_rest(cluster: Cluster) -> None:
    one, two, three = cluster.processes
    for _ in range(5):
        await one.failed(*ONE, passing())
    assert await cluster.rests()
    cluster.clock.now += 60
    (probe,) = await cluster.queue.claim(64, each=64)
    assert await cluster.rests()
    await cluster.queue.acknowledge(probe, {})
    assert await cluster.rests()
    await two.probe_again(*ONE)
    assert len(await cluster.queue.claim(64, each=64)) == 1
    await three.probe_again("ann", "TWO")
    assert not await cluster.rests("TWO")


async def test_a_destination_is_disabled_by_what_all_processes_saw(cluster: Cluster) -> None:
    """And not by one that has not heard of the success of another."""
    one, two, three = cluster.processes
    for day in range(5):
        assert not await cluster.processes[day % 3].failed(*ONE, passing())
        cluster.clock.now += DAY
    assert await two.failed(*ONE, passing())
    await three.succeeded(*ONE)
    assert await two.disabled(*ONE) is None
    for _ in range(5):
        await one.failed(*ONE, passing())
        cluster.clock.now += 1.25 * DAY
    assert await three.failed(*ONE, passing())
    reasons = await asyncio.gather(*(each.disabled(*ONE) for each in cluster.processes))
    assert len({*reasons}) == 1 and reasons[0] is not None
    texts = [entry["text"] for entry in (await one.look(*ONE)).log]
    assert len([text for text in texts if text.startswith("Disabled")]) == 1


async def test_a_failure_of_a_destination_that_was_deleted_meanwhile_does_not_stay(cluster: Cluster) -> None:
    one, two, _ = cluster.processes
    await one.failed(*ONE, passing())
    await cluster.stores[1].remove(DESTINATIONS, *ONE, replaces=1)
    noted = asyncio.gather(*(one.failed(*ONE, passing()) for _ in range(9)))
    await two.forget(*ONE)
    await noted
    assert await cluster.stores[2].count(KIND, "ann") == 0
    assert not await cluster.rests()


async def test_when_the_store_is_away_a_delivery_ends_all_the_same(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """What is noted of it is of less weight; a reader is told."""
    one, two, _ = cluster.processes
    cluster.stores[0].away = True
    assert not await one.failed(*ONE, passing())
    await one.succeeded(*ONE)
    await one.probe_again(*ONE)
    assert caplog.text.count("could not be kept") == 3
    with pytest.raises(StoreError):
        await one.look(*ONE)
    assert await two.look(*ONE) is WELL


async def test_what_a_process_that_ended_did_not_come_to_is_made_up_for(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """It saved a rest, and did not set the hold; it saved that all is well, and did not lift it; it left what is of nothing."""
    caplog.set_level(logging.CRITICAL)
    one, two, three = cluster.processes
    for _ in range(5):
        await one.failed(*ONE, passing())
        await two.failed("ann", "TWO", passing())
    await one.failed("ann", "GONE", passing())
    await cluster.stores[0].save(KIND, "ann", "GONE", {**vars(WELL), "log": []})
    await cluster.queue.hold(*ONE, None)
    document = await cluster.stores[0].get(KIND, "ann", "TWO")
    assert document is not None
    data = {**document.data, "probe_at": None, "failures": 0, "rests_since": None}
    await cluster.stores[0].save(KIND, "ann", "TWO", data, replaces=document.revision)
    assert (await cluster.rests(), await cluster.rests("TWO")) == (False, True)
    await three.sweep()
    assert (await cluster.rests(), await cluster.rests("TWO")) == (True, False)
    assert await cluster.stores[0].ids(KIND, "ann") == ["ONE", "TWO"]
    assert +three.states == {"resting": 1, "ok": 1}


async def test_a_hold_that_could_not_be_lifted_is_lifted_soon(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """It was saved that all is well, and then the store was away: nothing goes to the destination until somebody looks."""
    caplog.set_level(logging.CRITICAL)
    one = cluster.processes[0]
    for _ in range(5):
        await one.failed(*ONE, passing())
    cluster.queue.away = True
    await one.succeeded(*ONE)
    with pytest.raises(StoreError):
        await one.mend()
    cluster.queue.away = False
    assert ((await one.look(*ONE)).probe_at, await cluster.rests()) == (None, True)
    await one.mend()
    assert not await cluster.rests()
