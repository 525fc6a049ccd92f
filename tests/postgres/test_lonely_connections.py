"""How many connections there are, beside the pool's too, and when one is given up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consignee.errors import StoreError
from consignee.postgres.database import Database
from consignee.postgres.holding import held
from consignee.secret import Secret
from postgres.cluster import Cluster, free_port
from postgres.cutting import Proxy

ALIVE = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^LISTEN'"
LOCKS = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND granted"


@pytest.fixture
async def through(line_url: Secret) -> AsyncIterator[Database]:
    """The database, through the proxy."""
    database = Database(line_url, timeout=2)
    await database.open()
    yield database
    await database.close()


async def test_however_often_they_end_the_pool_does_not_grow(database: Database, url: Secret, cluster: Cluster) -> None:
    """Each end makes the pool find out whether the database is there, by a connection of which there may be one too many."""
    small = Database(url, most=1)
    await small.open()
    again = asyncio.Event()
    small.listen("news", lambda _: again.set())
    for _ in range(4):
        await asyncio.wait_for(again.wait(), 10)
        again.clear()
        for row in await database.fetch(LISTENING):
            cluster.sql(f"SELECT pg_terminate_backend({row['pid']})")
    await asyncio.wait_for(again.wait(), 10)
    async with asyncio.timeout(10):
        while (await database.fetch(ALIVE))[0]["n"] > 2:  # the one of its pool, and the one that listens
            await asyncio.sleep(0.02)
    await small.close()


async def test_who_waits_for_a_lock_is_not_kept_by_a_silent_connection(
    database: Database, through: Database, line: Proxy
) -> None:
    """After a partition nobody tells of its end; the next connection gets an answer."""

    async def enter() -> None:
        async with held(through, "cellar", patience=0.3, silent=0.2):
            pass

    async with held(database, "cellar", patience=0):
        waiting = asyncio.ensure_future(enter())
        while line.requests < 12:
            await asyncio.sleep(0.01)
        line.deafen()
        with pytest.raises(StoreError, match="another process is at cellar"):
            await asyncio.wait_for(waiting, 10)


async def test_who_holds_a_lock_notices_that_its_connection_is_silent(
    database: Database, through: Database, line: Proxy, cluster: Cluster
) -> None:
    """It may be that the server has ended it long ago, and given the lock to another process."""
    async with held(through, "cellar", patience=0, silent=0.1):
        line.deafen()
        [old] = await database.fetch("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")
        cluster.sql(f"SELECT pg_terminate_backend({old['pid']})")
        async with asyncio.timeout(10):
            while (await database.fetch(LOCKS))[0]["n"] != 1:
                await asyncio.sleep(0.02)


async def test_where_there_is_no_room_for_one_more_those_that_there_are_go_on(url: Secret, cluster: Cluster) -> None:
    """A service is not taken to be without a database because it can't listen."""
    alive = f"127.0.0.1:{cluster.port}"
    small = Database(Secret(url.reveal().replace(alive, f"{alive},127.0.0.1:{free_port()}")), most=1, timeout=1)
    await small.open()
    heard = asyncio.Event()
    small.listen("news", lambda _: heard.set())
    await asyncio.wait_for(heard.wait(), 10)
    cluster.sql("ALTER ROLE consignee CONNECTION LIMIT 1")
    try:
        for row in await small.fetch(LISTENING):
            cluster.sql(f"SELECT pg_terminate_backend({row['pid']})")
        with pytest.raises(StoreError):
            await small.connected()
        assert small.reachable
        assert await small.fetch("SELECT 1")
    finally:
        cluster.sql("ALTER ROLE consignee CONNECTION LIMIT -1")
        await small.close()


async def test_who_waited_long_for_a_connection_does_not_take_it_to_be_silent(url: Secret) -> None:
    """Else nobody would get an answer where there is much to do."""
    small = Database(url, most=1, timeout=1)
    await small.open()
    asked = "SELECT pg_backend_pid() AS pid"
    [first] = await small.fetch(asked)
    busy = asyncio.ensure_future(small.write("SELECT pg_sleep(0.6)"))
    await asyncio.sleep(0)
    for [row] in await asyncio.gather(*(small.fetch(asked) for _ in range(5))):
        assert row["pid"] == first["pid"]
    await busy
    await small.close()


async def test_who_stops_within_a_transaction_does_not_keep_others_waiting_for_long(database: Database) -> None:
    """A paused process may hold what all others wait for who claim."""
    [row] = await database.fetch("SELECT current_setting('idle_in_transaction_session_timeout')::interval AS longest")
    assert timedelta(0) < row["longest"] <= timedelta(seconds=10)


async def test_silent_connections_do_not_add_up_when_they_are_closed(
    database: Database, cluster: Cluster, url: Secret, line: Proxy
) -> None:
    """Each gets a second to end in order."""
    silent = Database(cluster.url(url.reveal().rpartition("/")[2], port=line.port), most=8)
    await silent.open()
    await asyncio.gather(*(silent.fetch("SELECT pg_sleep(0.3)") for _ in range(8)))
    assert (await database.fetch(ALIVE))[0]["n"] == 8
    line.deafen()
    async with asyncio.timeout(6):
        await silent.close()
