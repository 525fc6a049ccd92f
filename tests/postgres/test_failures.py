"""The database goes away and comes back: nothing that was told as saved is lost, and nobody waits for long or needs a restart."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consignee.errors import OutcomeUnknown, StoreError
from consignee.postgres.database import Database
from consignee.postgres.migrations import migrate
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from postgres.cluster import Cluster, running
from postgres.cutting import proxy

KIND = "things"
PATIENCE = 20.0
_WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_PROBE = "INSERT INTO kinds VALUES ('own') ON CONFLICT (kind) DO UPDATE SET kind = 'own'"


@pytest.fixture(scope="module")
def mortal() -> Iterator[Cluster]:
    """A server of these tests' own, with a database `own`."""
    with running(settings={"fsync": "on", "full_page_writes": "on"}) as cluster:
        asyncio.run(migrate(cluster.create("own")))
        yield cluster


@pytest.fixture
def own(mortal: Cluster) -> Iterator[Secret]:
    """The URL of its database; the server runs."""
    yield mortal.url("own")
    mortal.sql("TRUNCATE documents, kinds", database="own")


@asynccontextmanager
async def opened(url: Secret, *, timeout: float = 10.0) -> AsyncIterator[PostgresStore]:
    """Open the store."""
    store = PostgresStore(Database(url, timeout=timeout))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def until(store: PostgresStore, *, writable: bool) -> None:
    """Return when the store has found out by itself whether the database is there."""
    async with asyncio.timeout(PATIENCE):
        while store.writable is not writable:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["kill", "stop", "quit"])
async def test_what_is_asked_while_the_database_restarts_waits_and_goes_on(
    mortal: Cluster, own: Secret, how: str
) -> None:
    """Saves go on through it; each one that was told as done is there, once."""
    async with opened(own) as store:
        saved = 0

        async def save(account: str) -> None:
            nonlocal saved
            for number in range(200):
                await store.save(KIND, account, str(number), {"n": number})
                saved += 1

        saving = asyncio.gather(*map(save, "abc"))
        while saved < 100:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(_restart, mortal, how)
        await saving
        for account in "abc":
            assert await store.revisions(KIND, account) == {str(number): 1 for number in range(200)}
        assert store.writable


def _restart(mortal: Cluster, how: str) -> None:
    if how == "kill":
        mortal.kill()
    else:
        mortal.stop(signal.SIGINT if how == "stop" else signal.SIGQUIT)
    mortal.start()


async def test_who_asks_nothing_notices_that_the_database_went_and_that_it_is_back(
    mortal: Cluster, own: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with opened(own) as store:
        await asyncio.to_thread(mortal.kill)
        await until(store, writable=False)
        await asyncio.to_thread(mortal.start)
        await until(store, writable=True)
        assert await store.accounts(KIND) == []
    told = [one.getMessage() for one in caplog.records if "database at" in one.getMessage()]
    assert told == [
        f"the database at {store.database.name} can't be reached",
        f"the database at {store.database.name} is back",
    ]


async def test_when_it_has_been_away_for_long_nobody_waits(mortal: Cluster, own: Secret) -> None:
    """Whoever asks while it has not been away for `timeout` waits for the rest of that."""
    async with opened(own, timeout=0.5) as store:
        await asyncio.to_thread(mortal.kill)
        with pytest.raises(StoreError, match="can't be reached"):
            await store.get(KIND, "a", "1")
        await asyncio.sleep(0.1)  # so that it has been long even by a coarse clock
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreError, match="can't be reached"):
                await store.save(KIND, "a", "1", {})
        assert time.monotonic() - began < 20, "each of them would have taken half a second"
        await asyncio.to_thread(mortal.start)
        await until(store, writable=True)
        assert (await store.save(KIND, "a", "1", {})).revision == 1


async def test_a_database_that_is_silent_is_given_up_in_time(mortal: Cluster, own: Secret) -> None:
    """As behind a firewall that drops everything: a change may have got there, so nobody can tell."""
    async with proxy(mortal.port) as line, opened(mortal.url("own", port=line.port), timeout=0.4) as store:
        await store.save(KIND, "a", "1", {"n": 1})
        line.deaf = True
        with pytest.raises(StoreError, match="does not answer in time"):
            await store.get(KIND, "a", "1")
        with pytest.raises(StoreError, match=r"in time|not known"):
            await store.save(KIND, "a", "1", {"n": 2}, replaces=1)
        line.deaf = False
        line.sever()
        await until(store, writable=True)
        assert await store.revision(KIND, "a", "1") == 1


