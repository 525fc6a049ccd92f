"""One server for all tests of a process, and a database of its own for each test that wants one."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from consignee.postgres.database import Database
from consignee.postgres.migrations import migrate
from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from postgres.cluster import BINARIES, Cluster, running
from postgres.cutting import Proxy, proxy

HERE: Final = Path(__file__).parent
TEMPLATE: Final = "migrated"
EMPTY: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
SELECT 'TRUNCATE ' || string_agg(oid::regclass::text, ', ') || ' RESTART IDENTITY'
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'consignee_migrations' \\gexec
"""
_numbers = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need the server."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server with an up to date database to copy; skips without PostgreSQL, but fails where the variable CI is `true`."""
    if not BINARIES.exists():
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop("no tests on PostgreSQL: it is not installed")
    with running() as cluster:
        asyncio.run(migrate(cluster.create(TEMPLATE)))
        yield cluster


@pytest.fixture
def empty_url(cluster: Cluster) -> Iterator[Secret]:
    """The URL of a database without anything in it."""
    name = f"test_{next(_numbers)}"
    yield cluster.create(name)
    cluster.drop(name)


@pytest.fixture(scope="session")
def emptied() -> list[str]:
    """Databases that earlier tests are at an end with: to empty one takes a tenth of the time of making one."""
    return []


@pytest.fixture
def url(cluster: Cluster, emptied: list[str]) -> Iterator[Secret]:
    """The URL of an empty, up to date database; nobody is to change its schema."""
    if emptied:
        yield cluster.url(name := emptied.pop())
    else:
        yield cluster.create(name := f"test_{next(_numbers)}", template=TEMPLATE)
    cluster.sql(EMPTY, database=name)
    emptied.append(name)


@pytest.fixture
async def database(url: Secret) -> AsyncIterator[Database]:
    """An open database."""
    database = Database(url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def store(url: Secret) -> AsyncIterator[PostgresStore]:
    """An open, empty store."""
    store = PostgresStore(Database(url))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def line(cluster: Cluster) -> AsyncIterator[Proxy]:
    """What lies between the server and who takes `line_url`."""
    async with proxy(cluster.port) as line:
        yield line


@pytest.fixture
def line_url(cluster: Cluster, url: Secret, line: Proxy) -> Secret:
    """The URL of the same database, through the proxy."""
    return cluster.url(url.reveal().rpartition("/")[2], port=line.port)


@pytest.fixture
async def line_store(line_url: Secret) -> AsyncIterator[PostgresStore]:
    """A store with one connection, through the proxy."""
    store = PostgresStore(Database(line_url, timeout=10, most=1, random=lambda: 0.0))
    await store.open()
    yield store
    await store.close()
