"""What is asked of the database is done once, whatever passes meanwhile; and what can't be done is told plainly."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import asyncpg
import pytest

from consignee.errors import Conflict, StoreError, StoreFull
from consignee.postgres.database import Database
from consignee.postgres.holding import held
from consignee.postgres.session import Connection
from consignee.secret import Secret
from postgres.cluster import PASSWORD, Cluster, free_port

PLACE = ("things", "a", "1")
NEW = (
    "INSERT INTO documents (kind, account, id, revision, data, written) VALUES ($1, $2, $3, 1, '0', gen_random_uuid())"
)
NUMBER = "SELECT data::integer FROM documents WHERE kind = $1 AND account = $2 AND id = $3 FOR UPDATE"
GROWN = "UPDATE documents SET data = (data::integer + 1)::text WHERE kind = $1 AND account = $2 AND id = $3"


@asynccontextmanager
async def opened(url: Secret, **options: float) -> AsyncIterator[Database]:
    """Open the database anew."""
    database = Database(url, **options)  # type: ignore[arg-type]
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def number(database: Database) -> int:
    [row] = await database.fetch("SELECT data::integer AS n FROM documents")
    return int(row["n"])


async def raising(connection: Connection, state: str) -> None:
    """Have the server fail so."""
    await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '{state}'; END $$")


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
async def test_what_was_undone_because_of_others_is_done_again(database: Database, state: str) -> None:
    await database.write(NEW, *PLACE)
    tries = 0

    async def work(connection: Connection) -> str:
        nonlocal tries
        tries += 1
        await connection.execute(GROWN, *PLACE)
        if tries < 3:
            await raising(connection, state)
        return "done"

    assert await database.transact(work) == "done"
    assert (tries, await number(database)) == (3, 1)


async def test_those_who_wait_for_each_other_both_get_through(database: Database) -> None:
    """The server ends one of them when it finds that out."""
    await database.write("INSERT INTO limits (kind, account, most, room) VALUES ('k', 'a', 1, 0), ('k', 'b', 1, 0)")
    met = asyncio.Barrier(2)
    runs = 0

    async def locking(first: str, second: str) -> None:
        async def work(connection: Connection) -> None:
            nonlocal runs
            runs += 1
            await connection.execute("SELECT FROM limits WHERE account = $1 FOR UPDATE", first)
            if runs <= 2:
                await met.wait()
            await connection.execute("SELECT FROM limits WHERE account = $1 FOR UPDATE", second)

        await database.transact(work)

    await asyncio.gather(locking("a", "b"), locking("b", "a"))
    assert runs == 3


async def test_work_whose_connection_is_lost_is_done_on_another_one(database: Database) -> None:
    await database.write(NEW, *PLACE)
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(GROWN, *PLACE)
        if tries == 1:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    await database.transact(work)
    assert (tries, await number(database)) == (2, 1)


async def test_a_connection_that_ended_while_it_rested_is_not_used(database: Database, cluster: Cluster) -> None:
    await database.fetch("SELECT 1")
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'consignee'")
    [row] = await database.fetch("SELECT 1 AS one")
    assert row["one"] == 1
    assert database.reachable


async def test_a_connection_that_is_dropped_before_a_statement_is_sent_is_not_used(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the deadline, in the moment between the driver's preparing a statement and its sending it."""
    prepare = asyncpg.Connection._get_statement
    dropped: list[str] = []

    async def prepared(connection: asyncpg.Connection, query: str, *args: object, **named: object) -> object:
        statement = await prepare(connection, query, *args, **named)
        if query not in dropped:
            dropped.append(query)
            connection.terminate()
        return statement

    monkeypatch.setattr(asyncpg.Connection, "_get_statement", prepared)
    [row] = await database.fetch("SELECT 1 AS one")
    assert row["one"] == 1
    await database.write(NEW, *PLACE)
    assert await number(database) == 0
    assert len(dropped) == 3


async def test_a_connection_to_a_server_that_takes_no_writes_is_dropped(url: Secret) -> None:
    """As after a failover that left the old server, or the connection to it, alive."""
    async with opened(url, most=1) as database:
        await database.fetch("SELECT set_config('default_transaction_read_only', 'on', false)")
        await database.write(NEW, *PLACE)
        assert await number(database) == 0


