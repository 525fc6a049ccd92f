"""Result sets: taken in whole, numbered, listed, and removed again when nobody needs them any more."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from consignee.body import KeptBody
from consignee.clock import timestamp
from consignee.collection import Collection
from consignee.collections import KIND as COLLECTIONS
from consignee.delivery.counters import KIND as COUNTERS
from consignee.delivery.counters import Counters, SharedCounters, number_of
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.intake import Intake
from consignee.delivery.period import read_period
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import KIND, MANIFEST, ResultSet, document_id, from_document, to_data
from consignee.delivery.shared_upkeep import SharedUpkeep
from consignee.delivery.strays import Place, remove
from consignee.delivery.upkeep import Chore, Needed, Upkeep
from consignee.ending import to_its_end
from consignee.errors import Conflict, InvalidRequest, NotFound, StoreError
from consignee.store import Document, Store
from consignee.store.documents import fetch
from consignee.tenure import Tenure

_DIGITS: Final = 10
_NONE: Final = "There is no such result set."

log = logging.getLogger(__name__)


class ResultSets:
    """The result sets of all collections. Every method takes the account; what belongs to another does not exist.

    They are kept for `retention` seconds, and as long as a delivery needs them.
    """

    def __init__(
        self,
        store: Store,
        *,
        deliveries: Deliveries,
        spool: ResultFiles,
        retention: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tenure: Tenure | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self.spool = spool
        self._retention = timedelta(seconds=retention)
        self._now = now
        self._counters = SharedCounters(store) if store.shared else Counters(store)
        parts: dict[str, Any] = {"deliveries": deliveries, "files": spool, "counters": self._counters, "now": now}
        self._upkeep = (
            SharedUpkeep(store, **parts, tenure=tenure or Tenure(store), clock=clock)
            if store.shared
            else Upkeep(store, **parts)
        )

    async def open(self) -> None:
        """Finish what an end in the middle left: deliveries that were not made, and what belongs to nothing any more."""
        await self._upkeep.open()

    @property
    def chores(self) -> Sequence[Chore]:
        """What is to be done now and then to finish what other processes left that ended in the middle; raises StoreError."""
        return self._upkeep.chores

    async def finish(self) -> None:
        """Do all of that once."""
        for chore in self.chores:
            await chore()

    def mend_later(self, account: str, result_set_id: str) -> None:
        """Note that `mend` has something to do: a result set of which not all is planned, or told."""
        self._upkeep.mend_later(account, result_set_id)

    def tidy_later(self) -> None:
        """Note that `mend` has something to do: to remove what belongs to nothing any more."""
        self._upkeep.tidy_later()

    async def mend(self) -> None:
        """Finish what a failure of the disk left; raises StoreError, and then what is left waits for the next time."""
        await self._upkeep.mend()

    async def tidy(self) -> None:
        """Remove what belongs to nothing any more: what was of a collection or a result set that is gone; cheap, none is read."""
        await self._upkeep.tidy()

    async def strays(self, kind: str) -> Sequence[Place]:
        """Return account and id of each result set that is gone while documents of that kind are still named after it."""
        return await self._upkeep.strays(kind)

    async def retire(self, needed: Needed | None = None) -> Sequence[Place]:
        """Remove what is older than the retention and not needed by a delivery, or otherwise; return accounts and ids."""
        return await self._upkeep.retire(needed)

    def intake(self, collection: Collection) -> AbstractAsyncContextManager[Intake]:
        """Return a context in which the files of a result set are taken in; see `complete`."""
        reserved = (MANIFEST,) if collection.manifest else ()
        return self.spool.intake(reserved=reserved, account=collection.account, collection_id=collection.id)

    async def complete(
        self, collection: Collection, intake: Intake, times: Mapping[str, str] | None = None
    ) -> ResultSet:
        """Make the files that were taken in a result set, and have it delivered; on return all of it is durable.

        `times` may hold `started_at` and `ended_at`, ISO 8601. Raises InvalidRequest, NotFound or StoreError; then nothing
        of it is kept.
        """
        period = read_period(times or {}, now=self._now())
        if not intake.files:
            raise InvalidRequest({"files": ["at least one file is required: a part with a filename"]})
        # What was begun ends, even if nobody awaits it any more: half of it would be neither kept nor gone.
        return await to_its_end(self._complete(collection, intake, period))

    async def _complete(self, collection: Collection, intake: Intake, period: tuple[datetime, datetime]) -> ResultSet:
        token = await intake.keep()
        now = self._now()
        fields: dict[str, Any] = {
            "account": collection.account,
            "collection_id": collection.id,
            "collection_name": collection.name,
            "started_at": timestamp(period[0]),
            "ended_at": timestamp(period[1]),
            "created_at": timestamp(now),
            "expires_at": timestamp(now + self._retention),
            "token": token,
            "files": intake.files,
            "destination_ids": list(collection.destination_ids),
            "manifest": collection.manifest,
            "notify": collection.notification_webhook is not None,
        }
        try:
            result_set = await self._numbered(fields)
        except BaseException as error:
            # Where the store can't tell whether it was saved, it may be found there later: then its files must be there too.
            if not (self._store.shared and self.spool.listed and isinstance(error, StoreError)):
                await self.spool.remove(token)
            raise
        await self._settle(result_set)
        self._upkeep.note(result_set)
        try:
            await self._plan(result_set)
        except Exception as error:
            if await self._took_back(result_set, for_ever=isinstance(error, NotFound)) or isinstance(error, NotFound):
                raise
            log.error("result set %s could not be planned; it is tried again: %s", result_set.id, type(error).__name__)
            self.mend_later(result_set.account, result_set.id)
        else:
            await self._deliveries.ended(result_set.account, result_set.id)
        self._deliveries.accepted(result_set)
        return result_set

    async def _settle(self, result_set: ResultSet) -> None:
        try:
            await self.spool.settle(result_set.token)
        except StoreError:
            await self._took_back(result_set)
            raise

    async def _took_back(self, result_set: ResultSet, *, for_ever: bool = False) -> bool:
        """Remove a result set again, `for_ever` if its collection is no more; return whether it is gone."""
        try:
            if for_ever:
                await self._upkeep.forget(result_set.account, result_set.id)
            else:  # what of it was delivered meanwhile must not be overwritten by another of its number
                await self._counters.keep(result_set.account, result_set.collection_id, result_set.number)
                await self._upkeep.take_back(result_set)
        except (Conflict, StoreError) as error:
            log.error("not all of result set %s could be removed: %s", result_set.id, error)
            self.tidy_later()
        return await self._store.get(KIND, result_set.account, result_set.id) is None

    async def _plan(self, result_set: ResultSet) -> None:
        await self._deliveries.plan(result_set)
        if await self._store.get(COLLECTIONS, result_set.account, result_set.collection_id) is None:
            raise NotFound("There is no such collection any more.")

    async def _numbered(self, fields: Mapping[str, Any]) -> ResultSet:
        account, collection_id = fields["account"], fields["collection_id"]
        while True:
            result_set = ResultSet(number=await self._counters.next(account, collection_id), revision=1, **fields)
            try:
                await self._store.save(KIND, account, result_set.id, to_data(result_set))
            except Conflict:  # another process took the number
                await self._counters.catch_up(account, collection_id)
                continue
            except StoreError:
                await self._counters.give_back(account, collection_id, result_set.number)  # so that none is left out
                raise
            return result_set

    async def get(self, account: str, collection_id: str, number: str | int) -> ResultSet:
        """Return a result set; raises NotFound, also if its collection is no more."""
        place = await self._in_collection(account, collection_id, number)
        return from_document(await fetch(self._store, KIND, account, place, what="result set"))

    async def find(self, account: str, collection_id: str, number: str | int) -> str:
        """Return the id of a result set, whose data are not looked at; raises NotFound, also if its collection is no more."""
        place = await self._in_collection(account, collection_id, number)
        if not await self._store.revision(KIND, account, place):
            raise NotFound(_NONE)
        return place

    async def _in_collection(self, account: str, collection_id: str, number: str | int) -> str:
        """Return the id that a result set of that number has; raises NotFound if its collection is no more."""
        place = _place(collection_id, number)
        if not await self._store.revision(COLLECTIONS, account, collection_id):
            raise NotFound(_NONE)
        return place

    def file(self, result_set: ResultSet, name: str) -> KeptBody:
        """Return the content of the file of that name; raises NotFound."""
        for index, one in enumerate(result_set.files):
            if one.name == name:
                return self.spool.stored(result_set.token, result_set.files).body(index)
        raise NotFound("There is no such file.")

    async def count(self, account: str, collection_id: str) -> int:
        """Return how many result sets a collection ever had: the newest one's number."""
        return await self._counters.count(account, collection_id)

    async def forget_collection(self, account: str, collection_id: str) -> None:
        """Remove the result sets of a collection that is no more, and cancel their deliveries."""
        for place in await self._store.ids(KIND, account, prefix=f"{collection_id}."):
            await self._upkeep.forget(account, place)
        await remove(self._store, COUNTERS, account, collection_id)
        self._counters.forget(account, collection_id)

    async def numbers(self, account: str, collection_id: str) -> Sequence[int]:
        """Return the numbers of a collection's result sets that are still kept, newest first; cheap, none is read."""
        ids = await self._store.ids(KIND, account, prefix=f"{collection_id}.")
        return sorted(map(number_of, ids), reverse=True)

    async def kept(self, account: str, collection_id: str) -> Sequence[ResultSet]:
        """Return the result sets of a collection that are still kept, newest first."""
        found = [from_document(one) async for one in self._documents(account, prefix=f"{collection_id}.")]
        return sorted(found, key=lambda one: -one.number)

    async def _documents(self, account: str, prefix: str = "") -> AsyncIterator[Document]:
        """One at a time, and others get their turn in between: each may name thousands of files."""
        for one in await self._store.ids(KIND, account, prefix=prefix):
            if (document := await self._store.get(KIND, account, one)) is not None:
                yield document
            await asyncio.sleep(0)


def _place(collection_id: str, number: str | int) -> str:
    if not str(number).isascii() or not str(number).isdigit() or len(str(number)) > _DIGITS:
        raise NotFound(_NONE)
    return document_id(collection_id, int(number))
