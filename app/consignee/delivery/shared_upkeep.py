"""Upkeep of result sets on a store that other processes have too: by the one that holds the tenure, and never by looking at all.

What a process that ended left half planned or untold is found by looking at what is new, a minute later, once; what is still
under way by then is noted, and looked at again until it has ended.
"""

import itertools
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Final

from consignee.clock import timestamp
from consignee.delivery.counters import Counters
from consignee.delivery.deliveries import Deliveries
from consignee.delivery.engine import described
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import KIND, ResultSet
from consignee.delivery.strays import Place, remove
from consignee.delivery.upkeep import Chore, Needed, Upkeep
from consignee.errors import Conflict, ConsigneeError, StoreError
from consignee.store import Document, Entry, Store
from consignee.tenure import KIND as TENURES
from consignee.tenure import Tenure

AWAITED: Final = "awaited_ends"
"""A document for each result set whose end is still to be told, by its account and id."""
POSITION: Final = (TENURES, "", "result_sets")
"""The document that says the number of the last one that was looked at when it was new: it is of no use in another store."""
LAG: Final = timedelta(seconds=60)
"""How old a result set is when it is looked at: until then, who took it in is at it."""
PATIENCE: Final = 60.0
"""Seconds of a look for old ones that go into those behind one that is to be kept for longer."""
FAILURES: Final = 5
"""As many that can't be removed end such a look; one alone must not keep all behind it for ever."""
_AT_ONCE: Final = 200

log = logging.getLogger(__name__)


class SharedUpkeep(Upkeep):
    """`clock` measures seconds."""

    def __init__(
        self,
        store: Store,
        *,
        deliveries: Deliveries,
        files: ResultFiles,
        counters: Counters,
        now: Callable[[], datetime],
        tenure: Tenure,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(store, deliveries=deliveries, files=files, counters=counters, now=now)
        self._tenure = tenure
        self._clock = clock
        self._rolled = 0
        deliveries.resent.append(self._await)

    async def open(self) -> None:
        """Files that only this process has are swept at once; all else is found in the background."""
        if self._files.listed:
            tokens = {document.data["token"] async for document in self._all()}
            await self._files.sweep(tokens)

    def note(self, result_set: ResultSet) -> None:
        """Nothing: it is found when it is needed."""

    @property
    def chores(self) -> Sequence[Chore]:
        return (self._tell_awaited, self._look_at_all_new, *super().chores)

    async def _look_at_all_new(self) -> None:
        while await self._tenure.is_ours() and await self._look_at_new():
            pass

    async def _tell_awaited(self) -> None:
        for account in await self._store.accounts(AWAITED):
            for place in await self._store.ids(AWAITED, account):
                if await self._deliveries.unfinished(account, place):
                    continue
                if await self._store.revision(KIND, account, place):
                    await self._deliveries.ended(account, place)
                await remove(self._store, AWAITED, account, place)

    async def _await(self, account: str, place: str) -> None:
        with suppress(Conflict):  # that is noted already
            await self._store.save(AWAITED, account, place, {})

    async def _look_at_new(self) -> bool:
        """Look at some, and return whether there are more."""
        position = await self._store.get(*POSITION)
        behind = position.data["number"] if position else 0
        entries, done = await self._store.in_order(KIND, behind=behind, most=_AT_ONCE), 0
        for entry in entries:
            if not await self._is_looked_at(entry):
                break
            done += 1
        if done:
            with suppress(Conflict):  # another one looks too, and got further
                replaces = position.revision if position else 0
                await self._store.save(*POSITION, {"number": entries[done - 1].number}, replaces=replaces)
        return bool(done) and done == len(entries)

    async def _is_looked_at(self, entry: Entry) -> bool:
        try:
            return await self._look_at(entry)
        except ConsigneeError:
            raise
        except Exception as error:  # noqa: BLE001 - one that can't be read must not keep all that come after it from being looked at
            log.error(
                "result set %s can't be looked at: %s", entry.id, described(error), extra={"account": entry.account}
            )
            return True

    async def _look_at(self, entry: Entry) -> bool:
        """Plan what is not planned of a result set, and tell its end if it has ended; return False if it is too new."""
        account, place = entry.account, entry.id
        document = await self._store.get(KIND, account, place)
        if document is None:
            return True
        age = self._now() - datetime.fromisoformat(document.data["created_at"])
        if timedelta() <= age < LAG:
            return False
        await self._take_up(document, set(await self._deliveries.ids(account, prefix=f"{place}.")))
        if document.data.get("notify") and await self._deliveries.unfinished(account, place):
            await self._await(account, place)
        return True

    async def retire(self, needed: Needed | None = None) -> Sequence[Place]:
        """The oldest ones first. What is behind one that is to be kept may be kept for less: some of that each time."""
        now, gone, until, last = timestamp(self._now()), list[Place](), self._clock() + PATIENCE, 0
        failures = itertools.count(1)

        async def is_over(document: Document) -> bool:
            place = document.account, document.id
            if document.data["expires_at"] > now:
                return False
            try:
                gone.extend([place] if await self._retired(*place, needed) else [])
            except StoreError as error:
                if next(failures) == FAILURES:
                    raise
                log.error("result set %s could not be removed: %s", place[1], error, extra={"account": place[0]})
            return True

        async with aclosing(self._walk(0)) as oldest:
            async for _, document in oldest:
                if not await is_over(document):
                    break
        async with aclosing(self._walk(self._rolled)) as others:
            async for number, document in others:
                await is_over(document)
                if self._clock() >= until:
                    last = number
                    break
        self._rolled = last
        return gone

    async def _walk(self, behind: int) -> AsyncGenerator[tuple[int, Document], None]:
        """Yield all behind that number with their numbers, as long as the tenure lasts."""
        while entries := await self._store.in_order(KIND, behind=behind, most=_AT_ONCE):
            for entry in entries:
                if not await self._tenure.is_ours():
                    return
                if (document := await self._store.get(KIND, entry.account, entry.id)) is not None:
                    yield entry.number, document
            behind = entries[-1].number

    async def _all(self) -> AsyncIterator[Document]:
        for account in await self._store.accounts(KIND):
            for place in await self._store.ids(KIND, account):
                if (document := await self._store.get(KIND, account, place)) is not None:
                    yield document