async def test_a_read_by_a_connection_that_fell_silent_is_done_by_another_one(mortal: Cluster, own: Secret) -> None:
    """And those that rested meanwhile, as silent as that one, keep nobody waiting."""
    async with proxy(mortal.port) as line, opened(mortal.url("own", port=line.port), timeout=3) as store:
        await store.save(KIND, "a", "1", {"n": 1})
        await asyncio.gather(*(store.database.fetch("SELECT pg_sleep(0.05)") for _ in range(5)))
        line.deafen()
        assert await store.revision(KIND, "a", "1") == 1
        for _ in range(5):
            assert await store.revision(KIND, "a", "1") == 1
        assert store.writable


async def test_a_database_that_is_not_there_at_the_start_is_told(mortal: Cluster, own: Secret) -> None:
    mortal.kill()
    try:
        with pytest.raises(StoreError, match="can't be reached"):
            await PostgresStore(Database(own, timeout=0.2)).open()
    finally:
        mortal.start()


async def test_who_would_be_alone_waits_for_a_database_that_restarts(mortal: Cluster, own: Secret) -> None:
    """Also without patience, which is for others who are inside; and a connection that ends in between is made anew."""
    async with proxy(mortal.port) as line, opened(mortal.url("own", port=line.port)) as store:
        mortal.stop()
        starting = asyncio.ensure_future(asyncio.to_thread(mortal.start))
        async with store.alone("first start", patience=0):
            await starting
        for point in range(6):
            line.cut("request", point)
            async with store.alone("second start", patience=0):
                line.spare()
        assert line.cuts > 0


@pytest.mark.parametrize("act", ["save", "limited", "remove"])
async def test_what_no_standby_has_yet_is_not_told_as_done(mortal: Cluster, own: Secret, act: str) -> None:
    """The commit waits for one that is not there, and our patience ends; when it comes, we find out that it happened."""
    async with opened(own, timeout=1) as store:
        await store.save(KIND, "a", "old", {})
        await _lose_standby(mortal)
        try:
            work: Callable[[], Coroutine[Any, Any, object]] = {
                "save": lambda: store.save(KIND, "a", "new", {}),
                "limited": lambda: store.save(KIND, "a", "new", {}, limit=5),
                "remove": lambda: store.remove(KIND, "a", "old", replaces=1),
            }[act]
            task = asyncio.ensure_future(work())
            await _waiting(mortal, 1)
            await _waiting(mortal, 2)  # the question about it waits too
            assert not task.done()
        finally:
            _find_standby(mortal)
        await task
        assert await store.revisions(KIND, "a") == ({} if act == "remove" else {"old": 1, "new": 1})


async def test_what_no_standby_has_in_the_end_is_told_to_be_unknown(mortal: Cluster, own: Secret) -> None:
    async with opened(own, timeout=0.3) as store:
        await store.save(KIND, "a", "old", {})
        await _lose_standby(mortal)
        try:
            with pytest.raises(OutcomeUnknown, match="whether the change took effect is not known"):
                await store.save(KIND, "a", "new", {})
        finally:
            _find_standby(mortal)


async def test_a_commit_that_did_not_wait_for_its_standby_is_not_taken_for_one(mortal: Cluster, own: Secret) -> None:
    """Somebody cancels the wait at the server, which then says that it committed, and warns."""
    async with opened(own, timeout=5) as store:
        await store.save(KIND, "a", "old", {})
        await _lose_standby(mortal)
        try:
            task = asyncio.ensure_future(store.save(KIND, "a", "new", {}))
            await _waiting(mortal, 1)
            mortal.sql(f"SELECT pg_cancel_backend(pid) {_WAITING}")
            await _waiting(mortal, 1)
            assert not task.done()
        finally:
            _find_standby(mortal)
        assert (await task).revision == 1
        assert await store.revisions(KIND, "a") == {"old": 1, "new": 1}


async def _lose_standby(mortal: Cluster) -> None:
    """Return when commits wait for a standby that is not there: the server takes a moment to begin with that."""
    mortal.sql("ALTER SYSTEM SET synchronous_standby_names = 'missing'; SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE):
        while True:
            probe = asyncio.ensure_future(asyncio.to_thread(mortal.sql, _PROBE, database="own"))
            while not probe.done():
                if mortal.sql(f"SELECT pg_cancel_backend(pid) {_WAITING}"):
                    await probe
                    return
                await asyncio.sleep(0.01)


def _find_standby(mortal: Cluster) -> None:
    mortal.sql("ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()")


async def _waiting(mortal: Cluster, count: int) -> None:
    """Return when that many connections wait for a standby, or for who waits for it."""
    waits = "wait_event = 'SyncRep' OR wait_event_type = 'Lock'"
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE ({waits}) AND usename = 'consignee'"
    async with asyncio.timeout(PATIENCE):
        while int(await asyncio.to_thread(mortal.sql, asked)) < count:
            await asyncio.sleep(0.01)
