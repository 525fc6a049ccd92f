"""Counters: how many result sets each collection ever had, so that no number is given twice."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Final

from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import Conflict
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

    def count_anew(self, account: str, collection_id: str) -> None:
        """Forget what is in memory: a number was not used after all."""
        self._highest.pop((account, collection_id), None)

    async def keep(self, account: str, collection_id: str) -> None:
        """Remember the highest number before the documents that show it are gone; raises StoreError."""
        highest = await self.count(account, collection_id)
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


def number_of(result_set_id: str) -> int:
    """Return the number in the id of a result set."""
    return int(result_set_id.rpartition(".")[2])
