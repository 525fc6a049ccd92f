"""Several processes on one store: who starts first makes the keys, and one of them does what is to be done once."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from balky import BalkyStorage, fields
from consignee.accounts import open_accounts
from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.egress import Policy
from consignee.errors import AccessDenied, Conflict, StoreUnusable
from consignee.leftovers import Leftover, Leftovers
from consignee.listing import Listing
from consignee.opening import open_destinations
from consignee.outlets import open_outlets
from consignee.removal import DAY, LOOK, Remover
from consignee.reverification import Reverification
from consignee.rotation import Making, Rotation
from consignee.sealing_key import KIND as SEALING_KEYS
from consignee.sealing_key import load_sealer, register
from consignee.secret import Sealer, Secret
from consignee.sections import StoreSettings
from consignee.settings import SecretsSettings, Settings
from consignee.tenure import KIND as TENURES
from consignee.tenure import Tenure
from consignee.turns import Turns
from consignee.verification import Report, Step
from consignee.web.shown import Answers
from delivery.depot import depot
from delivery.warehouse import Warehouse, passing
from providers.opening import loopback
from sharing import SharedMemoryStore, opened
from timers import Timers

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = 3600.0
KEY = "exports/consignee-test-0123456789abcdef.txt"
LEFT = Report(steps=(Step(step="delete", ok=False, ms=1, code="timeout"),), left_behind=KEY, doubtful=KEY)


async def test_all_that_start_at_once_with_one_key_file_have_one_key(tmp_path: Path) -> None:
    settings, first = SecretsSettings(key_file=str(tmp_path / "secret.key")), await opened()
    sealers = await asyncio.gather(*(load_sealer(settings, first.another()) for _ in range(5)))
    assert len({sealer.key_ids for sealer in sealers}) == 1
    assert await first.ids(SEALING_KEYS, "") == [sealers[0].key_id]


async def test_of_two_that_start_at_once_with_key_files_of_their_own_one_is_refused(tmp_path: Path) -> None:
    """It could not read what the other one seals; and its key file is not made."""
    first = await opened()
    paths = [tmp_path / "one" / "secret.key", tmp_path / "two" / "secret.key"]
    starts = (load_sealer(SecretsSettings(key_file=str(path)), first.another()) for path in paths)
    found = await asyncio.gather(*starts, return_exceptions=True)
    (refused,) = [each for each in found if isinstance(each, StoreUnusable)]
    (sealer,) = [each for each in found if isinstance(each, Sealer)]
    assert "put the key there that the other processes on this store have" in str(refused)
    assert sealer.key_id in str(refused)
    assert sum(path.exists() for path in paths) == 1


async def test_all_that_start_at_once_have_one_pepper() -> None:
    first = await opened()
    found = await asyncio.gather(*(open_accounts(first.another(), sealer=Sealer(bytes(32))) for _ in range(5)))
    key = await found[0].create_key("ann")
    assert [await each.authenticate(key) for each in found] == ["ann"] * 5
    await found[4].revoke_key((await found[3].list_keys())[0].id)
    assert [await each.authenticate(key) for each in found] == [None] * 5, "at once"


async def test_a_key_that_two_register_at_once_is_registered() -> None:
    first = await opened()
    await asyncio.gather(*(register(first.another(), "abcd") for _ in range(5)))
    assert await first.ids(SEALING_KEYS, "") == ["abcd"]


@pytest.mark.parametrize("making", [Making.ALWAYS, Making.IF_DONE])
async def test_no_new_key_is_made_that_other_processes_do_not_have(tmp_path: Path, making: Making) -> None:
    """It says how that is done, and all that is sealed with an older key is sealed anew."""
    first, path = await opened(), tmp_path / "secret.key"
    settings = SecretsSettings(key_file=str(path))
    sealer = await load_sealer(settings, first)
    sealed = sealer.seal(Secret("hunter2"), account="ann", id="1", revision=1, field="a")
    await first.save("destinations", "ann", "1", {"secrets": {"a": sealed}})
    before = path.read_bytes()
    with pytest.raises(Conflict, match="put it behind the present one in the key file of every process"):
        await Rotation(first, sealer=sealer, settings=settings).rotate(making)
    assert path.read_bytes() == before
    path.write_text(f"{os.urandom(32).hex()}\n{before.decode()}")
    rotation = Rotation(first, sealer=await load_sealer(settings, first.another()), settings=settings)
    assert [use.documents for use in await rotation.rotate(Making.NEVER)] == [1, 0]


class Process:
    """What removes test files in one process, with the time of all of them."""

    def __init__(self, store: SharedMemoryStore, storage: BalkyStorage, timers: Timers, outlets: Any) -> None:
        catalog = Catalog([storage.provider], Policy())
        self.agenda = Agenda(timers)
        self.tenure = Tenure(store, seconds=HOUR, clock=lambda: timers.now)
        self.leftovers = Leftovers(store, sealer=Sealer(bytes(32)))
        self.draft = catalog.parse(fields())
        self.remover = Remover(
            self.leftovers,
            catalog=catalog,
            outlets=outlets,
            agenda=self.agenda,
            timeout=30.0,
            now=lambda: START + timedelta(seconds=timers.now),
            random=lambda: 0.5,
            tenure=self.tenure,
        )

    async def leave(self) -> None:
        """Let a test end that could not remove its file."""
        async with self.remover.watch("ann", self.draft, {}, id="1") as watch:
            await watch.remember(KEY)
            watch.report = LEFT


@asynccontextmanager
async def processes(storage: BalkyStorage, timers: Timers) -> AsyncIterator[list[Process]]:
    """Yield two, of which the first has the tenure."""
    first = await opened()
    async with open_outlets(loopback()) as outlets:
        made = [Process(store, storage, timers, outlets) for store in (first, first.another())]
        for process in made:
            await process.remover.take_up()
            await timers.advance(0)
        assert [await process.tenure.is_ours() for process in made] == [True, False]
        yield made
        for process in made:
            await process.agenda.close()


async def test_what_a_test_leaves_is_removed_by_its_own_process_first_and_then_by_the_one_with_the_tenure() -> None:
    """Each attempt once, whoever makes it."""
    timers, storage = Timers(), BalkyStorage("bucket")
    async with processes(storage, timers) as (one, other):
        storage.deletes = [AccessDenied("no") for _ in range(20)]
        await other.leave()
        await timers.advance(1 + 10 + 60 + 300)
        assert len(storage.deletes) == 16
        await timers.advance(DAY)
        assert len(storage.deletes) == 10, "a second, ten, a minute, five, half an hour, two hours after it took over"
        await timers.advance(5 * DAY)
        assert len(storage.deletes) == 5
        storage.deletes.clear()
        await timers.advance(DAY)
        assert await one.leftovers.places() == []


async def test_what_a_process_that_ended_left_is_removed_by_another_when_it_is_old() -> None:
    """Until then its test may still be running elsewhere: nobody touches its file."""
    timers, storage = Timers(), BalkyStorage("bucket")
    async with processes(storage, timers) as (one, other):
        storage.memory.buckets["bucket"][KEY] = b"x"
        leftover = Leftover(
            account="ann",
            id="2",
            key=KEY,
            type="memory",
            settings=one.draft.settings,
            secrets=one.draft.secrets,
            found={},
            created_at="2026-01-02T03:04:05.000Z",
        )
        await other.leftovers.remember(leftover)
        await other.agenda.close()
        await timers.advance(2 * LOOK - 1)
        assert KEY in storage.memory.buckets["bucket"]
        await timers.advance(LOOK + 10)
        assert KEY not in storage.memory.buckets["bucket"]
        assert await one.leftovers.places() == []


async def test_when_the_one_with_the_tenure_ends_another_goes_on_removing() -> None:
    timers, storage = Timers(), BalkyStorage("bucket")
    async with processes(storage, timers) as (one, other):
        storage.deletes = [AccessDenied("no") for _ in range(5)]
        await one.leave()
        await timers.advance(400)
        await one.agenda.close()
        await one.tenure.leave()
        await timers.advance(2 * LOOK)
        assert await other.leftovers.places() == []


async def test_a_destination_is_tested_again_by_one_process_alone(tmp_path: Path) -> None:
    first, timers, warehouse = await opened(), Timers(), Warehouse("bucket")
    tenures = [Tenure(store, seconds=HOUR, clock=lambda: timers.now) for store in (first, first.another())]
    agendas = [Agenda(timers), Agenda(timers)]
    async with depot(tmp_path, store=first, warehouse=warehouse) as d:
        await d.destination()
        now = datetime.now(UTC)
        for tenure, agenda in zip(tenures, agendas, strict=True):
            Reverification(
                d.destinations,
                period=HOUR,
                turns=Turns(9, each=9),
                agenda=agenda,
                now=lambda: now + timedelta(seconds=timers.now),
                tenure=tenure,
            ).start()
        await timers.advance(HOUR + HOUR / 10 - 1)
        assert len(d.sent()) == 1
        for agenda in agendas:
            await agenda.close()


async def test_what_is_answered_of_a_destination_is_what_all_processes_have_made_of_it(tmp_path: Path) -> None:
    first = await opened()
    async with depot(tmp_path / "one", store=first) as d, depot(tmp_path / "two", store=other(first, tmp_path)) as e:
        answers, theirs = Answers(d.destinations), Answers(e.destinations)
        one = await d.destination()
        for _ in range(2):
            assert json.loads(await theirs.one("ann", one))["destination"]["deliveries"]["state"] == "ok"
        await d.parts.conditions.failed("ann", one, passing())
        shown = json.loads(await theirs.one("ann", one))["destination"]
        assert (shown["deliveries"]["state"], shown["used_by"]) == ("failing", 0)
        await d.collection(one)
        (listed,) = json.loads(await theirs.page("ann", Listing()))["destinations"]
        assert (listed["deliveries"]["state"], listed["used_by"]) == ("failing", 1)
        await d.destinations.update("ann", one, {"name": "Other", "enabled": False})
        (listed,) = json.loads(await theirs.page("ann", Listing()))["destinations"]
        assert (listed["name"], listed["enabled"]) == ("Other", False)
        assert await theirs.one("ann", one) == await answers.one("ann", one)
        await d.destinations.delete("ann", one)
        assert json.loads(await theirs.page("ann", Listing()))["destinations"] == []


def other(store: SharedMemoryStore, place: Path) -> SharedMemoryStore:
    """Return the view of another process, which may have a spool too."""
    made = store.another()
    made.locks = type(store.locks)(asyncio.Lock)
    return made


async def test_a_service_lets_go_of_the_tenure_when_it_ends(tmp_path: Path) -> None:
    first = await opened()
    settings = Settings(store=StoreSettings(path=str(tmp_path)), secrets=SecretsSettings(key=Secret("00" * 32)))
    async with open_destinations(settings, store=first, providers=[]):
        async with asyncio.timeout(10):
            while not await first.count(TENURES, ""):
                await asyncio.sleep(0.01)
        assert not await Tenure(first).is_ours()
    assert await Tenure(first).is_ours()
