"""What is measured of taking result sets in: by processes that deliver nothing.

scale_intake.py fill CONFIG URL SETS       destinations and collections, and so many result sets; prints a sample
scale_intake.py work CONFIG SECONDS        one of several: says `ready`, waits for a line, hands over, and prints what it did
"""

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from consignee import Destinations, load_settings, open_destinations
from measuring import measured, spread
from scale_queue import tell

ACCOUNTS, COLLECTIONS = 20, 5
"""How many accounts, and collections of each, with a destination of its own."""
AT_ONCE, FIRST = 32, 100
CONTENT: Final = os.urandom(1024)
PREFIX: Final = "%COLLECTION_NAME%/%RESULT_SET_ID%"


def account_of(number: int) -> str:
    """Return whose the result set of that number is."""
    return f"account-{number % ACCOUNTS}"


def name_of(number: int) -> str:
    """Return the name of the collection that the result set of that number belongs to."""
    return f"{account_of(number)}-{number // ACCOUNTS % COLLECTIONS}"


@asynccontextmanager
async def opened(config: Path) -> AsyncIterator[Destinations]:
    """Yield a service that delivers nothing: what is handed over waits."""
    settings = load_settings(config)
    async with open_destinations(settings, delivers=not settings.store.url) as destinations:
        if not settings.store.url:
            await destinations.dispatch.stop(0)  # there, no setting leaves that to others
        yield destinations


async def make(destinations: Destinations, number: int, url: str) -> None:
    """Make a collection, with a destination in the sink."""
    values = {
        "type": "s3compatible",
        "name": "Sink",
        "enabled": True,
        "s3_access_key_id": "bench",
        "s3_secret_access_key": "bench-bench-bench",
        "s3_bucket_name": "delivered",
        "s3_endpoint": url,
        "s3_region": "us-east-1",
        "s3_path_prefix": PREFIX,
    }
    made = await destinations.create(account_of(number), values)
    fields = {"name": name_of(number), "destination_ids": [made.id]}
    await destinations.dispatch.collections.create(account_of(number), fields)


async def ids(destinations: Destinations) -> dict[str, str]:
    """Return the id of each collection by its name."""
    found: dict[str, str] = {}
    for number in range(ACCOUNTS):
        for one in await destinations.dispatch.collections.list(account_of(number)):
            found[one.name] = one.id
    return found


async def fill(config: Path, url: str, sets: int) -> None:
    """Make everything, and hand over so many result sets."""
    async with opened(config) as destinations:
        for number in range(ACCOUNTS * COLLECTIONS):
            await make(destinations, number, url)
        collections = await ids(destinations)

        async def hand_over(number: int) -> None:
            await destinations.deliver(account_of(number), collections[name_of(number)], [("a.csv", CONTENT)])

        with measured() as meter:
            await spread(sets, AT_ONCE, hand_over)
    meter.report(sets)


async def work(config: Path, seconds: float) -> None:
    """Hand over beside others for so long, after some that open connections and fill caches."""
    async with opened(config) as destinations:
        collections = await ids(destinations)

        async def hand_over(number: int) -> None:
            await destinations.deliver(account_of(number), collections[name_of(number)], [("a.csv", CONTENT)])

        await spread(FIRST, AT_ONCE, hand_over)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        end, done, first = time.perf_counter() + seconds, 0, random.randrange(ACCOUNTS * COLLECTIONS)

        async def go_on() -> None:
            nonlocal done
            while time.perf_counter() < end:
                number, done = first + done, done + 1  # each process is at another collection
                await hand_over(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(go_on())
    tell({"done": done})


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1] == "fill":
        asyncio.run(fill(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    else:
        asyncio.run(work(Path(sys.argv[2]), float(sys.argv[3])))
