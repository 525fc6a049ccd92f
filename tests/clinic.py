"""The service with no HTTP, its store and storage in memory, its background moved on by hand."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from balky import BalkyStorage, fields
from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.egress import Policy
from consignee.leftovers import Leftovers
from consignee.outlets import open_outlets
from consignee.removal import Remover
from consignee.reverification import Reverification
from consignee.secret import Sealer
from consignee.service import Destinations
from consignee.settings import LimitsSettings, VerificationSettings
from consignee.store.memory import MemoryStore
from consignee.tester import Tester
from providers.opening import loopback
from timers import Timers

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Clinic:
    """The service and what it works on."""

    destinations: Destinations
    storage: BalkyStorage
    timers: Timers
    tester: Tester
    agenda: Agenda

    async def register(self, account: str, bucket: str, **more: Any) -> str:
        """Save a destination with a bucket of its own, and return its id."""
        self.storage.memory.buckets.setdefault(bucket, {})
        made = await self.destinations.create(account, fields(bucket, **more))
        self.storage.opened.clear()
        return made.id

    async def last_test(self, account: str, id_: str) -> dict[str, Any]:
        """Return the outcome that is kept."""
        return dict((await self.destinations.get(account, id_)).last_test or {})

    def repeat(self, every: str, *, random: Callable[[], float] = lambda: 0.5) -> None:
        """Begin to repeat tests, as the setting says."""
        period = VerificationSettings(every=every).period
        assert period is not None
        Reverification(
            self.destinations,
            period=period,
            turns=self.tester.turns,
            agenda=self.agenda,
            now=self.now,
            random=random,
        ).start()

    def now(self) -> datetime:
        """Return the time of day."""
        return START + timedelta(seconds=self.timers.now)


@asynccontextmanager
async def clinic(*, concurrency: int = 16, timeout: float = 300.0) -> AsyncIterator[Clinic]:
    """Yield the service; what hangs is given up after `timeout` real seconds."""
    timers, storage, store = Timers(), BalkyStorage(), MemoryStore()
    catalog, agenda, sealer = Catalog([storage.provider], Policy()), Agenda(timers), Sealer(bytes(32))
    await store.open()
    async with open_outlets(loopback()) as outlets:
        leftovers = Leftovers(store, sealer=sealer)
        remover = Remover(leftovers, catalog=catalog, outlets=outlets, agenda=agenda, timeout=timeout)
        settings = VerificationSettings(timeout=timeout, concurrency=concurrency)
        tester = Tester(settings, catalog=catalog, outlets=outlets, remover=remover)
        destinations = Destinations(
            store,
            sealer=sealer,
            catalog=catalog,
            tester=tester,
            limits=LimitsSettings(),
            now=lambda: made.now(),
        )
        made = Clinic(destinations, storage, timers, tester, agenda)
        try:
            yield made
        finally:
            await agenda.close()
