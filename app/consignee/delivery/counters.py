"""Counters: how many result sets each collection ever had, so that no number is given twice."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import Conflict, StoreError
from consignee.store import Store

KIND: Final = "result_counters"


class Counters:
    """The highest numbers, in memory; and in the store where no document of a result set shows them any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._highest: dict[tuple[str, str], int] = {}
        self._counting: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def count(self, account: str, collection_id: str) -> int:
        """Return the highest number that was given in a collection, 0 if none was; cheap, no result set is read."""
        place = account, collection_id
        async with self._counting[place]:
            if place not in self._highest:
                self._highest[place] = await self._counted(account, collection_id)
            return self._highest[place]

    async def _counted(self, account: str, collection_id: str) -> int:
        floor = await self._store.get(KIND, account, collection_id)
        newest = max(await self._store.ids(RESULT_SETS, account, prefix=f"{collection_id}."), default=".0")
        return max(floor.data["highest"] if floor else 0, number_of(newest))

    async def next(self, account: str, collection_id: str) -> int:
        """Return a number that was never given."""
        await self.count(account, collection_id)
        self._highest[account, collection_id] += 1
        return self._highest[account, collection_id]

    async def give_back(self, account: str, collection_id: str, number: int) -> None:
        """Note that the number, the highest one, was not used after all; raises nothing."""
        self._highest.pop((account, collection_id), None)

    async def catch_up(self, account: str, collection_id: str) -> None:
        """Note that a number was taken already: go on behind all that are; raises StoreError."""

    async def keep(self, account: str, collection_id: str, number: int) -> None:
        """Remember the highest number before the document that shows it, or this one, is gone; raises StoreError."""
        await self._raise(account, collection_id, await self.count(account, collection_id))

    async def _raise(self, account: str, collection_id: str, highest: int) -> None:
        while True:
            floor = await self._store.get(KIND, account, collection_id)
            if floor is not None and floor.data["highest"] >= highest:
                return
            with suppress(Conflict):
                replaces = floor.revision if floor else 0
                await self._store.save(KIND, account, collection_id, {"highest": highest}, replaces=replaces)
                return

    def forget(self, account: str, collection_id: str) -> None:
        """Forget a collection that is no more, of which the store knows no number any more."""
        self._highest.pop((account, collection_id), None)
        self._counting.pop((account, collection_id), None)


class SharedCounters(Counters):
    """The highest numbers on a store that other processes have too: the store alone knows them.

    A number is noted there before it is used, so that nobody gives it again, also when what had it is gone.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def count(self, account: str, collection_id: str) -> int:
        return await self._counted(account, collection_id)

    async def next(self, account: str, collection_id: str) -> int:
        lock = self._locks.setdefault((account, collection_id), asyncio.Lock())
        async with lock:  # who is in this process need not meet in the store
            while True:
                noted = await self._store.get(KIND, account, collection_id)
                number = 1 + (noted.data["highest"] if noted else await self._counted(account, collection_id))
                with suppress(Conflict):
                    replaces = noted.revision if noted else 0
                    await self._store.save(KIND, account, collection_id, {"highest": number}, replaces=replaces)
                    return number

    async def give_back(self, account: str, collection_id: str, number: int) -> None:
        with suppress(Conflict, StoreError):  # then it is left out
            noted = await self._store.get(KIND, account, collection_id)
            if noted is not None and noted.data["highest"] == number:
                lower = {"highest": number - 1}
                await self._store.save(KIND, account, collection_id, lower, replaces=noted.revision)

    async def catch_up(self, account: str, collection_id: str) -> None:
        """As after documents came from a store that was not shared, where they were not all noted."""
        await self._raise(account, collection_id, await self._counted(account, collection_id))

    async def keep(self, account: str, collection_id: str, number: int) -> None:
        await self._raise(account, collection_id, number)


def number_of(result_set_id: str) -> int:
    """Return the number in the id of a result set."""
    return int(result_set_id.rpartition(".")[2])
