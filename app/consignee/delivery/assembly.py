"""Puts together what delivers."""

import random as chance
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from consignee.agenda import Agenda
from consignee.collections import Collections
from consignee.delivery import delivery as states
from consignee.delivery import webhooks
from consignee.delivery.abandoning import Abandoning
from consignee.delivery.attempt import Courier, Skipped
from consignee.delivery.claiming import claim
from consignee.delivery.conditions import Conditions
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.dispatch import Dispatch
from consignee.delivery.engine import Engine
from consignee.delivery.herald import Herald
from consignee.delivery.outcomes import Surroundings
from consignee.delivery.placing import result_files
from consignee.delivery.result_set import document_id
from consignee.delivery.results import ResultSets
from consignee.delivery.schedule import Schedule
from consignee.delivery.sending import Errand, Places, Target, is_same_way, share_of
from consignee.delivery.shared_conditions import SharedConditions
from consignee.delivery.webhook import send
from consignee.delivery.webhooks import Webhooks
from consignee.destination import Destination
from consignee.errors import NotFound
from consignee.events import DestinationDisabled
from consignee.outlets import Outlets, policy
from consignee.providers.base import Bucket
from consignee.queue import Job, Queue
from consignee.queue.opening import queue_on
from consignee.sealed import SEALED, resealed
from consignee.secret import Sealer
from consignee.sections import seconds
from consignee.service import KIND as DESTINATIONS
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.tenure import Tenure

WEBHOOKS_AT_ONCE: Final = 2
"""To one collection's webhook."""
_HOUR: Final = 3600.0


