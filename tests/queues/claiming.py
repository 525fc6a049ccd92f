"""The time, and the jobs, that the contract of a queue is checked with."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from consignee.queue import Job, Queue

LEASE = 30.0
START = 1_800_000_000.0
EACH = 4
PATIENCE = 60.0
"""Seconds of real time, of which a test that goes well needs next to none."""

Reopen = Callable[[], Awaitable[Queue]]
_T = TypeVar("_T")


@dataclass
class Clock:
    """Time that passes when the test says so."""

    time: float = START

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        self.time += seconds


async def filled(queue: Queue, count: int, *, account: str = "a", lane: str = "l", due: float = START) -> list[Job]:
    """Add so many jobs, all due at once."""
    ids = (f"{lane}{number}" for number in range(count))
    return [await queue.add(account, id_, {"of": id_}, lane=lane, due=due) for id_ in ids]


async def one(queue: Queue) -> Job:
    """Claim the one job that can be claimed."""
    (job,) = await queue.claim(10, each=EACH)
    return job


async def ids(queue: Queue, limit: int = 100, *, each: int = EACH) -> list[str]:
    """Claim, and return the ids."""
    return [job.id for job in await queue.claim(limit, each=each)]


async def soon(awaitable: Awaitable[_T]) -> _T:
    """Return what comes, and fail if it does not come."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def settled(queue: Queue) -> None:
    """Wait until there is no news left."""
    while True:
        waiting = asyncio.ensure_future(queue.wait(PATIENCE))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        if not done:
            waiting.cancel()
            await asyncio.wait([waiting])
            return


async def one_of(queue: Queue) -> Job:
    """Claim one job of several."""
    (job,) = await queue.claim(1, each=EACH)
    return job
