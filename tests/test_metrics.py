"""What is counted is exact, what is looked up is as it is, and nothing of it holds anybody up."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from consignee.delivery.conditions import Conditions
from consignee.delivery.delivery import KIND
from consignee.delivery.herald import FAULT
from consignee.errors import CredentialsRejected, MissingExtra
from consignee.metrics import Metrics
from consignee.metrics.hearing import Hearing
from consignee.metrics.tally import Counts, Spread
from consignee.queue import AT_ONCE, Census
from consignee.queue.census import COUNTED_AT_ONCE
from consignee.queue.stored import StoredQueue
from consignee.store import Size
from consignee.store.json_file import JsonFileStore
from consignee.store.memory import MemoryStore
from delivery.depot import Depot, at_work, depot, until
from delivery.warehouse import passing

FILES = {"type": "memory"}


class Told:
    """The metrics of a service, as they are after a look."""

    def __init__(self, d: Depot) -> None:
        self._metrics = Metrics(now=d.clock)
        self._destinations = d.destinations
        d.destinations.events.listen(self._metrics.hear)

    async def __call__(self, name: str, **labels: str) -> float:
        """Look, and return a number; 0 if there is none."""
        await self._metrics.look(self._destinations)
        return self._metrics.registry.get_sample_value(f"consignee_{name}", labels) or 0


async def test_files_of_an_attempt_that_is_under_way_are_counted_once(tmp_path: Path) -> None:
    """Before it has ended, when it has, and after the next one: a long delivery is no silence with a peak at its end."""
    async with depot(tmp_path, per_destination=1) as d:
        told = Told(d)
        result_set = await d.ready(files={"a.txt": b"abc", "b.txt": b"de", "c.txt": b"f"})
        d.warehouse.gates["b.txt"] = asyncio.Event()
        d.warehouse.late = [passing()]
        async with at_work(d):
            await until(lambda: d.warehouse.at_gate)
            for _ in range(2):
                counted = await told("delivered_files_total", **FILES), await told("delivered_bytes_total", **FILES)
                assert counted == (1, 3)
            assert await told("attempts_total", **FILES, outcome="ok", code="") == 0
            assert await told("queue_jobs", queue="deliveries", state="under_way") == 1
            assert await told("places_in_use", place="uploads") == 1
            d.warehouse.gates.pop("b.txt").set()
            await until(lambda: d.has(result_set, "retrying"))
            assert await told("delivered_files_total", **FILES) == 1
            assert await told("queue_jobs", queue="deliveries", state="scheduled") == 1
            d.clock.now += 20
            await d.wake()
            await until(lambda: d.has(result_set, "success"))
        assert (await told("delivered_files_total", **FILES), await told("delivered_bytes_total", **FILES)) == (3, 6)
        assert await told("places_in_use", place="uploads") == 0
        for state in ("due", "under_way", "scheduled", "resting"):
            assert await told("queue_jobs", queue="deliveries", state=state) == 0


async def test_tests_that_are_under_way_take_places(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        told, one = Told(d), await d.destination()
        d.warehouse.gates["bucket"] = asyncio.Event()
        testing = asyncio.create_task(d.destinations.test_saved("ann", one))
        await until(lambda: d.warehouse.at_gate)
        assert (await told("places", place="tests"), await told("places_in_use", place="tests")) == (64, 1)
        d.warehouse.gates["bucket"].set()
        await testing
        assert await told("places_in_use", place="tests") == 0


async def test_what_waits_is_told_by_what_it_waits_for(tmp_path: Path) -> None:
    async with depot(tmp_path, breaker=1) as d:
        told = Told(d)
        await d.ready("good")
        rests = await d.ready("rests")
        d.clock.now += 100
        assert await told("queue_jobs", queue="deliveries", state="due") == 2
        assert await told("queue_oldest_due_seconds", queue="deliveries") == 100
        d.warehouse.broken["rests"] = passing()
        await d.work()
        assert await told("queue_jobs", queue="deliveries", state="scheduled") == 1
        assert await told("queue_oldest_due_seconds", queue="deliveries") == 0
        collection = await d.parts.collections.get("ann", rests.collection_id)
        await d.deliver(collection)
        assert await told("queue_jobs", queue="deliveries", state="resting") == 1
        assert await told("queue_oldest_due_seconds", queue="deliveries") == 0
        assert await told("destinations", condition="resting") == 1
        assert await told("destinations", condition="ok") == 1
        assert await told("destination_changes_total", change="rested", code="provider_error") == 1


async def test_the_conditions_that_are_counted_are_those_that_there_are(tmp_path: Path) -> None:
    """Whatever happens to destinations, and after a restart."""
    chance = random.Random(4)
    async with depot(tmp_path, breaker=2) as d:
        conditions, ids = d.parts.conditions, [f"{number:08X}" for number in range(6)]
        for _ in range(300):
            await happens(conditions, chance.choice(ids), chance)
            assert +conditions.states == Counter(one.state for one in conditions._known.values())
        before = +conditions.states
        assert len(before) > 2
        async with d.again() as next_one:
            assert +next_one.parts.conditions.states == before


async def happens(conditions: Conditions, id: str, chance: random.Random) -> None:  # noqa: A002
    """Let something happen to a destination."""
    what = chance.randrange(4)
    if what == 0:
        await conditions.failed("ann", id, passing())
    elif what == 1:
        await conditions.failed("ann", id, CredentialsRejected("The key is wrong."))
    elif what == 2:
        await conditions.succeeded("ann", id)
    else:
        await conditions.forget("ann", id)


async def filled(count: int, *, now: float) -> StoredQueue:
    """Return a queue with so many jobs, of which the tenth is due later, on ten lanes."""
    store = MemoryStore()
    await store.open()
    queue = StoredQueue(store, KIND, now=lambda: now)
    await queue.open()
    for number in range(count):
        due = AT_ONCE if number % 10 else now + 60
        await queue.add("ann", f"{number}", {}, lane=f"lane {number % 10}", due=due)
    return queue


async def test_counting_many_jobs_lets_others_have_their_turn() -> None:
    """However many there are, nobody waits for more than some thousands of them."""
    queue, turns = await filled(3 * COUNTED_AT_ONCE + 10, now=1000.0), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    census = await queue.census()
    task.cancel()
    assert turns >= 3
    later = (3 * COUNTED_AT_ONCE + 10) // 10
    assert census == Census(due=9 * later, scheduled=later, oldest=1000.0)


async def test_jobs_that_are_taken_put_back_and_removed_are_counted_as_they_are() -> None:
    queue = await filled(20, now=1000.0)
    (job, other) = await queue.claim(2, each=1)
    await queue.hold("ann", "lane 3", 2000.0)
    assert await queue.census() == Census(due=14, under_way=2, scheduled=2, resting=2, oldest=1000.0)
    await queue.acknowledge(job, {})
    await queue.release(other)
    await queue.remove("ann", "14")
    await queue.hold("ann", "lane 3", None)
    assert await queue.census() == Census(due=16, scheduled=2, oldest=1000.0)


async def test_the_store_knows_how_much_there_is_of_each_kind(tmp_path: Path) -> None:
    store, chance, kept = JsonFileStore(tmp_path / "store"), random.Random(7), dict[str, int]()
    await store.open()
    for _ in range(200):
        id_ = f"{chance.randrange(20)}"
        if id_ in kept and chance.random() < 0.4:
            await store.remove("things", "ann", id_, replaces=kept.pop(id_))
        else:
            kept[id_] = (await store.save("things", "ann", id_, {}, replaces=kept.get(id_, 0))).revision
        assert store.sizes()["things"].documents == len(kept) == await store.count("things", "ann")
    before = store.sizes()
    assert before["things"].bytes > 0
    await store.close()
    await store.open()
    assert store.sizes() == before
    await store.close()


async def test_a_store_of_somebody_else_s_need_not_know(tmp_path: Path) -> None:
    """Then there is nothing to tell, and nothing fails."""

    class Silent(MemoryStore):
        def sizes(self) -> dict[str, Size]:
            return {}

    store = Silent()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        told = Told(d)
        await d.ready()
        assert await told("store_documents", kind="destinations") == 0
        assert await told("destinations", condition="ok") == 0
        assert await told("store_writable") == 1


async def test_an_account_that_is_named_like_a_code_is_no_fault(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        metrics = Metrics(by_account=True, now=d.clock)
        d.destinations.events.listen(metrics.hear)
        one = await d.destination(account=FAULT)
        await d.deliver(await d.collection(one, account=FAULT))
        await d.work()
        await metrics.look(d.destinations)
        labels = {"type": "memory", "outcome": "ok", "code": "", "account": FAULT}
        assert metrics.registry.get_sample_value("consignee_attempts_total", labels) == 1
        assert metrics.registry.get_sample_value("consignee_faults_total", {"where": "attempts"}) == 0


def test_a_measurement_falls_into_the_bucket_of_its_bound() -> None:
    """What is exactly at a bound is within it."""
    spread = Spread("consignee_x_duration_seconds", "", (0.1, 1, 10))
    for seconds in (0, 0.1, 0.100001, 1, 10, 11):
        spread.note(seconds=seconds)
    assert spread.cells[()].counts == [2, 2, 1, 1]
    assert spread.cells[()].sum == pytest.approx(22.200001)


def test_counts_are_by_their_labels_and_without_labels_begin_at_nothing() -> None:
    some, one = Counts("consignee_x", "", ("code",)), Counts("consignee_y", "")
    assert (some.numbers, one.numbers) == ({}, {(): 0})
    some.add("a")
    some.add("a", amount=2)
    some.add("b")
    assert some.numbers == {("a",): 3, ("b",): 1}


def test_what_is_rare_is_there_before_it_happens() -> None:
    """Or nobody would see that it has happened for the first time: there would be no rise."""
    assert Hearing(by_account=False).flow.changes.numbers == {("disabled", ""): 0, ("recovered", ""): 0}
    assert Hearing(by_account=True).flow.changes.numbers == {}


UNINSTALLED = """
import asyncio, sys
from dataclasses import replace
sys.modules["prometheus_client"] = None
from aiohttp.test_utils import TestClient, TestServer
from consignee.secret import Secret
from consignee.settings import MetricsSettings, SecretsSettings, Settings
from consignee.store.memory import MemoryStore
from consignee.web import create_app

async def main():
    store = MemoryStore()
    await store.open()
    settings = replace(Settings(), metrics=MetricsSettings(enabled=True, public=True))
    async with TestClient(TestServer(create_app(settings, store=store))) as client:
        response = await client.get("/metrics")
        print(response.status, await response.text())
        print((await client.get("/healthz")).status)

asyncio.run(main())
"""


def test_without_the_extra_the_answer_says_what_to_install(tmp_path: Path) -> None:
    """And all else works; who starts the service is told too."""
    done = subprocess.run(
        [sys.executable, "-c", UNINSTALLED], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    answer, healthy = done.stdout.splitlines()
    assert answer.startswith("503 ") and '"code":"unavailable"' in answer
    assert "pip install 'consignee[metrics]'" in answer and "pip install 'consignee[metrics]'" in done.stderr
    assert healthy == "200"


def test_without_the_extra_there_are_no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match="metrics"):
        Metrics()


def test_nothing_of_it_is_loaded_unless_it_is_enabled() -> None:
    program = """
import sys
from consignee.settings import Settings
from consignee.web import create_app
from consignee.web.server import serve
create_app(Settings())
assert "prometheus_client" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