class Assembly:
    """All the parts, and what they ask of each other; `open` makes them ready, `dispatch.start` sets them to work.

    `now` returns seconds since 1970, `random` numbers from 0 to 1. Leases go by `clock`, which never jumps, or else by `now`.
    """

    def __init__(
        self,
        settings: Settings,
        destinations: Destinations,
        *,
        sealer: Sealer,
        outlets: Outlets,
        agenda: Agenda,
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = chance.random,
        clock: Callable[[], float] | None = None,
        delivers: bool = True,
        tenure: Tenure | None = None,
    ) -> None:
        own = settings.delivery
        self.settings = settings
        self.destinations = destinations
        self.store = destinations.store
        self.sealer = sealer
        self.outlets = outlets
        self.agenda = agenda
        self.now = now
        self.delivers = delivers
        self.tenure = tenure or Tenure(self.store)
        self.schedule = Schedule.of(own, random=random)
        self.events = destinations.events
        self.herald = Herald(self.events, self.store, now=now)
        self.queue, self.messages = (self._queue(kind, clock) for kind in (states.KIND, webhooks.KIND))
        self.collections = self._collections()
        self.conditions = self._conditions()
        self.spool = result_files(settings, store=self.store, outlets=outlets)
        self.abandoning = Abandoning(self.open_bucket, find=destinations.get, sealer=sealer, agenda=agenda)
        self.courier = self._courier()
        self.engine = self._engine(self.queue, self.courier.work, each=own.per_destination)
        self.deliveries = self._deliveries()
        self.results = self._results()
        self.webhooks = self._webhooks()
        self.dispatch = self._dispatch()
        self._in_use: WeakValueDictionary[tuple[str, str, int], Target] = WeakValueDictionary()
        """Destinations that attempts under way have read, with the version of the store at which they did."""

    async def open(self) -> None:
        """Take up what is known, and finish what an end in the middle left; raises StoreUnusable, StoreError."""
        self.destinations.dispatch = self.dispatch
        self.destinations.works_again.append(self.conditions.succeeded)
        self.destinations.deleted.append(self.dispatch.destination_deleted)
        self.collections.deleted.append(self.dispatch.collection_deleted)
        self.destinations.renewals[states.KIND] = self._renew
        await self.spool.open()
        await claim(self.spool, self.store)
        for part in (self.queue, self.messages, self.conditions, self.results):
            await part.open()

    async def close(self) -> None:
        """Let outcomes be saved, and go of the spool."""
        await self.courier.close()
        await self.spool.close()

    async def _renew(self, account: str, id: str) -> None:  # noqa: A002
        self.courier.renew(account, id)
        await self.queue.renew(account, id)

    def _queue(self, kind: str, clock: Callable[[], float] | None) -> Queue:
        own = self.settings.delivery
        return queue_on(
            self.store,
            kind,
            now=self.now,
            lease=own.lease,
            clock=clock,
            of_account=share_of(own.concurrency),
            furthest=2 * self.schedule.longest + _HOUR,  # what the other side asks for is honoured up to twice the step
            dress=partial(resealed, kind, sealer=self.sealer) if kind in SEALED else None,
        )

    def _collections(self) -> Collections:
        return Collections(
            self.store,
            limit=self.settings.limits.collections_per_account,
            sealer=self.sealer,
            policy=policy(self.settings.egress),
            now=self._time,
        )

    def _conditions(self) -> Conditions:
        own = self.settings.delivery
        return (SharedConditions if self.store.shared else Conditions)(
            self.store,
            self.queue,
            schedule=self.schedule,
            breaker=own.breaker,
            disable_after=seconds(own.disable_after) if own.disable_after else None,
            now=self.now,
            events=self.events,
        )

    def _courier(self) -> Courier:
        own = self.settings.delivery
        return Courier(
            self.queue,
            Surroundings(
                find=self.find,
                open_bucket=self.open_bucket,
                abandoning=self.abandoning,
                disable=self.disable,
                ended=self.ended,
                herald=self.herald,
                spool=self.spool,
                sealer=self.sealer,
                now=self.now,
            ),
            conditions=self.conditions,
            schedule=self.schedule,
            places=Places(own.concurrency, each=own.per_destination),
            crashes=own.crashes,
        )

    def _engine(self, queue: Queue, work: Callable[[Job], Any], *, each: int) -> Engine:
        own = self.settings.delivery
        return Engine(queue, work, places=own.concurrency, each=each, lease=own.lease)

    def _deliveries(self) -> Deliveries:
        return Deliveries(
            self.store,
            self.queue,
            take_away=self.engine.take_away,
            abandon=self.abandoning.soon,
            all_ended=self.all_ended,
            herald=self.herald,
            now=self._time,
        )

    def _results(self) -> ResultSets:
        retention = seconds(self.settings.delivery.retention)
        parts: dict[str, Any] = {"deliveries": self.deliveries, "spool": self.spool, "tenure": self.tenure}
        return ResultSets(self.store, **parts, retention=retention, now=self._time)

    def _webhooks(self) -> Webhooks:
        own = self.settings.delivery
        return Webhooks(
            self.messages,
            find=self.collections.get,
            view=self.view,
            post=partial(send, self.outlets.webhooks(), timeout=own.webhook_timeout),
            schedule=self.schedule,
            crashes=own.crashes,
            now=self.now,
            events=self.events,
        )

    def _dispatch(self) -> Dispatch:
        own = self.settings.delivery
        engines = self.engine, self._engine(self.messages, self.webhooks.work, each=WEBHOOKS_AT_ONCE)
        return Dispatch(
            collections=self.collections,
            results=self.results,
            deliveries=self.deliveries,
            webhooks=self.webhooks,
            conditions=self.conditions,
            courier=self.courier,
            engines=engines if self.delivers else (),
            retention=seconds(own.retention),
            public_url=own.public_url,
            tenure=self.tenure,
        )

    async def find(self, job: Job) -> Errand | None:
        """Return what a job is about, None if its result set is gone; raises Skipped."""
        try:
            result_set = await self.results.get(job.account, job.data["collection_id"], job.data["number"])
        except NotFound:
            return None
        return Errand(result_set=result_set, target=await self._target(job.account, job.lane))

    async def _target(self, account: str, id: str) -> Target:  # noqa: A002
        """Return an enabled destination, read no oftener than it changes while something is sent to it; raises Skipped."""
        place = account, id, self.store.version(DESTINATIONS, account)
        if (known := self._in_use.get(place)) is not None:
            return known
        try:
            destination = await self.destinations.get(account, id)
        except NotFound:
            raise Skipped("The destination was deleted.") from None
        if not destination.enabled:
            raise Skipped("The destination is disabled.")
        provider = self.destinations.catalog.provider(destination)
        prefix, field = provider.path_prefix(destination), provider.fields.prefix_field
        self._in_use[place] = target = Target(destination=destination, prefix=prefix, prefix_field=field)
        return target

    async def disable(self, destination: Destination) -> None:
        """Disable a destination to which nothing can be delivered, and skip what waits for it, unless it was mended."""
        with suppress(NotFound):
            latest = await self.destinations.get(destination.account, destination.id)
            if is_same_way(latest, destination):
                await self._disable(latest)

    async def _disable(self, destination: Destination) -> None:
        if (reason := await self.conditions.disabled(destination.account, destination.id)) is None:
            return
        if await self.destinations.disable(destination):
            place = {"account": destination.account, "destination_id": destination.id}
            self.events.tell(DestinationDisabled(**place, destination_type=destination.type))
        await self.deliveries.cancel(destination, reason, under_way=False)

    async def ended(self, job: Job) -> None:
        """Pass on that a delivery ended."""
        await self.deliveries.ended(job.account, document_id(job.data["collection_id"], job.data["number"]))

    async def all_ended(self, account: str, collection_id: str, number: int, completion: str) -> None:
        """Pass on that a result set is complete."""
        await self.dispatch.all_ended(account, collection_id, number, completion)

    async def view(self, account: str, collection_id: str, number: int) -> dict[str, object]:
        """Return a result set as it is answered; raises NotFound."""
        return await self.dispatch.view(account, collection_id, number)

    def open_bucket(self, destination: Destination) -> AbstractAsyncContextManager[Bucket]:
        """Return the bucket of a destination, to be opened."""
        provider = self.destinations.catalog.provider(destination)
        return provider.open(destination, destination.found, self.outlets.transport(provider))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)
