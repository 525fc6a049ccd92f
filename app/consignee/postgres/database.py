"""The database as the rest of us sees it: what was asked is done once, over lost connections and a change of servers."""

import asyncio
import logging
import random as chance
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from consignee.errors import StoreError, StoreUnusable
from consignee.postgres.committing import Attempt, Check, Unknown, Work, checking, run_statement, run_transaction
from consignee.postgres.failures import Kind, is_foreign, kind_of, told, unknown
from consignee.postgres.listening import Listener
from consignee.postgres.place import name_of
from consignee.postgres.pool import Pool
from consignee.postgres.schema import require_schema
from consignee.postgres.session import Connection, Record, Session, driver
from consignee.secret import Secret

_T = TypeVar("_T")
log = logging.getLogger(__name__)

TIMEOUT: Final = 10.0
_QUICK: Final = 1.0
"""Seconds that an operation gets when the database has been away for long."""
_FIRST_PAUSE: Final = 0.02
_LAST_PAUSE: Final = 0.5


class Database:
    """One PostgreSQL database, over at most `most` connections.

    An operation goes on for `timeout` seconds over what may pass, and for as long again to find out whether it was committed;
    when the database has been away for longer than that, it fails after one try, until the database is back. A caller that is
    cancelled ends nothing: what was begun is carried out. `random` returns numbers from 0 to 1, for the length of pauses.
    """

    def __init__(
        self, url: Secret, *, timeout: float = TIMEOUT, most: int = 10, random: Callable[[], float] = chance.random
    ) -> None:
        self.name = name_of(url)
        """Host, port and database, which may be shown."""
        self._url = url
        self._timeout = timeout
        self._most = most
        self._random = random
        self._pool: Pool | None = None
        self._closing = False
        self._listener: Listener | None = None
        self._under_way: set[asyncio.Future[Any]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._away_since: float | None = None

    async def open(self, look: Callable[[Connection, str], Awaitable[None]] = require_schema) -> None:
        """Connect; raises StoreUnusable unless the schema is the one that this version works with, MissingExtra, StoreError."""
        driver()
        if self._pool is not None:
            raise StoreUnusable("this store is open already")
        self._pool = Pool(self._url, most=self._most, waits=self._timeout, heard=self._hear, ended=self._watch)
        self._away_since, self._closing = None, False
        try:
            await self._carried_out(self._until_done(lambda session: look(session.raw, self.name)))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was begun, then let go. May be called twice."""
        self._closing = True
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        if self._under_way:
            await asyncio.wait(self._under_way)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and not closed since."""
        return self._pool is not None and not self._closing

    def require_open(self) -> None:
        """Raise StoreError unless it is open."""
        if not self.is_open:
            raise StoreError("the store is not open")

    @property
    def reachable(self) -> bool:
        """Whether it is open, and the last try to connect went well."""
        return self.is_open and self._away_since is None

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many may be."""
        return (self._pool.in_use if self._pool is not None else 0, self._most)

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """Return the rows of a read; raises StoreError."""
        return await self._carried_out(self._until_done(lambda session: session.raw.fetch(sql, *args), reads=True))

    async def write(self, sql: str, *args: Any, check: Check | None = None, idempotent: bool = False) -> list[Record]:
        """Return the rows of one statement that commits by itself; raises StoreError.

        `check` is asked, as by `transact`, for the rows that the statement would have returned; none if it did not take effect.
        What is `idempotent` is run again instead.
        """
        if idempotent:
            check = _nothing
        return await self._carried_out(
            self._committed(lambda session: run_statement(session, sql, *args), check),
        )

    async def transact(self, work: Work[_T], *, check: Work[object] | None = None) -> _T:
        """Return what `work` returns when run in a transaction that was committed; raises StoreError, and what `work` raises.

        `work` may be run several times. If the connection was lost during the commit, `check` is asked on another one whether
        it happened: it should lock the rows that tell, for the server may still be at it. If not, `work` is run again, and
        should find out by what it leaves behind that it was done after all. Without `check` that is a StoreError.
        """

        async def look(connection: Connection) -> list[Record]:
            return [True] if check is not None and await check(connection) else []

        return await self._carried_out(
            self._committed(lambda session: run_transaction(session, work), look if check else None)
        )

    def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Have `callback` told what is notified on the channel, and "" when something may have been missed: it is but a hint."""
        if self._listener is None:
            self._listener = Listener(self._opened(), random=self._random)
        self._listener.add(channel, callback)

    async def connected(self) -> Session:
        """Return a connection of the caller's own, beside the others, which the caller ends; raises StoreError."""
        return await self._patiently(self._opened().connected)

    def told(self, error: Exception) -> Exception:
        """Return the error of ours for one of the driver's, and any other as it is."""
        return told(error, self.name) if is_foreign(error) else error

    def _opened(self) -> Pool:
        if self._pool is None:
            raise StoreError("the store is not open")
        return self._pool

    async def _carried_out(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            self.require_open()
        except StoreError:
            work.close()
            raise
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._end)
        return await asyncio.shield(task)

    def _end(self, task: asyncio.Future[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()

    async def _committed(self, attempt: Attempt[_T], check: Check | None) -> _T:
        end = asyncio.get_running_loop().time() + 2 * self._timeout
        while True:
            try:
                return await self._until_done(attempt)
            except Unknown as doubt:
                if check is None or asyncio.get_running_loop().time() > end:
                    raise unknown(self.name) from None
                if rows := await self._found(check):
                    answer: _T = doubt.answer(rows)
                    return answer

    async def _found(self, check: Check) -> list[Record]:
        end = asyncio.get_running_loop().time() + self._timeout
        while True:
            try:
                return await self._until_done(checking(check))
            except (Unknown, StoreError):
                if asyncio.get_running_loop().time() > end:
                    raise unknown(self.name) from None
                await asyncio.sleep(_LAST_PAUSE * self._random())

    async def _until_done(self, attempt: Attempt[_T], *, reads: bool = False) -> _T:
        pool = self._opened()

        async def step(deadline: float) -> _T:
            # If a connection turns out to be silent, a read must have time left for another one.
            async with pool.lent(deadline, halves=reads) as session:
                return await _tried(session, attempt)

        return await self._patiently(step)

    async def _patiently(self, step: Callable[[float], Awaitable[_T]]) -> _T:
        """Return what the step returns, which is told the deadline, and is taken again until then over what may pass."""
        deadline, pause = self._deadline(), _FIRST_PAUSE
        while True:
            try:
                return await step(deadline)
            except Exception as error:  # noqa: BLE001 - told by a table, and what is not the driver's is raised as it is
                kind = kind_of(error)
                if kind in (Kind.FULL, Kind.ELSE) or self._is_late(deadline, pause, kind):
                    late = asyncio.get_running_loop().time() >= deadline
                    raise self.told(TimeoutError() if late and is_foreign(error) else error) from None
            await asyncio.sleep(pause * (0.5 + self._random()))
            pause = min(2 * pause, _LAST_PAUSE)

    def _is_late(self, deadline: float, pause: float, kind: Kind) -> bool:
        if kind is Kind.AWAY and self._is_long_away():
            return True
        return asyncio.get_running_loop().time() + pause >= deadline

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + (
            min(_QUICK, self._timeout) if self._is_long_away() else self._timeout
        )

    def _is_long_away(self) -> bool:
        if self._away_since is None:
            return False
        return asyncio.get_running_loop().time() - self._away_since > self._timeout

    def _hear(self, works: bool) -> None:
        if works and self._away_since is not None:
            log.warning("the database at %s is back", self.name)
            self._away_since = None
        elif not works and self._away_since is None:
            log.error("the database at %s can't be reached", self.name)
            self._away_since = asyncio.get_running_loop().time()
            self._watch()

    def _watch(self) -> None:
        """A connection ended, or did not come about: find out whether it is the database, also if nobody asks for it now."""
        if self._pool is not None and not self._closing and (self._watching is None or self._watching.done()):
            self._watching = asyncio.ensure_future(self._watched(self._pool))

    async def _watched(self, pool: Pool) -> None:
        while True:
            with suppress(Exception):
                await pool.revive(asyncio.get_running_loop().time() + self._timeout)
            if self._away_since is None:
                return
            await asyncio.sleep(_LAST_PAUSE * (0.5 + self._random()))


async def _tried(session: Session, attempt: Attempt[_T]) -> _T:
    try:
        return await attempt(session)
    except Exception as error:  # noqa: BLE001 - it is raised again
        if kind_of(cause := session.cause(error)) is Kind.AWAY:  # such as one to a server that takes no writes any more
            session.drop()
        raise cause from None


async def _nothing(_: Connection) -> list[Record]:
    return []
