"""What is measured of the store's documents: destinations, on a directory by the file store, on a URL by PostgreSQL's.

scale_documents.py fill URL FROM TO                puts so many into a database
scale_documents.py measure WHERE SIZE SECONDS      prints what was done of each operation a second, and what the opening took
"""

import asyncio
import itertools
import json
import logging
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import asyncpg

from consignee.errors import LimitReached
from consignee.store import Store
from scale_queue import opened_store
from store_documents import DATA, KIND, LIMIT

AT_ONCE: Final = 16
OF_ACCOUNT: Final = 10
"""How many destinations an account has at the beginning: its documents' numbers are next to each other."""


def place(number: int) -> tuple[str, str]:
    """Return account and id of the document of that number."""
    return f"account-{number // OF_ACCOUNT:07d}", f"{number:08X}"


class Operations:
    """The operations on a store with so many documents, each on another one every time."""

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self._size = size
        self._next = itertools.count(1)
        self._new = itertools.count(size)

    def _place(self) -> tuple[str, str]:
        return place(next(self._next) * 7919 % self._size)

    async def get(self) -> None:
        """Read one."""
        assert await self._store.get(KIND, *self._place()) is not None

    async def list(self) -> None:
        """Read all of an account."""
        assert await self._store.list(KIND, self._place()[0])

    async def create(self) -> None:
        """Save a new one of an account that has some, which are counted."""
        account, _ = self._place()
        with suppress(LimitReached):
            await self._store.save(KIND, account, f"N{next(self._new):08X}", DATA, limit=LIMIT)

    async def update(self) -> None:
        """Read one and save it anew."""
        account, id_ = self._place()
        if (found := await self._store.get(KIND, account, id_)) is not None:
            await self._store.save(KIND, account, id_, DATA, replaces=found.revision)


async def rate(one: Callable[[], Awaitable[None]], seconds: float) -> float:
    """Return how many a second are done, some at once."""
    end, done = time.perf_counter() + seconds, 0

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await one()
            done += 1

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return done / (time.perf_counter() - began)


async def measure(where: str, size: int, seconds: float) -> None:
    """Print what was found, by operation."""
    began = time.perf_counter()
    async with opened_store(where) as store:
        found = {"opening": time.perf_counter() - began}
        operations = Operations(store, size)
        for one in (operations.get, operations.list, operations.create, operations.update):
            found[one.__name__] = await rate(one, seconds)
    print(json.dumps(found))


async def fill(url: str, first: int, end: int) -> None:
    """Put the documents of these numbers into the table, as so many saves would."""
    connection = await asyncpg.connect(url)
    text = json.dumps(DATA)
    columns = ("kind", "account", "id", "revision", "data", "written")
    records = ((KIND, *place(number), 1, text, uuid.uuid4()) for number in range(first, end))
    await connection.copy_records_to_table("documents", records=records, columns=columns, timeout=None)
    await connection.execute("VACUUM ANALYZE documents")
    await connection.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1] == "fill":
        asyncio.run(fill(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        asyncio.run(measure(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
