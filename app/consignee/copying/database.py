"""A database as what documents are copied from, or to."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from uuid import uuid4

from consignee.copying.ends import LEFT_OUT, Place, Source, Target
from consignee.errors import StoreError, StoreUnusable
from consignee.postgres import copying as sql
from consignee.postgres.database import Database
from consignee.postgres.failures import is_foreign
from consignee.postgres.session import Connection, Record, Session
from consignee.sections import StoreSettings
from consignee.store import Document
from consignee.store.postgres import COPYING, PostgresStore
from consignee.store.rows import document_of, encoded, job_of

_AT_ONCE: Final = 500


class DatabaseSource(Source):
    """What a database held at one moment, read in one transaction on a connection of its own."""

    def __init__(self, database: Database, session: Session) -> None:
        self.name = database.name
        self._database = database
        self._session = session
        self._cursors = 0

    async def places(self) -> list[Place]:
        rows = await self._fetch(sql.PLACES, [*LEFT_OUT])
        return [(row["kind"], row["account"]) for row in rows]

    async def documents(self, kind: str, account: str) -> AsyncGenerator[Document, None]:
        self._cursors += 1
        cursor = f"reading_{self._cursors}"
        await self._fetch(sql.DECLARE.format(cursor), kind, account)
        try:
            while rows := await self._fetch(sql.FETCH.format(cursor, _AT_ONCE)):
                for row in rows:
                    yield document_of(account, row)
        finally:
            await self._fetch(sql.CLOSE.format(cursor))

    async def _fetch(self, text: str, *args: Any) -> list[Record]:
        with telling(self._database):
            rows: list[Record] = await self._session.raw.fetch(text, *args)
        return rows


@asynccontextmanager
async def reading(database: Database, *, alone: bool) -> AsyncIterator[DatabaseSource]:
    """Yield what an open database holds; if `alone`, nobody can write to it meanwhile. Raises StoreError."""
    session = await database.connected()
    try:
        with telling(database):
            await session.raw.execute(sql.BEGIN)
            if alone:
                await session.raw.execute(sql.LOCK)
        yield DatabaseSource(database, session)
    finally:
        await session.close()


async def require_unused(database: Database) -> None:
    """Raise StoreUnusable if another process of ours has the database open; `database` has but one connection."""
    others = (await database.fetch(sql.OTHERS))[0]["count"]
    if others:
        raise StoreUnusable(
            f"the database at {database.name} is in use, over {others} other connections of consignee: "
            "stop every consignee serve and consignee worker, then repeat this"
        )


@contextmanager
def telling(database: Database) -> Iterator[None]:
    """Raise what the driver raises as an error of ours."""
    try:
        yield
    except Exception as error:
        if is_foreign(error):
            raise database.told(error) from None
        raise


class DatabaseTarget(Target):
    """An open database, which must hold no store yet, but may hold what an interrupted copy left."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._database = store.database
        self.name = store.database.name

    async def begin(self) -> None:
        """Note durably that it is being copied to; raises StoreUnusable if something else is there."""
        if await self._store.revision(*COPYING):
            return
        if await self._database.fetch(sql.ANYTHING, [*LEFT_OUT]):
            raise StoreUnusable(f"there is a store in the database at {self.name} already: copy to an empty one")
        await self._store.save(*COPYING, {})

    async def places(self) -> list[Place]:
        async with reading(self._database, alone=False) as found:
            return await found.places()

    async def documents(self, kind: str, account: str) -> AsyncGenerator[Document, None]:
        async with reading(self._database, alone=False) as found:
            async for document in found.documents(kind, account):
                yield document

    async def cut(self, kind: str, account: str, *, left: int) -> None:
        async def work(connection: Connection) -> None:
            doomed = [row["id"] for row in await connection.fetch(sql.BEHIND, kind, account, left)]
            await connection.execute(sql.DROP_JOBS, kind, account, doomed)
            await connection.execute(sql.DROP, kind, account, doomed)

        await self._database.transact(work, check=_never)

    async def append(self, kind: str, documents: Sequence[Document]) -> None:
        if not documents:
            return
        token = uuid4()
        last = documents[-1].account, documents[-1].id

        async def written(connection: Connection) -> list[Record]:
            return await connection.fetch(sql.WRITTEN, kind, *last, token)

        async def work(connection: Connection) -> None:
            if not await written(connection):
                await connection.execute(sql.KIND, kind)
                await connection.fetch(sql.JOBS, kind, *_columns(_jobs(documents), 7))
                await connection.execute(sql.INSERT, kind, *_columns(_rows(documents), 4), token)

        await self._database.transact(work, check=written)

    @asynccontextmanager
    async def finished(self) -> AsyncIterator[Source]:
        async with reading(self._database, alone=True) as found:
            yield found
        await self._store.remove(*COPYING, replaces=1)  # from here on it is a store


async def _never(_: Connection) -> list[Record]:
    return []  # to cut once more is harmless


def _rows(documents: Sequence[Document]) -> Iterator[tuple[Any, ...]]:
    for one in documents:
        try:
            yield one.account, one.id, one.revision, encoded(one.account, one.id, one.data)
        except ValueError as error:
            raise StoreError(f"the document {one.id!r} can't be kept in a database: {error}") from None


def _jobs(documents: Sequence[Document]) -> Iterator[tuple[Any, ...]]:
    for one in documents:
        if (job := job_of(one.data)) is not None:
            yield one.account, one.id, *(job.get(name) for name in ("lane", "due", "attempt", "crashes", "lease"))


def _columns(rows: Iterator[tuple[Any, ...]], count: int) -> list[list[Any]]:
    """Return the columns of rows that have so many."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


@asynccontextmanager
async def opened_source(settings: StoreSettings) -> AsyncIterator[Source]:
    """Yield what is in the database, which nobody else has open and nobody can write to; raises StoreUnusable, StoreError."""
    database = Database(settings.url, timeout=settings.timeout, most=1)
    store = PostgresStore(database)
    await store.open()
    try:
        await require_unused(database)
        async with reading(database, alone=True) as source:
            yield source
    finally:
        await store.close()


@asynccontextmanager
async def opened_target(settings: StoreSettings) -> AsyncIterator[Target]:
    """Yield the database to be copied to, which nobody else has open; raises StoreUnusable, StoreError."""
    store = PostgresStore(Database(settings.url, timeout=settings.timeout, most=1), partial=True)
    await store.open()
    try:
        await require_unused(store.database)
        async with store.alone("copying", patience=0):
            target = DatabaseTarget(store)
            await target.begin()
            yield target
    finally:
        await store.close()
