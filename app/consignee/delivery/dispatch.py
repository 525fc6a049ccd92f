"""All of deliveries in one place: result sets come in, are delivered, and their webhooks told."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

from consignee.agenda import Agenda
from consignee.collections import Collections
from consignee.delivery import webhooks as messages
from consignee.delivery.attempt import Courier
from consignee.delivery.conditions import Conditions
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.engine import Engine
from consignee.delivery.result_set import ResultSet, document_id
from consignee.delivery.results import ResultSets
from consignee.delivery.sources import Source, opened
from consignee.delivery.views import delivery_view, result_set_view, status_view
from consignee.delivery.webhooks import Webhooks
from consignee.destination import Destination
from consignee.errors import ConsigneeError, NotFound, StoreError
from consignee.queue import Job
from consignee.tenure import Tenure

__all__ = ["Dispatch", "Source"]

SWEEP: Final = 3600.0
"""Seconds from one removal of old result sets to the next, at most."""
MEND: Final = 10.0
"""Seconds from one attempt to finish what the disk did not let be finished to the next."""
SETTLE: Final = 300.0
"""Seconds from one look at the conditions of all destinations to the next, on a store that other processes have too."""
_REST: Final = 20
"""How many times as long as a look took, nobody looks again."""
_TIDY_EVERY: Final = 24
"""On such a store, so many removals of old result sets come to one of what belongs to nothing."""

log = logging.getLogger(__name__)


class Dispatch:
    """What `Destinations.dispatch` is. `retention` is in seconds, `public_url` where customers reach the service.

    Of all processes on a store, the one with the `tenure` keeps house; `clock` measures how long that takes, in seconds.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        results: ResultSets,
        deliveries: Deliveries,
        webhooks: Webhooks,
        conditions: Conditions,
        courier: Courier,
        engines: Iterable[Engine],
        retention: float,
        public_url: str,
        tenure: Tenure | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.collections = collections
        self.results = results
        self.deliveries = deliveries
        self.webhooks = webhooks
        self.conditions = conditions
        self.courier = courier
        self._engines = tuple(engines)
        self._housekeeping = Agenda()
        self._interval = max(1.0, min(retention / 10, SWEEP))
        self._public_url = public_url
        self._tenure = tenure
        self._clock = clock
        self._removals = itertools.count()

    def start(self) -> None:
        """Begin to deliver."""
        for engine in self._engines:
            engine.start()
        self._housekeeping = Agenda()
        self._housekeeping.after(0, self._retire)
        self._housekeeping.after(0, self._mend)
        if self._is_shared or not self.results.spool.listed:
            for chore in self.results.chores:  # each on its own: one may take long, and then rests for longer
                self._again_and_again("what processes left that ended could not be finished yet", chore, MEND)
        if self._is_shared:
            told = "not all conditions could be looked at"
            self._again_and_again(told, self.conditions.sweep, SETTLE, otherwise=self.conditions.states.clear)

    @property
    def _is_shared(self) -> bool:
        return self._tenure is not None and self._tenure.is_shared

    async def _is_ours(self) -> bool:
        return self._tenure is None or await self._tenure.is_ours()

    def _again_and_again(
        self,
        failure: str,
        work: Callable[[], Awaitable[None]],
        every: float,
        *,
        otherwise: Callable[[], None] = lambda: None,
    ) -> None:
        """Do some work under the tenure from now on, with rests between that are long enough not to burden the store."""

        async def step() -> None:
            began = self._clock()
            try:
                if await self._is_ours():
                    await work()
                else:
                    otherwise()
            except ConsigneeError as error:
                log.error("%s: %s", failure, error)
            finally:
                self._housekeeping.after(max(every, _REST * (self._clock() - began)), step)

        self._housekeeping.after(0, step)

    async def stop(self, grace: float) -> None:
        """Begin nothing more; what is under way gets `grace` seconds, and is then given back."""
        await self._housekeeping.close()
        await asyncio.gather(*(engine.stop(grace) for engine in self._engines))

    async def deliver(
        self, account: str, collection_id: str, files: Iterable[Source], times: Mapping[str, str] | None = None
    ) -> ResultSet:
        """Take in a complete result set; see `Destinations.deliver`."""
        collection = await self.collections.get(account, collection_id)
        async with self.results.intake(collection) as intake, aclosing(opened(files)) as sources:
            async for name, chunks in sources:
                await intake.add(name, chunks)
            return await self.results.complete(collection, intake, times)

    async def view(self, account: str, collection_id: str, number: str | int) -> dict[str, Any]:
        """Return a result set as it is listed and as webhooks are told of it, without its `files`; raises NotFound."""
        return await self.view_of(await self.results.get(account, collection_id, number), files=False)

    async def view_of(self, result_set: ResultSet, *, files: bool = True) -> dict[str, Any]:
        """Return a result set as it is answered."""
        return result_set_view(
            result_set,
            await self.deliveries.of(result_set.account, result_set.id),
            self.courier.progress,
            public_url=self._public_url,
            webhook_status=await self.webhooks.status(result_set.account, result_set.id),
            files=files,
        )

    async def status(self, account: str, collection_id: str, number: str | int) -> dict[str, Any]:
        """Return `destination_status` and `webhook_status` of a result set, without reading the rest; raises NotFound."""
        place = await self.results.find(account, collection_id, number)
        jobs = await self.deliveries.of(account, place)
        return status_view(jobs, self.courier.progress, await self.webhooks.status(account, place))

    def delivery_view(self, job: Job, *, uploads: bool = False) -> dict[str, Any]:
        """Return a delivery as it is answered."""
        return delivery_view(job, self.courier.progress(job), uploads=uploads)

    async def all_ended(self, account: str, collection_id: str, number: int, completion: str) -> None:
        """Have the collection's webhook told, if it has one; if the disk fails, soon."""
        try:
            await self._tell(account, collection_id, number, completion)
        except NotFound:
            return
        except StoreError as error:
            place = document_id(collection_id, number)
            ids = {"account": account, "collection": collection_id}
            log.error(
                "the message about result set %s could not be kept; it is tried again: %s", place, error, extra=ids
            )
            self.results.mend_later(account, place)

    async def _tell(self, account: str, collection_id: str, number: int, completion: str) -> None:
        if await self.webhooks.knows(account, document_id(collection_id, number), completion):
            return
        collection = await self.collections.get(account, collection_id)
        skipped = collection.notification_webhook is None
        if not skipped or (await self.results.get(account, collection_id, number)).notify:
            await self.webhooks.tell(account, collection_id, number, completion=completion, skipped=skipped)

    async def destination_deleted(self, destination: Destination) -> None:
        """Cancel what was still to be delivered to a destination that is no more; if the disk fails, an attempt will find out."""
        try:
            await self.deliveries.cancel(destination, "The destination was deleted.")
            await self.conditions.forget(destination.account, destination.id)
        except StoreError as error:
            ids = {"account": destination.account, "destination": destination.id}
            log.error("not all deliveries to destination %s could be cancelled: %s", destination.id, error, extra=ids)

    async def collection_deleted(self, account: str, collection_id: str) -> None:
        """Cancel and remove the result sets of a collection that is no more; if the disk fails, what is left goes soon."""
        try:
            for number in await self.results.numbers(account, collection_id):
                await self.webhooks.forget(account, document_id(collection_id, number))
            await self.results.forget_collection(account, collection_id)
        except StoreError as error:
            text = "the result sets of collection %s could not be removed; it is tried again: %s"
            log.error(text, collection_id, error, extra={"account": account, "collection": collection_id})
            self.results.tidy_later()

    async def _mend(self) -> None:
        try:
            for mend in (self.results.mend, self.conditions.mend):
                try:
                    await mend()
                except ConsigneeError as error:
                    log.error("what a failure of the disk left could not be finished yet: %s", error)
        finally:
            self._housekeeping.after(MEND, self._mend)

    async def _retire(self) -> None:
        try:
            if await self._is_ours():
                await self._remove_old()
        except ConsigneeError as error:
            log.error("old result sets could not be removed: %s", error)
        finally:
            self._housekeeping.after(self._interval, self._retire)

    async def _remove_old(self) -> None:
        await self.results.retire(needed=self.webhooks.unfinished)
        if next(self._removals) % (_TIDY_EVERY if self._is_shared else 1):
            return
        await self.results.tidy()
        for account, result_set_id in await self.results.strays(messages.KIND):
            await self.webhooks.forget(account, result_set_id)
