"""The store beyond one machine: documents are rows of a PostgreSQL database, which any number of processes have open."""

import builtins
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from consignee.errors import StoreUnusable
from consignee.postgres import documents as sql
from consignee.postgres.database import Database
from consignee.postgres.failures import unknown
from consignee.postgres.holding import held
from consignee.postgres.job_rows import keep
from consignee.postgres.session import Connection, Record
from consignee.store import Data, Document, Entry, Store
from consignee.store.index import check_kind, judge_removal
from consignee.store.rows import IS_JOB, Done, Doubtful, Saving, document_of, encoded, is_text, job_of

COPYING: Final = ("copies", "", "own")
"""Kind, account and id of the document that is there as long as a store is being copied here."""


class PostgresStore(Store):
    """Keeps documents in a database, whose connections it opens and closes.

    If a connection is lost in the last moment of a save or a removal, the store finds out whether that took effect; if it
    can't, StoreError is raised, and the change may be there. A removal that was in doubt went well if nothing is left. A store
    that is being copied here is refused, unless it may be `partial`. `token` returns what marks a write. What is in order is
    so for every kind, and found quickly but for deliveries.
    """

    def __init__(self, database: Database, *, partial: bool = False, token: Callable[[], UUID] = uuid4) -> None:
        self.database = database
        self._partial = partial
        self._token = token
        self._kinds: set[str] = set()
        self._versions = itertools.count()

    async def open(self) -> None:
        await self.database.open()
        try:
            self._kinds = {row["kind"] for row in await self.database.fetch(sql.KINDS)}
            if not self._partial and await self.revision(*COPYING):
                name = self.database.name
                raise StoreUnusable(f"a store was copied to {name} in part only: repeat consignee store copy")
        except BaseException:
            await self.database.close()
            raise

    async def close(self) -> None:
        await self.database.close()

    @property
    def writable(self) -> bool:
        return self.database.reachable

    @property
    def connections(self) -> tuple[int, int] | None:
        return self.database.connections

    @property
    def shared(self) -> bool:
        return True

    @asynccontextmanager
    async def alone(self, name: str, *, patience: float = 30.0) -> AsyncIterator[None]:
        async with held(self.database, name, patience=patience):
            yield

    def kinds(self) -> list[str]:
        return sorted(self._kinds)

    def version(self, kind: str, account: str) -> int:
        return next(self._versions)  # others write too: what was remembered may be old at any moment

    async def accounts(self, kind: str) -> list[str]:
        return [row["account"] for row in await self.database.fetch(sql.ACCOUNTS, kind)]

    async def in_order(self, kind: str, *, behind: int = 0, most: int) -> builtins.list[Entry]:
        return [Entry(*row) for row in await self.database.fetch(sql.IN_ORDER, kind, behind, most)]

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        rows = await self._rows(sql.GET, kind, account, id)
        return document_of(account, rows[0]) if rows else None

    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        return [document_of(account, row) for row in await self._ranged(sql.LIST, kind, account, prefix)]

    async def ids(self, kind: str, account: str, *, prefix: str = "") -> builtins.list[str]:
        return [row["id"] for row in await self._ranged(sql.IDS, kind, account, prefix)]

    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        rows = await self._rows(sql.REVISION, kind, account, id)
        return int(rows[0]["revision"]) if rows else 0

    async def revisions(self, kind: str, account: str) -> dict[str, int]:
        return {row["id"]: row["revision"] for row in await self._ranged(sql.IDS, kind, account, "")}

    async def count(self, kind: str, account: str) -> int:
        return sum(row["count"] for row in await self._rows(sql.COUNT, kind, account))

    async def save(
        self,
        kind: str,
        account: str,
        id: str,  # noqa: A002
        data: Data,
        *,
        replaces: int = 0,
        limit: int | None = None,
    ) -> Document:
        check_kind(kind)
        text = encoded(account, id, data)
        is_first = kind not in self._kinds
        saving = Saving(kind, account, id, replaces, text=text, token=self._token(), limit=limit, is_first=is_first)
        try:
            if (job := job_of(data)) is None:
                await self._save(saving)
            else:
                await self.database.transact(partial(saving.run, job=job), check=saving.check)
        except Doubtful:
            raise unknown(self.database.name) from None
        except Done:
            pass
        self._kinds.add(kind)
        return Document.encoded(account, id, replaces + 1, b'{"data":%b}' % text.encode())

    async def _save(self, saving: Saving) -> None:
        if not saving.done(await self.database.write(*saving.statement(), check=saving.check)):
            saving.judge(await self.database.fetch(sql.WRITTEN, *saving.place))

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        if not is_text(account, id):
            judge_removal(0, replaces=replaces)
        place = kind, account, id

        async def check(connection: Connection) -> builtins.list[Record]:
            return [] if await connection.fetch(sql.LEFT, *place) else [True]

        if not await self.database.write(sql.REMOVE_PLAIN, *place, replaces, IS_JOB, check=check):
            judge_removal(await self.revision(*place), replaces=replaces)
            await self.database.transact(lambda connection: _remove_job(connection, place, replaces), check=check)

    async def _rows(self, statement: str, *texts: str) -> builtins.list[Record]:
        """Return the rows; what could not have been saved is not there."""
        if not is_text(*texts):
            self.database.require_open()
            return []
        return await self.database.fetch(statement, *texts)

    async def _ranged(self, statement: str, kind: str, account: str, prefix: str) -> builtins.list[Record]:
        ranged, further = sql.ranged(statement, prefix)
        return await self._rows(ranged, kind, account, *further)


async def _remove_job(connection: Connection, place: tuple[str, str, str], replaces: int) -> bool:
    """Remove the document of a job, or judge why there is nothing to remove."""
    await keep(connection, *place, None)
    if not await connection.fetch(sql.REMOVE, *place, replaces):
        revision = await connection.fetchval(sql.REVISION, *place)
        judge_removal(revision or 0, replaces=replaces)
        judge_removal(0, replaces=replaces)
    return True
