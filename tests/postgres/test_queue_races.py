"""Many at once: no job is forgotten, none is worked on by two, and no lane or account has more than its share at any moment."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from consignee.postgres.database import Database
from consignee.queue import AT_ONCE, Change, Job, LeaseLost
from consignee.queue.postgres import PostgresQueue
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from queues.claiming import soon

KIND = "jobs"
ACCOUNTS = ("a", "b", "c")
LANES = ("u", "v", "w", "x")
EACH = 2
SHARE = 3
WORKERS = 3
JOBS = 300
ADDERS = 4
LOOPS = 3
"""In which each worker claims at once."""

MOST_OF_A_LANE = (
    "SELECT max(n) AS n FROM (SELECT count(*) AS n FROM jobs WHERE NOT waiting GROUP BY account, lane) AS lanes"
)
MOST_OF_AN_ACCOUNT = (
    "SELECT max(n) AS n FROM (SELECT count(*) AS n FROM jobs WHERE NOT waiting GROUP BY account) AS accounts"
)
FORGOTTEN = """
SELECT count(*) AS n FROM jobs LEFT JOIN lanes USING (kind, account, lane)
WHERE waiting AND hold IS NULL AND ready IS NOT TRUE AND (wake IS NULL OR wake > turn)
"""
"""Jobs in a lane at which nobody would look in time."""


@asynccontextmanager
async def several(url: Secret, count: int, **options: int) -> AsyncIterator[list[PostgresQueue]]:
    """Open the queue so many times, each with connections of its own."""
    async with AsyncExitStack() as stack:
        queues = []
        for _ in range(count):
            store = PostgresStore(Database(url))
            await store.open()
            stack.push_async_callback(store.close)
            queues.append(PostgresQueue(store, KIND, lease=300.0, look_every=0.1, of_account=options.get("of_account")))
            await queues[-1].open()
        yield queues


class Bustle:
    """Adds, works and meddles at random, and counts what ended."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.dice = random.Random(seed)
        self.ended: Counter[tuple[str, str]] = Counter()
        self.under_way: dict[tuple[str, str], str] = {}

    async def add(self, queue: PostgresQueue, numbers: range) -> None:
        """Add these jobs, some of them for a little later."""
        for number in numbers:
            due = AT_ONCE if self.dice.random() < 0.8 else (await self.now()) + 0.05
            account, lane = self.dice.choice(ACCOUNTS), self.dice.choice(LANES)
            await queue.add(account, str(number), {"left": self.dice.randrange(3)}, lane=lane, due=due)
            await asyncio.sleep(self.dice.random() * 0.01)  # lanes run empty, and are given jobs in that moment

    async def now(self) -> float:
        """Return the database's time."""
        [row] = await self.database.fetch("SELECT moment(NULL) AS now")
        return float(row["now"])

    async def work(self, queue: PostgresQueue) -> None:
        """Claim and end jobs until all have ended."""
        while sum(self.ended.values()) < JOBS:
            jobs = await queue.claim(self.dice.randint(1, 6), each=EACH)
            self.begin(jobs)
            await asyncio.gather(*(self.end(queue, job) for job in jobs))
            if not jobs:
                await queue.wait(1)

    def begin(self, jobs: list[Job]) -> None:
        """Check that nobody else works on these, and that no more are worked on than may be."""
        for job in jobs:
            assert (job.account, job.id) not in self.under_way
            self.under_way[job.account, job.id] = job.lane
        lanes = Counter((account, lane) for (account, _), lane in self.under_way.items())
        assert max(lanes.values(), default=0) <= EACH
        assert max(Counter(account for account, _ in self.under_way).values(), default=0) <= SHARE * WORKERS

    async def end(self, queue: PostgresQueue, job: Job) -> None:
        """Work on a job."""
        await asyncio.sleep(self.dice.random() * 0.01)
        del self.under_way[job.account, job.id]
        with suppress(LeaseLost):
            await self.say(queue, job)

    async def say(self, queue: PostgresQueue, job: Job) -> None:
        """Say how it went: it ends when nothing is left of it."""
        left = job.data["left"]
        if not left:
            await queue.acknowledge(job, {"left": 0})
            self.ended[job.account, job.id] += 1
        elif self.dice.random() < 0.5:
            await queue.retry(job, {"left": left - 1}, due=AT_ONCE)
        else:
            await queue.release(job, {"left": left - 1})

    async def meddle(self, queue: PostgresQueue) -> None:
        """Hold lanes, lift holds, and change jobs from outside."""
        while True:
            account, lane = self.dice.choice(ACCOUNTS), self.dice.choice(LANES)
            await queue.hold(account, lane, await self.now() + self.dice.choice([-1.0, 0.02]))
            await queue.change(account, str(self.dice.randrange(JOBS)), _nudged)
            await asyncio.sleep(0.005)
            await queue.hold(account, lane, None)


def _nudged(job: Job) -> Change | None:
    return None if job.due is None else Change(job.data, AT_ONCE)


async def watched(database: Database, of_account: int) -> None:
    """Look again and again at what must hold at any moment."""
    while True:
        [row] = await database.fetch(MOST_OF_A_LANE)
        assert (row["n"] or 0) <= EACH
        [row] = await database.fetch(MOST_OF_AN_ACCOUNT)
        assert (row["n"] or 0) <= of_account
        [row] = await database.fetch(FORGOTTEN)
        assert row["n"] == 0
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_at_once_everything_is_done_and_shares_hold(
    url: Secret, database: Database, seed: int
) -> None:
    bustle = Bustle(database, seed)
    async with several(url, WORKERS + 1, of_account=SHARE) as (server, *workers):
        background = [
            asyncio.create_task(watched(database, SHARE * WORKERS)),
            asyncio.create_task(bustle.meddle(server)),
        ]
        work = asyncio.gather(
            *(bustle.add(server, range(first, JOBS, ADDERS)) for first in range(ADDERS)),
            *(bustle.work(one) for one in workers * LOOPS),
        )
        everything: list[asyncio.Future[Any]] = [work, *background]
        await soon(asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED))
        assert not [task.exception() for task in background if task.done()]
        work.result()
        for task in background:
            task.cancel()
        await asyncio.wait(background)
        assert bustle.ended == Counter(dict.fromkeys(bustle.ended, 1)) and len(bustle.ended) == JOBS
        assert await database.fetch("SELECT FROM jobs") == []
