"""The conditions of destinations on a store that other processes have too: what is in the store is all that is known.

The queue's holds are shared as well. A hold is set after the condition that it follows from was saved, and that is looked at
again then: of two processes, the one that saved first might else be the last to set its hold.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakValueDictionary

from consignee.delivery.condition import KIND, WELL, Condition, from_document, to_data
from consignee.delivery.conditions import Conditions, Find, Finding
from consignee.errors import Conflict, StoreError
from consignee.service import KIND as DESTINATIONS
from consignee.store import Document

log = logging.getLogger(__name__)


class SharedConditions(Conditions):
    """Each is read, changed, and saved if nobody else has changed it; otherwise read again. `states` are as last swept."""

    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock]
    _owed: set[tuple[str, str]]

    async def open(self) -> None:
        self._locks = WeakValueDictionary()
        self._owed = set()

    async def look(self, account: str, destination_id: str) -> Condition:
        return _condition(await self._store.get(KIND, account, destination_id))

    async def look_at_all(self, account: str) -> Callable[[str], Condition]:
        known = {one.id: from_document(one) for one in await self._store.list(KIND, account)}
        return lambda destination_id: known.get(destination_id, WELL)

    async def delivered(self, account: str, destination_id: str) -> bool:
        with suppress(StoreError):
            condition = await self.look(account, destination_id)
            if condition.recovered() == condition:
                return True
        await self.succeeded(account, destination_id)
        return False

    async def probe_again(self, account: str, destination_id: str) -> None:
        try:
            condition = await self.look(account, destination_id)
            if condition.probe_at is not None:
                await self._hold(account, destination_id, condition.probe_at)
        except StoreError as error:
            self._not_kept(account, destination_id, error)
            self._owed.add((account, destination_id))

    async def forget(self, account: str, destination_id: str) -> None:
        await self._remove(account, destination_id)
        await self._hold(account, destination_id, None)

    async def _take(self, account: str, destination_id: str, find: Find) -> Finding | None:
        place = account, destination_id
        lock = self._locks.setdefault(place, asyncio.Lock())  # who is in this process need not meet in the store
        try:
            async with lock:
                before, taken = await self._saved(account, destination_id, find)
            if taken is not None and (before.probe_at, taken.after.probe_at) != (None, None):
                await self._hold(account, destination_id, taken.after.probe_at)
        except StoreError as error:  # what follows is of more weight
            self._not_kept(account, destination_id, error)
            self._owed.add(place)
            return None
        return taken

    async def _saved(self, account: str, destination_id: str, find: Find) -> tuple[Condition, Finding | None]:
        """Return the condition before, and what it has become."""
        while True:
            document = await self._store.get(KIND, account, destination_id)
            before = _condition(document)
            if (taken := find(before)) is None:
                return before, None
            try:
                replaces = document.revision if document else 0
                await self._store.save(KIND, account, destination_id, to_data(taken.after), replaces=replaces)
            except Conflict:
                continue
            self._tell(account, destination_id, taken)
            if not replaces and not await self._store.revision(DESTINATIONS, account, destination_id):
                await self.forget(account, destination_id)  # it was deleted meanwhile
            return before, taken

    async def _hold(self, account: str, destination_id: str, until: float | None) -> None:
        while True:
            await self._queue.hold(account, destination_id, until)
            latest = await self.look(account, destination_id)
            if latest.probe_at == until:
                return
            until = latest.probe_at

    async def mend(self) -> None:
        for place in list(self._owed):
            await self._hold(*place, (await self.look(*place)).probe_at)
            self._owed.discard(place)

    async def sweep(self) -> None:
        """Set all holds anew, for one process may have ended before it set its own; drop what is of no destination."""
        states = Counter[str]()
        for account in await self._store.accounts(KIND):
            documents = await self._store.list(KIND, account)
            kept = set(await self._store.ids(DESTINATIONS, account))  # afterwards: what is new by then is in neither
            for document in documents:
                if document.id not in kept:
                    await self.forget(account, document.id)
                    continue
                condition = from_document(document)
                states[condition.state] += 1
                await self._hold(account, document.id, condition.probe_at)
        self.states.clear()
        self.states.update(states)


def _condition(document: Document | None) -> Condition:
    return WELL if document is None else from_document(document)
