"""Upkeep of result sets: what an end or a failure left half done is finished, and what nobody needs any more is removed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from consignee.clock import timestamp
from consignee.delivery.counters import KIND as COUNTERS
from consignee.delivery.counters import Counters, number_of
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.delivery import KIND as DELIVERIES
from consignee.delivery.intake import SpooledFile
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import KIND, ResultSet, from_document
from consignee.delivery.strays import Place, remove, without_collection, without_result_set
from consignee.errors import Conflict, StoreError
from consignee.store import Document, Store

_AT_ONCE: Final = 200
"""How many are looked at before others get their turn."""

Chore = Callable[[], Awaitable[None]]
Needed = Callable[[str, str], Awaitable[bool]]
"""Whether a result set, by account and id, is still needed."""


class Upkeep:
    """For a store that nobody else has: what an earlier process left is finished at the start, and expiries are in memory."""

    def __init__(
        self,
        store: Store,
        *,
        deliveries: Deliveries,
        files: ResultFiles,
        counters: Counters,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._files = files
        self._counters = counters
        self._now = now
        self._expiries: dict[Place, str] = {}
        self._unfinished: set[Place] = set()
        self._untidy = False

    async def open(self) -> None:
        """Finish what an end in the middle left: deliveries that were not made, and what belongs to nothing any more."""
        await self.tidy()
        tokens = set()
        for account in await self._store.accounts(KIND):
            planned = await self._deliveries.ids(account)
            for place in await self._store.ids(KIND, account):
                if (document := await self._store.get(KIND, account, place)) is not None:
                    tokens.add(document.data["token"])
                    self._expiries[account, place] = document.data["expires_at"]
                    await self._take_up(document, planned)
                await asyncio.sleep(0)  # one at a time, and others get their turn: each may name thousands of files
        await self._files.sweep(tokens)

    async def _take_up(self, document: Document, planned: set[str]) -> None:
        if not planned.issuperset(f"{document.id}.{one}" for one in document.data["destination_ids"]):
            await self._deliveries.plan(from_document(document))
        if document.data.get("notify"):
            await self._deliveries.ended(document.account, document.id)

    def note(self, result_set: ResultSet) -> None:
        """Note a result set that was taken in."""
        self._expiries[result_set.account, result_set.id] = result_set.expires_at

    @property
    def chores(self) -> Sequence[Chore]:
        """What finishes what processes left that ended in the middle; raises StoreError. Alone, `open` does most of that."""
        return (self._tidy_files,)

    async def _tidy_files(self) -> None:
        await self._files.tidy(self._is_named)

    async def _is_named(self, account: str, collection_id: str, token: str) -> bool:
        """Whether a result set of that collection has the token."""
        for place in reversed(await self._store.ids(KIND, account, prefix=f"{collection_id}.")):
            document = await self._store.get(KIND, account, place)
            if document is not None and document.data["token"] == token:
                return True
        return False

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

    async def tidy(self) -> None:
        """Remove what belongs to nothing any more: what was of a collection or a result set that is gone; cheap, none is read."""
        for account, place in await without_collection(self._store, KIND):
            await self.forget(account, place)
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
        await self._counters.keep(account, place.partition(".")[0], number_of(place))
        await self.forget(account, place)
        return True

    async def take_back(self, result_set: ResultSet) -> None:
        """Remove a result set that was saved just now; raises Conflict if somebody told of it meanwhile, so that it has to stay.

        Raises StoreError; and while its document is there, so are its files.
        """
        account, collection_id = result_set.account, result_set.collection_id
        await self._files.disown(result_set.token, result_set.files, account=account, collection_id=collection_id)
        await self._store.remove(KIND, account, result_set.id, replaces=result_set.revision)
        await self._forget_rest(account, result_set.id, result_set.token)

    async def forget(self, account: str, place: str) -> None:
        """Remove a result set, its document first: what else is left of it then belongs to nothing, and is found by that."""
        document = await self._removed(account, place)
        await self._forget_rest(account, place, document.data["token"] if document else None)

    async def _forget_rest(self, account: str, place: str, token: str | None) -> None:
        self._expiries.pop((account, place), None)
        try:
            await self._deliveries.forget(account, place)
        except StoreError:
            self.tidy_later()
            raise
        finally:
            if token is not None:
                await self._files.remove(token)

    async def _removed(self, account: str, place: str) -> Document | None:
        """Remove the document; before that, what of its files is found by it alone."""
        last = None
        while (document := await self._store.get(KIND, account, place)) is not None:
            last = document
            if not self._files.listed:
                await self._files.release(document.data["token"], [*map(SpooledFile.from_data, document.data["files"])])
            with suppress(Conflict):
                await self._store.remove(KIND, account, place, replaces=document.revision)
        return last