async def test_an_error_that_work_swallowed_is_not_taken_for_success(database: Database) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute(NEW, *PLACE)
        with suppress(Exception):  # that is what must not be done
            await raising(connection, "22000")

    with pytest.raises(StoreError, match="rolled back"):
        await database.transact(work)
    assert await database.fetch("SELECT FROM documents") == []


async def test_what_work_raises_is_raised_and_nothing_is_left_of_it(database: Database) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute(NEW, *PLACE)
        raise Conflict("canary")

    with pytest.raises(Conflict, match="canary"):
        await database.transact(work)
    assert await database.fetch("SELECT FROM documents") == []


async def test_a_caller_that_goes_away_ends_nothing(url: Secret) -> None:
    async with opened(url) as database:
        begun = asyncio.Event()

        async def work(connection: Connection) -> None:
            begun.set()
            await connection.execute(NEW, *PLACE)

        task = asyncio.ensure_future(database.transact(work))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with opened(url) as database:
        assert await number(database) == 0


async def test_there_are_never_more_connections_than_there_may_be(url: Secret, cluster: Cluster) -> None:
    counted = "SELECT count(*) AS n, pg_sleep(0.01) FROM pg_stat_activity WHERE datname = current_database()"
    async with opened(url, most=3) as database:
        found = await asyncio.gather(*(database.fetch(counted) for _ in range(30)))
    assert max(rows[0]["n"] for rows in found) == 3


async def test_a_statement_that_was_planned_before_the_schema_changed_is_planned_anew(
    database: Database, cluster: Cluster, url: Secret
) -> None:
    """Servers go on during an upgrade: in a transaction too, where the driver can't help itself."""
    await database.write("CREATE TABLE growing (a integer)")
    await database.write("INSERT INTO growing VALUES (1)")

    async def look(connection: Connection) -> int:
        [row] = await connection.fetch("SELECT * FROM growing")
        return len(row)

    assert await database.transact(look) == 1
    await database.write("ALTER TABLE growing ADD COLUMN b integer")
    assert await database.transact(look) == 2
    await database.write("DROP TABLE growing")


async def test_a_full_disk_is_told_as_one(database: Database) -> None:
    with pytest.raises(StoreFull, match=r"the disk of the database at 127\.0\.0\.1:\d+/test_\d+ is full"):
        await database.transact(lambda connection: raising(connection, "53100"))


