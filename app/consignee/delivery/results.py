"""Result sets: taken in whole, numbered, listed, and removed again when nobody needs them any more."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from consignee.body import FileBody
from consignee.clock import timestamp
from consignee.collection import Collection
from consignee.collections import KIND as COLLECTIONS
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.intake import Intake
from consignee.delivery.period import read_period
from consignee.delivery.result_set import KIND, MANIFEST, ResultSet, document_id, from_document, to_data
from consignee.delivery.spool import Spool
from consignee.errors import Conflict, InvalidRequest, NotFound, StoreError
from consignee.store import Store
from consignee.store.documents import fetch

COUNTERS: Final = "result_counters"
_DIGITS: Final = 10

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
        spool: Spool,
        retention: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._spool = spool
        self._retention = timedelta(seconds=retention)
        self._now = now
        self._highest: dict[tuple[str, str], int] = {}
        self._counting: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def open(self) -> None:
        """Finish what an end in the middle left: deliveries that were not made, and what belongs to nothing any more."""
        tokens = set()
        for result_set in [one for account in await self._store.accounts(KIND) for one in await self._all(account)]:
            if await self._store.get(COLLECTIONS, result_set.account, result_set.collection_id) is None:
                await self._forget(result_set)
            else:
                tokens.add(result_set.token)
                await self._deliveries.plan(result_set)
                if result_set.notify:
                    await self._deliveries.ended(result_set.account, result_set.id)
        await self._spool.sweep(tokens)

    def intake(self, collection: Collection) -> AbstractAsyncContextManager[Intake]:
        """Return a context in which the files of a result set are taken in; see `complete`."""
        return self._spool.intake(reserved=(MANIFEST,) if collection.manifest else ())

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
        return await _to_its_end(self._complete(collection, intake, period))

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
        except BaseException:
            await self._spool.remove(token)
            raise
        try:
            await self._plan(result_set)
        except BaseException:
            await self._forget(result_set)
            raise
        with suppress(StoreError):  # the message is made up for at the next start
            await self._deliveries.ended(result_set.account, result_set.id)
        return result_set

    async def _plan(self, result_set: ResultSet) -> None:
        await self._deliveries.plan(result_set)
        if await self._store.get(COLLECTIONS, result_set.account, result_set.collection_id) is None:
            raise NotFound("There is no such collection any more.")

    async def _numbered(self, fields: Mapping[str, Any]) -> ResultSet:
        account, collection_id = fields["account"], fields["collection_id"]
        while True:
            result_set = ResultSet(number=await self._next(account, collection_id), revision=1, **fields)
            try:
                await self._store.save(KIND, account, result_set.id, to_data(result_set))
            except Conflict:  # another process took the number
                continue
            except StoreError:
                self._highest.pop((account, collection_id), None)  # counted anew, so that no number is left out
                raise
            return result_set

    async def get(self, account: str, collection_id: str, number: str | int) -> ResultSet:
        """Return a result set; raises NotFound."""
        if not str(number).isascii() or not str(number).isdigit() or len(str(number)) > _DIGITS:
            raise NotFound("There is no such result set.")
        place = document_id(collection_id, int(number))
        return from_document(await fetch(self._store, KIND, account, place, what="result set"))

    def file(self, result_set: ResultSet, name: str) -> FileBody:
        """Return the content of the file of that name; raises NotFound."""
        for index, one in enumerate(result_set.files):
            if one.name == name:
                return self._spool.body(result_set.token, index, one)
        raise NotFound("There is no such file.")

    async def count(self, account: str, collection_id: str) -> int:
        """Return how many result sets a collection ever had: the newest one's number."""
        place = account, collection_id
        async with self._counting[place]:
            if place not in self._highest:
                self._highest[place] = await self._counted(account, collection_id)
            return self._highest[place]

    async def _counted(self, account: str, collection_id: str) -> int:
        floor = await self._store.get(COUNTERS, account, collection_id)
        kept = await self.kept(account, collection_id)
        return max(floor.data["highest"] if floor else 0, *(one.number for one in kept), 0)

    async def _next(self, account: str, collection_id: str) -> int:
        await self.count(account, collection_id)
        self._highest[account, collection_id] += 1
        return self._highest[account, collection_id]

    async def forget_collection(self, account: str, collection_id: str) -> None:
        """Remove the result sets of a collection that is no more, and cancel their deliveries."""
        for result_set in await self.kept(account, collection_id):
            await self._forget(result_set)
        if (counter := await self._store.get(COUNTERS, account, collection_id)) is not None:
            with suppress(Conflict):
                await self._store.remove(COUNTERS, account, collection_id, replaces=counter.revision)
        self._highest.pop((account, collection_id), None)
        self._counting.pop((account, collection_id), None)

    async def retire(self) -> Sequence[ResultSet]:
        """Remove what is older than the retention and not needed by a delivery; return those result sets."""
        now, gone = timestamp(self._now()), []
        for account in await self._store.accounts(KIND):
            for result_set in await self._all(account):
                if result_set.expires_at <= now and not await self._deliveries.unfinished(account, result_set.id):
                    await self._keep_count(result_set)
                    await self._forget(result_set)
                    gone.append(result_set)
            await asyncio.sleep(0)
        return gone

    async def _keep_count(self, result_set: ResultSet) -> None:
        """No number is ever given twice: remember the highest one before the documents that show it are gone."""
        account, collection_id = result_set.account, result_set.collection_id
        highest = await self.count(account, collection_id)
        while True:
            floor = await self._store.get(COUNTERS, account, collection_id)
            if floor is not None and floor.data["highest"] >= highest:
                return
            with suppress(Conflict):
                replaces = floor.revision if floor else 0
                await self._store.save(COUNTERS, account, collection_id, {"highest": highest}, replaces=replaces)
                return

    async def _forget(self, result_set: ResultSet) -> None:
        account, place = result_set.account, result_set.id
        while (document := await self._store.get(KIND, account, place)) is not None:
            with suppress(Conflict):
                await self._store.remove(KIND, account, place, replaces=document.revision)
        await self._deliveries.forget(account, place)
        await self._spool.remove(result_set.token)

    async def _all(self, account: str) -> Sequence[ResultSet]:
        return [from_document(document) for document in await self._store.list(KIND, account)]

    async def kept(self, account: str, collection_id: str) -> Sequence[ResultSet]:
        """Return the result sets of a collection that are still kept, newest first."""
        documents = await self._store.list(KIND, account, prefix=f"{collection_id}.")
        return sorted(map(from_document, documents), key=lambda one: -one.number)


async def _to_its_end(work: Coroutine[Any, Any, ResultSet]) -> ResultSet:
    """Return what the work returns. A cancellation waits for that end too: the files must not be swept away meanwhile."""
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as interruption:
            cancelled = interruption
    if cancelled is not None and not task.cancelled() and task.exception() is None:
        raise cancelled
    return task.result()
