"""What is measured of the queue: on a directory the file store's, on a URL PostgreSQL's. Adds, claims, acknowledges.

scale_queue.py fill WHERE JOBS            adds jobs, and prints a sample
scale_queue.py work WHERE SECONDS MODE    one of several: says `ready`, waits for a line, works, and prints what it did
"""

import asyncio
import json
import logging
import math
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from consignee.postgres.database import Database
from consignee.queue import AT_ONCE, Job, Queue
from consignee.queue.postgres import PostgresQueue
from consignee.queue.stored import StoredQueue
from consignee.secret import Secret
from consignee.store import Store
from consignee.store.json_file import JsonFileStore
from consignee.store.postgres import PostgresStore
from measuring import measured, spread

KIND: Final = "deliveries"
ACCOUNTS, LANES = 100, 10
"""How many accounts, and destinations of each."""
ADDED_AT_ONCE: Final = 64
BATCH: Final = 100
EACH: Final = 4
"""As `delivery.per_destination` is when nobody sets it."""
NO_LIMIT: Final = 10**6
DATA: Final[Mapping[str, Any]] = {
    "collection_id": "5C1D90E7",
    "number": 1,
    "destination_id": "159F123B",
    "created_at": "2026-11-21T20:20:23.474Z",
    "status": "pending",
    "ended_at": None,
    "place": "",
    "sent_up_to": 0,
    "sent": [],
    "bytes_sent": 0,
    "files_total": 1,
    "attempts": 0,
    "failures": 0,
    "spared": 0,
    "sent_at_crash": 0,
    "code": None,
    "log": [{"date_time": "2026-11-21T20:20:23.474Z", "text": "The result set was handed over."}],
    "uploads": [],
    "checkpoints": {},
}
"""What a delivery that nobody has tried yet holds."""


@asynccontextmanager
async def opened_store(where: str) -> AsyncIterator[Store]:
    """Yield the store in a directory, or of a URL, open."""
    if where.startswith("postgresql:"):
        store: Store = PostgresStore(Database(Secret(where)))
    else:
        store = JsonFileStore(Path(where))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened(where: str, *, of_account: int | None = None) -> AsyncIterator[Queue]:
    """Yield the queue of a store."""
    async with opened_store(where) as store:
        if isinstance(store, PostgresStore):
            made: Queue = PostgresQueue(store, KIND, of_account=of_account)
        else:
            made = StoredQueue(store, KIND, now=time.time, of_account=of_account)
        await made.open()
        yield made


def account_of(number: int) -> str:
    """Return whose the job of that number is."""
    return f"account-{number % ACCOUNTS:03d}"


def lane_of(number: int) -> str:
    """Return to which destination the job of that number goes."""
    return f"{number % ACCOUNTS:03d}-{number // ACCOUNTS % LANES}"


async def fill(where: str, jobs: int) -> None:
    """Add so many jobs that are due."""
    async with opened(where) as queue:

        async def add(number: int) -> None:
            await queue.add(account_of(number), f"5C1D90E7.{number:09d}.A", DATA, lane=lane_of(number), due=AT_ONCE)

        with measured() as meter:
            await spread(jobs, ADDED_AT_ONCE, add)
    meter.report(jobs)


class Work:
    """One worker of the queue: what it has claimed, and how often there was nothing."""

    def __init__(self, queue: Queue, mode: str) -> None:
        self._queue = queue
        self._each = NO_LIMIT if mode == "claim" else EACH
        self._acknowledges = mode != "claim"
        self.claimed = self.empty = self.calls = 0
        self.claiming = 0.0

    async def go_on(self, *, until: float = math.inf, batches: float = math.inf) -> None:
        """Claim in batches, and acknowledge each batch as a whole before the next one."""
        while time.perf_counter() < until and self.calls < batches:
            began = time.perf_counter()
            jobs = await self._queue.claim(BATCH, each=self._each)
            self.claiming += time.perf_counter() - began
            self.calls += 1
            self.claimed += len(jobs)
            if not jobs:
                self.empty += 1
                await self._queue.wait(0.1)
            elif self._acknowledges:
                await self._acknowledge(jobs)

    async def _acknowledge(self, jobs: Sequence[Job]) -> None:
        await asyncio.gather(*(self._queue.acknowledge(job, {**job.data, "status": "success"}) for job in jobs))


def tell(found: dict[str, float]) -> None:
    """Say what was found, and stay to be looked at until a line comes, or the end."""
    print(json.dumps(found), flush=True)
    sys.stdin.readline()


async def work(where: str, seconds: float, mode: str) -> None:
    """Work beside others for so long."""
    began = time.perf_counter()
    async with opened(where, of_account=NO_LIMIT) as queue:
        opening = time.perf_counter() - began
        await Work(queue, mode).go_on(batches=1)  # which opens connections
        worker = Work(queue, mode)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        await worker.go_on(until=began + seconds)
        took = time.perf_counter() - began
    found = {**vars(worker), "seconds": took, "opening": opening}
    tell({name: value for name, value in found.items() if not name.startswith("_")})


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1] == "fill":
        asyncio.run(fill(sys.argv[2], int(sys.argv[3])))
    else:
        asyncio.run(work(sys.argv[2], float(sys.argv[3]), sys.argv[4]))