@pytest.mark.parametrize("state", ["22003", "23505", "42501", "42P01", "XX000", "P0001", "53200"])
async def test_other_failures_are_told_by_their_kind_and_not_repeated(
    database: Database, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await raising(connection, state)

    with pytest.raises(StoreError, match=rf"at {database.name} failed: .* \(SQLSTATE {state}\)") as failure:
        await database.transact(work)
    assert tries == 1
    assert "canary" not in str(failure.value) + caplog.text
    assert failure.value.__suppress_context__


async def test_one_of_several_hosts_that_is_there_will_do(cluster: Cluster, url: Secret) -> None:
    """The next connection begins with the one that did last."""
    alive = f"127.0.0.1:{cluster.port}"
    for hosts in (f"127.0.0.1:{free_port()},{alive}", f"{alive},127.0.0.1:{free_port()}"):
        async with opened(Secret(url.reveal().replace(alive, hosts))) as database:
            assert hosts in database.name
            await database.write(NEW, "things", "a", hosts)


async def test_of_several_hosts_only_one_that_takes_writes_will_do(cluster: Cluster, url: Secret) -> None:
    name = url.reveal().rpartition("/")[2]
    alive = f"127.0.0.1:{cluster.port}"
    several = Secret(url.reveal().replace(alive, f"{alive},127.0.0.1:{free_port()}"))
    cluster.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        with pytest.raises(StoreError):
            await Database(several, timeout=0.3).open()
    finally:
        cluster.sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    async with opened(several) as database:
        await database.write(NEW, *PLACE)


async def test_who_may_lose_what_was_accepted_is_warned(
    cluster: Cluster, url: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    name = url.reveal().rpartition("/")[2]
    async with opened(url):
        assert "synchronous_commit" not in caplog.text
    cluster.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        async with opened(url) as database:
            assert f"synchronous_commit is off at the database at {database.name}" in caplog.text
    finally:
        cluster.sql(f"ALTER DATABASE {name} RESET synchronous_commit")


WRONG = [
    "postgresql://u:pass/{0}@127.0.0.1/db",
    "postgresql://u:{0}?x@127.0.0.1/db",
    "postgresql://u:{0}#x@127.0.0.1/db",
    "postgresql://u:{0}@127.0.0.1",
    "postgresql://u:{0}@[::1/db",
    "postgresql://u:{0}@127.0.0.1:x/db",
    "postgresql://u:{0}@127.0.0.1:99999/db",
    "mysql://u:{0}@127.0.0.1/db",
    "{0}",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_url_that_is_none_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(StoreError, match="the URL of the store can't be used") as failure:
        Database(Secret(url.format(PASSWORD.replace("/", "%2F"))))
    assert "canary" not in str(failure.value)
    assert failure.value.__context__ is None or failure.value.__suppress_context__


@pytest.mark.parametrize("asked", ["sslmode=canary", "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"])
async def test_what_a_url_asks_for_in_vain_is_not_put_down_to_the_network(url: Secret, asked: str) -> None:
    with pytest.raises(StoreError, match="what its URL asks for is not to be had, such as that sslmode, or that file"):
        await Database(Secret(f"{url.reveal()}?{asked}"), timeout=0.2).open()


async def test_the_password_is_never_told(cluster: Cluster, url: Secret, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = [
        url.reveal().replace("%2F", "%2Fx", 1),
        url.reveal().replace("consignee:", "canary-user:"),
        url.reveal().replace(f":{cluster.port}", f":{free_port()}"),
        url.reveal() + "nowhere",
        url.reveal() + "?sslmode=require",
        url.reveal() + "?sslmode=canary",
    ]
    told = []
    for one in wrong:
        database = Database(Secret(one), timeout=0.2)
        with pytest.raises(StoreError) as failure:
            await database.open()
        told += [str(failure.value), repr(failure.value), repr(vars(database))]
        assert failure.value.__suppress_context__
    assert len(told) == 18
    assert "canary" not in "".join(told) + caplog.text


async def test_who_listens_hears_and_hears_again_when_the_connection_was_lost(
    database: Database, cluster: Cluster
) -> None:
    """An empty hint says that something may have been missed."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    database.listen("news", heard.put_nowait)
    async with asyncio.timeout(10):
        for text in ("one", "two"):
            assert await heard.get() == ""
            await database.fetch("SELECT pg_notify('news', $1)", text)
            assert await heard.get() == text
            cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")


async def test_one_of_those_who_would_be_alone_is_inside_at_a_time(url: Secret) -> None:
    inside = most = 0

    async def enter(database: Database) -> None:
        nonlocal inside, most
        async with held(database, "cellar", patience=20):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(url)) for _ in range(3)]
        async with held(databases[0], "attic", patience=0), held(databases[1], "roof", patience=0):
            with pytest.raises(StoreError, match="another process is at attic"):
                await enter_once(databases[1], "attic")
            await asyncio.gather(*map(enter, databases))
        await enter_once(databases[1], "attic")
    assert most == 1


async def enter_once(database: Database, name: str) -> None:
    async with held(database, name, patience=0):
        pass


async def test_a_lock_that_was_lost_with_its_connection_is_taken_again(url: Secret, cluster: Cluster) -> None:
    locks = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    async with opened(url) as database, held(database, "cellar", patience=0):
        [first] = await database.fetch(locks)
        cluster.sql(f"SELECT pg_terminate_backend({first['pid']})")
        async with asyncio.timeout(10):
            while [row["pid"] for row in await database.fetch(locks)] in ([], [first["pid"]]):
                await asyncio.sleep(0.02)
        with pytest.raises(StoreError, match="another process is at cellar"):
            await enter_once(database, "cellar")
    async with opened(url) as database:
        await enter_once(database, "cellar")
