"""Creates in diskcache, synchronous=FULL, nothing evicted: SIZE DIRECTORY COUNT WRITERS. Leaves it as it was."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import diskcache

from measuring import measured, spread
from store_documents import DATA, accounts_of, place
from store_groups import Groups


def opened(directory: Path) -> diskcache.Cache:
    """Return the cache, which is to forget nothing."""
    return diskcache.Cache(str(directory), sqlite_synchronous=2, eviction_policy="none", cull_limit=0)


async def main(size: int, directory: Path, count: int, writers: int) -> None:
    """Create so many, with so many writers."""
    accounts, cache = accounts_of(size), opened(directory)

    def commit(numbers: Sequence[int]) -> None:
        for number in numbers:
            assert cache.add(place(size + number, accounts), DATA)

    groups = Groups(commit, most=1)
    with measured() as meter:
        await spread(count, writers, groups.create)
    with cache.transact():
        for number in range(count):
            cache.delete(place(size + number, accounts))
    cache.close()
    meter.report(count)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
