"""Three servers with synchronous replication are what they are said to be: else the tests that use them would show nothing."""

import asyncio

import asyncpg

from consignee.secret import Secret

from .replicas import Replicas, replicas

ROWS_BEFORE = 200


async def _write(url: Secret, acknowledged: list[int], done: asyncio.Event) -> None:
    """Insert row after row, on a new connection when one is lost, and remember what was acknowledged."""
    number = 0
    while not done.is_set():
        try:
            connection = await asyncpg.connect(url.reveal(), timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.TargetServerAttributeNotMatched, TimeoutError):
            await asyncio.sleep(0.05)
            continue
        try:
            while not done.is_set():
                number += 1
                await connection.execute("INSERT INTO rows VALUES ($1)", number)
                acknowledged.append(number)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            connection.terminate()  # the last of these is what the driver makes of a loss at some moments
        else:
            await connection.close()


async def _enough(acknowledged: list[int]) -> None:
    before = len(acknowledged)
    while len(acknowledged) < before + ROWS_BEFORE:
        await asyncio.sleep(0.02)


async def _rows(three: Replicas) -> set[int]:
    return {int(line) for line in (await asyncio.to_thread(three.primary.sql, "TABLE rows", database="d")).split()}


async def test_what_was_acknowledged_outlives_two_primaries() -> None:
    """The second one that is killed is the standby that took over; the one before it is a new copy by then."""
    acknowledged: list[int] = []
    done = asyncio.Event()
    with replicas() as three:
        url = await asyncio.to_thread(three.create, "d")
        await asyncio.to_thread(
            three.primary.sql, "CREATE TABLE rows (n int); GRANT ALL ON rows TO PUBLIC", database="d"
        )
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(url, acknowledged, done))
            for _ in range(2):
                await _enough(acknowledged)
                dead = await asyncio.to_thread(three.kill_primary)
                await asyncio.to_thread(three.promote, dead)
                assert three.primary is not dead
                await asyncio.to_thread(three.replace, dead)
            await _enough(acknowledged)
            done.set()
        assert {*acknowledged} <= await _rows(three)
