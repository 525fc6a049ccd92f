"""The database's primary is killed for good, under load: a standby takes over, and nothing that was acknowledged is lost."""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consignee.errors import Conflict, StoreError
from consignee.postgres.database import Database
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from endurance.test_chaos import missing
from fakes.chaos_process import chaos_process

from .fire import Fire, twice
from .fleet import fleet
from .replicas import Replicas, replicas
from .site import STAGING, prepare

FAILOVERS = int(os.environ.get("FAILOVERS", "1"))
FSYNC = os.environ.get("FSYNC") == "on"
SERVERS, WORKERS = 2, 2
BUCKETS = 2
PRODUCERS = 4
"""So few that no backlog grows, behind which what is accepted after a failover would wait."""
SETTINGS = """\
retries = ["1s", "1s", "1s", "2s", "2s", "2s", "3s", "3s", "3s", "3s", "3s", "3s"]
crashes = 1000
lease = 5
"""
LOAD_BEFORE = 10
"""Result sets that are accepted between two failovers, at least."""
MOST_SECONDS = 900.0


@dataclass
class Ledger:
    """Saves one document after the other, straight into the store, and remembers which of them it was told are durable."""

    store: PostgresStore
    acknowledged: list[str] = field(default_factory=list)
    refused: int = 0

    async def keep(self, done: asyncio.Event) -> None:
        """Go on until then. What failed may be there or not: its id is never used again."""
        number = 0
        while not done.is_set():
            number += 1
            try:
                await self.store.save("ledger", "a", f"{number:08d}", {"number": number})
            except StoreError:
                self.refused += 1
            except Conflict:
                pytest.fail("it was told of its own document that somebody else's is there")
            else:
                self.acknowledged.append(f"{number:08d}")

    async def lost(self) -> set[str]:
        """Return what it was told is durable, and is not there."""
        return {*self.acknowledged} - {*await self.store.ids("ledger", "a")}


@dataclass
class Times:
    """Seconds of each failover: to its promotion from the kill; from there to the first acceptance, and the first delivery."""

    promoted: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """What they were, in milliseconds."""
        named = {"to the promotion": self.promoted, "to a job accepted": self.accepted, "to one done": self.delivered}
        return "; ".join(f"{name} {_described(values)}" for name, values in named.items())


def _described(seconds: Sequence[float]) -> str:
    return f"median {1000 * statistics.median(seconds):.0f} ms, most {1000 * max(seconds):.0f} ms"


async def _fail_over(three: Replicas, fire: Fire, times: Times) -> None:
    before = len(fire.accepted)
    await _until(lambda: _is(len(fire.accepted) >= before + LOAD_BEFORE))
    killed = time.monotonic()
    dead = await asyncio.to_thread(three.kill_primary)
    await asyncio.to_thread(three.promote, dead)
    promoted = time.monotonic()
    times.promoted.append(promoted - killed)
    await _until(lambda: _is(any(at > promoted for at in fire.accepted.values())))
    times.accepted.append(time.monotonic() - promoted)
    await _until(lambda: _delivered_since(fire, promoted))
    times.delivered.append(time.monotonic() - promoted)
    await asyncio.to_thread(three.replace, dead)


async def _is(holds: bool) -> bool:
    return holds


async def _delivered_since(fire: Fire, moment: float) -> bool:
    """Whether something has arrived that was accepted after that."""
    late = {own for own, at in fire.accepted.items() if at > moment}
    return any(name.split("/")[2] in late for name in (await fire.state()).objects if name.startswith("bucket-"))


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _opened(url: Secret) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(Database(url))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_nothing_acknowledged_is_lost_when_the_primary_is(tmp_path: Path) -> None:
    """`FAILOVERS` says how often. A new standby is made each time, while the load goes on; `FSYNC=on` for honest times."""
    times, done = Times(), asyncio.Event()
    with replicas(fsync=FSYNC) as three, chaos_process("bucket-*", STAGING, keep=True, directory=tmp_path) as storage:
        url = await asyncio.to_thread(three.create, "consignee")
        site = prepare(tmp_path, url, storage, delivery=SETTINGS)
        async with _opened(url) as store, fleet(site, servers=SERVERS, workers=WORKERS) as (members, api):
            ledger, fire = Ledger(store), Fire(api, storage)
            await fire.aim(BUCKETS)
            async with asyncio.timeout(MOST_SECONDS), asyncio.TaskGroup() as tasks:
                tasks.create_task(ledger.keep(done))
                tasks.create_task(fire.produce_until(done, at_once=PRODUCERS))
                for _ in range(FAILOVERS):
                    await _fail_over(three, fire, times)
                done.set()
            async with asyncio.timeout(MOST_SECONDS):
                state = await fire.all_there()
                await fire.all_delivered()
            await members.stop()
            assert await ledger.lost() == set()
    assert missing(state, fire.expected) == []
    assert twice(state) == []
    print(  # noqa: T201
        f"{FAILOVERS} failovers: {len(fire.accepted)} result sets and {len(ledger.acknowledged)} documents acknowledged "
        f"({ledger.refused} refused), 0 lost; {times}"
    )
