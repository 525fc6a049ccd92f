"""One of those who change the same document: `contender.py UPDATES`, with the store's URL in CONTENDED_URL."""

import asyncio
import os
import sys

from consignee.errors import Conflict
from consignee.postgres.database import Database
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore

KIND, ACCOUNT, ID = "contended", "a", "counter"


async def add(store: PostgresStore) -> int:
    """Add one to the counter; return how often somebody else was faster."""
    conflicts = 0
    while True:
        found = await store.get(KIND, ACCOUNT, ID)
        assert found is not None
        try:
            await store.save(KIND, ACCOUNT, ID, {"count": found.data["count"] + 1}, replaces=found.revision)
        except Conflict:
            conflicts += 1
        else:
            return conflicts


async def _main(updates: int) -> None:
    store = PostgresStore(Database(Secret(os.environ["CONTENDED_URL"])))
    await store.open()
    try:
        print(sum([await add(store) for _ in range(updates)]))  # noqa: T201
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
