"""All of delivery, with a clock that a test moves by hand; it works only when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from balky import fields
from canaries import SEALING_KEY
from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.collection import Collection
from consignee.delivery.assembly import Assembly
from consignee.delivery.delivery import Delivery, delivery_id
from consignee.delivery.result_set import ResultSet
from consignee.errors import StoreError
from consignee.leftovers import Leftovers
from consignee.outlets import open_outlets, policy
from consignee.queue import Job
from consignee.removal import Remover
from consignee.secret import Sealer
from consignee.sections import DeliverySettings, StoreSettings
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.store import Data, Store
from consignee.store.memory import MemoryStore
from consignee.tester import Tester
from delivery.warehouse import Warehouse
from preceded import PrecededStore
from providers.opening import loopback

START = 1_767_322_800.0  # 2026-01-02T03:00:00Z
LONG = 30.0


class Clock:
    """Seconds since 1970, as a test says."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FrailStore(PrecededStore):
    """A store whose saves of some kinds fail: those in `failing`, or the next ones of a kind, as often as `fail_next` says."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()
        self.fail_next: dict[str, int] = {}

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        left = self.fail_next.get(kind, 0)
        self.fail_next[kind] = max(0, left - 1)
        if left or kind in self.failing:
            raise StoreError("the disk is full")


@dataclass
class Depot:
    """The parts, what they work on, and what tests do with them; everything is ann's if not said otherwise."""

    place: Path
    parts: Assembly
    warehouse: Warehouse
    clock: Clock
    store: Store

    @property
    def destinations(self) -> Destinations:
        """The service."""
        return self.parts.destinations

    async def destination(self, bucket: str = "bucket", *, account: str = "ann", **more: Any) -> str:
        """Save a destination with that bucket, and return its id."""
        self.warehouse.memory.buckets.setdefault(bucket, {})
        broken, self.warehouse.broken = self.warehouse.broken, {}
        gates, self.warehouse.gates = self.warehouse.gates, {}
        made = await self.destinations.create(account, fields(bucket, **more))
        self.warehouse.broken, self.warehouse.gates = broken, gates
        self.warehouse.puts.clear()
        return made.id

    async def collection(self, *destination_ids: str, account: str = "ann", **more: Any) -> Collection:
        """Save a collection."""
        values = {"name": "Shop", "destination_ids": list(destination_ids), **more}
        return await self.parts.collections.create(account, values)

    async def deliver(
        self,
        collection: Collection,
        files: Mapping[str, bytes] | None = None,
        *,
        times: Mapping[str, str] | None = None,
    ) -> ResultSet:
        """Take in a result set, by default of one file."""
        sources = list((files or {"a.txt": b"content of a"}).items())
        return await self.destinations.deliver(collection.account, collection.id, sources, **(times or {}))

    async def ready(self, *buckets: str, files: Mapping[str, bytes] | None = None, **more: Any) -> ResultSet:
        """Return a result set that is to be delivered to new destinations with these buckets."""
        ids = [await self.destination(bucket) for bucket in buckets or ("bucket",)]
        return await self.deliver(await self.collection(*ids, **more), files)

    async def work(self) -> int:
        """Do what is due, and what becomes due by that, until nothing is; return how many attempts that took."""
        attempts = 0
        while jobs := await self.parts.queue.claim(64, each=4):
            attempts += len(jobs)
            await asyncio.gather(*map(self.parts.courier.work, jobs))
        return attempts

    async def tell(self) -> int:
        """Send the messages that are due; return how many attempts that took."""
        attempts = 0
        while jobs := await self.parts.messages.claim(64, each=4):
            attempts += len(jobs)
            await asyncio.gather(*map(self.parts.webhooks.work, jobs))
        return attempts

    async def job(self, result_set: ResultSet, destination_id: str = "") -> Job:
        """Return the job of a delivery; of the only destination, if none is named."""
        one = destination_id or result_set.destination_ids[0]
        return await self.parts.deliveries.get(
            result_set.account, delivery_id(result_set.collection_id, result_set.number, one)
        )

    async def delivery(self, result_set: ResultSet, destination_id: str = "") -> Delivery:
        """Return a delivery."""
        return Delivery.of(await self.job(result_set, destination_id))

    async def status(self, result_set: ResultSet, destination_id: str = "") -> dict[str, Any]:
        """Return a delivery's status as it is answered."""
        one = destination_id or result_set.destination_ids[0]
        view = await self.parts.dispatch.view_of(result_set)
        return dict(view["destination_status"][one])

    async def has(self, result_set: ResultSet, status: str, destination_id: str = "") -> bool:
        """Whether a delivery has that status."""
        return bool((await self.status(result_set, destination_id))["status"] == status)

    async def at_rest(self, *result_sets: ResultSet) -> bool:
        """Whether all their deliveries have ended."""
        return not any([await self.parts.deliveries.unfinished(one.account, one.id) for one in result_sets])

    def sent(self, bucket: str = "bucket") -> list[str]:
        """Return the keys of the uploads to a bucket, in their order, also of those that failed."""
        return [key for name, key in self.warehouse.puts if name == bucket]

    @asynccontextmanager
    async def again(self) -> AsyncIterator["Depot"]:
        """Yield what the next process makes of it; this one has ended."""
        await self.parts.close()
        async with depot(self.place, store=self.store, warehouse=self.warehouse, clock=self.clock) as made:
            yield made

    async def wake(self) -> None:
        """Let engines see that the clock was moved."""
        for queue in (self.parts.queue, self.parts.messages):
            await queue.hold("nobody", "none", None)


@asynccontextmanager
async def depot(
    place: Path,
    *buckets: str,
    store: Store | None = None,
    warehouse: Warehouse | None = None,
    clock: Clock | None = None,
    random: Callable[[], float] = lambda: 0.5,
    settings: Settings | None = None,
    **own: Any,
) -> AsyncIterator[Depot]:
    """Yield it, open; `own` are settings of delivery. A `store` that is given is open, and stays open."""
    clock, warehouse = clock or Clock(), warehouse or Warehouse(*buckets)
    settings = replace(settings or loopback(), store=StoreSettings(path=str(place)), delivery=DeliverySettings(**own))
    if store is None:
        store = MemoryStore()
        await store.open()
    sealer, agenda = Sealer(SEALING_KEY), Agenda()
    catalog = Catalog([warehouse.provider], policy(settings.egress))
    async with open_outlets(settings) as outlets:
        leftovers = Leftovers(store, sealer=sealer)
        remover = Remover(leftovers, catalog=catalog, outlets=outlets, agenda=agenda, timeout=LONG)
        tester = Tester(settings.verification, catalog=catalog, outlets=outlets, remover=remover)
        destinations = Destinations(store, sealer=sealer, catalog=catalog, tester=tester, limits=settings.limits)
        parts = Assembly(
            settings, destinations, sealer=sealer, outlets=outlets, agenda=agenda, now=clock, random=random
        )
        try:
            await parts.open()
            yield Depot(place, parts, warehouse, clock, store)
        finally:
            await agenda.close()
            await parts.close()


@asynccontextmanager
async def at_work(made: Depot, *, grace: float = LONG) -> AsyncIterator[None]:
    """Let the engines work; in the end they have `grace` seconds."""
    made.parts.dispatch.start()
    try:
        yield
    finally:
        await made.parts.dispatch.stop(grace)


async def until(true: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Return as soon as it is true."""
    async with asyncio.timeout(LONG):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.005)
