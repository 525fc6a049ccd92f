"""Result sets: taken in whole, numbered, listed, and removed again when nobody needs them any more."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from consignee.body import FileBody
from consignee.clock import timestamp
from consignee.collection import Collection
from consignee.collections import KIND as COLLECTIONS
from consignee.delivery.counters import KIND as COUNTERS
from consignee.delivery.counters import Counters, number_of
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.delivery import KIND as DELIVERIES
from consignee.delivery.intake import Intake
from consignee.delivery.period import read_period
from consignee.delivery.result_set import KIND, MANIFEST, ResultSet, document_id, from_document, to_data
from consignee.delivery.spool import Spool
from consignee.delivery.strays import Place, remove, without_collection, without_result_set
from consignee.ending import to_its_end
from consignee.errors import Conflict, InvalidRequest, NotFound, StoreError
from consignee.store import Document, Store
from consignee.store.documents import fetch

_DIGITS: Final = 10
_NONE: Final = "There is no such result set."
_AT_ONCE: Final = 200
"""How many are looked at before others get their turn."""

Needed = Callable[[str, str], Awaitable[bool]]
"""Whether a result set, by account and id, is still needed."""

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
        self.spool = spool
        self._retention = timedelta(seconds=retention)
        self._now = now
        self._counters = Counters(store)
        self._expiries: dict[Place, str] = {}
        self._unfinished: set[Place] = set()
        self._untidy = False

    async def open(self) -> None:
        """Finish what an end in the middle left: deliveries that were not made, and what belongs to nothing any more."""
        await self.tidy()
        tokens = set()
        for account in await self._store.accounts(KIND):
            planned = await self._deliveries.ids(account)
            async for document in self._documents(account):
                data = document.data
                tokens.add(data["token"])
                self._expiries[account, document.id] = data["expires_at"]
                if not planned.issuperset(f"{document.id}.{one}" for one in data["destination_ids"]):
                    await self._deliveries.plan(from_document(document))
                if data.get("notify"):
                    await self._deliveries.ended(account, document.id)
        await self.spool.sweep(tokens)

    def mend_later(self, account: str, result_set_id: str) -> None:
        """Note that `mend` has something to do: a result set of which not all is planned, or told."""
        self._unfinished.add((account, result_set_id))

    def tidy_later(self) -> None:
        """Note that `mend` has something to do: to remove what belongs to nothing any more."""
        self._untidy = True

    async def mend(self) -> None:
        """Finish what a failure of the disk left; raises StoreError, and then what is left waits for the next time."""
        for account, place in list(self._unfinished):
            self._unfinished.discard((account, place))
            try:
                await self._mend(account, place)
            except StoreError:
                self.mend_later(account, place)
                raise
        if self._untidy:
            self._untidy = False
            try:
                await self.tidy()
            except StoreError:
                self._untidy = True
                raise

    async def _mend(self, account: str, place: str) -> None:
        if (document := await self._store.get(KIND, account, place)) is not None:
            await self._deliveries.plan(from_document(document))
            await self._deliveries.ended(account, place)

    def intake(self, collection: Collection) -> AbstractAsyncContextManager[Intake]:
        """Return a context in which the files of a result set are taken in; see `complete`."""
        return self.spool.intake(reserved=(MANIFEST,) if collection.manifest else ())

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
        except BaseException:
            await self.spool.remove(token)
            raise
        self._expiries[result_set.account, result_set.id] = result_set.expires_at
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

    async def _took_back(self, result_set: ResultSet, *, for_ever: bool = False) -> bool:
        """Remove a result set again, `for_ever` if its collection is no more; return whether it is gone."""
        try:
            if not for_ever:  # what of it was delivered meanwhile must not be overwritten by another of its number
                await self._counters.keep(result_set.account, result_set.collection_id)
            await self._forget(result_set.account, result_set.id)
        except StoreError as error:
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
                continue
            except StoreError:
                self._counters.count_anew(account, collection_id)  # counted anew, so that no number is left out
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

    def file(self, result_set: ResultSet, name: str) -> FileBody:
        """Return the content of the file of that name; raises NotFound."""
        for index, one in enumerate(result_set.files):
            if one.name == name:
                return self.spool.body(result_set.token, index, one)
        raise NotFound("There is no such file.")

    async def count(self, account: str, collection_id: str) -> int:
        """Return how many result sets a collection ever had: the newest one's number."""
        return await self._counters.count(account, collection_id)

    async def forget_collection(self, account: str, collection_id: str) -> None:
        """Remove the result sets of a collection that is no more, and cancel their deliveries."""
        for place in await self._store.ids(KIND, account, prefix=f"{collection_id}."):
            await self._forget(account, place)
        await remove(self._store, COUNTERS, account, collection_id)
        self._counters.forget(account, collection_id)

    async def tidy(self) -> None:
        """Remove what belongs to nothing any more: what was of a collection or a result set that is gone; cheap, none is read."""
        for account, place in await without_collection(self._store, KIND):
            await self._forget(account, place)
        for account, collection_id in await without_collection(self._store, COUNTERS):
            await remove(self._store, COUNTERS, account, collection_id)
        for account, place in await self.strays(DELIVERIES):
            await self._deliveries.forget(account, place)

    async def strays(self, kind: str) -> Sequence[Place]:
        """Return account and id of each result set that is gone while documents of that kind are still named after it."""
        return await without_result_set(self._store, kind)

    async def retire(self, needed: Needed | None = None) -> Sequence[Place]:
        """Remove what is older than the retention and not needed by a delivery, or otherwise; return accounts and ids."""
        now, gone, left = timestamp(self._now()), list[Place](), {*self._unfinished}
        for account in await self._store.accounts(KIND):
            for number, place in enumerate(await self._store.ids(KIND, account), 1):
                if (account, place) not in left and await self._expiry(account, place) <= now:
                    gone += [(account, place)] if await self._retired(account, place, needed) else []
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        return gone

    async def _expiry(self, account: str, place: str) -> str:
        if (account, place) not in self._expiries:
            document = await self._store.get(KIND, account, place)
            self._expiries[account, place] = document.data["expires_at"] if document else ""
        return self._expiries[account, place]

    async def _retired(self, account: str, place: str, needed: Needed | None = None) -> bool:
        if await self._deliveries.unfinished(account, place) or (needed and await needed(account, place)):
            return False
        await self._counters.keep(account, place.partition(".")[0])
        await self._forget(account, place)
        return True

    async def _forget(self, account: str, place: str) -> None:
        """Remove a result set, its document first: what else is left of it then belongs to nothing, and is found by that."""
        document = await remove(self._store, KIND, account, place)
        self._expiries.pop((account, place), None)
        try:
            await self._deliveries.forget(account, place)
        except StoreError:
            self.tidy_later()
            raise
        finally:
            if document is not None:
                await self.spool.remove(document.data["token"])

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
