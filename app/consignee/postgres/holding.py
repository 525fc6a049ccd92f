"""A lock under a name that one connection holds for as long as somebody is inside: other processes wait outside."""

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from consignee.errors import StoreError
from consignee.postgres.database import Database
from consignee.postgres.failures import Kind, kind_of
from consignee.postgres.session import Session

log = logging.getLogger(__name__)

_TRY: Final = "SELECT pg_try_advisory_lock($1)"
_NOTICED: Final = (
    "SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '4', false)"
)
"""The lock of who is gone with its whole machine ends within half a minute: else the server notices in two hours."""
_SILENT: Final = 10.0
_PAUSE: Final = 0.1
_TRIES: Final = 5
"""Connections that may be lost in a row: each of them came about within the database's own time limit."""


@asynccontextmanager
async def held(database: Database, name: str, *, patience: float, silent: float = _SILENT) -> AsyncIterator[None]:
    """Hold the lock; raises StoreError if somebody else holds it for longer than `patience`, in seconds.

    A lock ends with its connection, also by a failover: then it is taken again as soon as can be, and the log tells if
    somebody else was faster. A connection that does not answer for `silent` seconds is given up.
    """
    hold = _Hold(database, name, silent)
    await hold.take(patience)
    keeping = asyncio.ensure_future(hold.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await hold.release()


class _Hold:
    def __init__(self, database: Database, name: str, silent: float) -> None:
        self._database = database
        self._name = name
        self._silent = silent
        self._key = int.from_bytes(hashlib.sha256(b"consignee " + name.encode()).digest()[:8], signed=True)
        self._session: Session | None = None
        self._lost = asyncio.Event()

    async def take(self, patience: float) -> None:
        """Take the lock; a connection that is lost meanwhile is not the end of that."""
        deadline = asyncio.get_running_loop().time() + patience
        for left in reversed(range(_TRIES)):
            session = await self._database.connected()
            try:
                await self._lock(session, deadline)
            except BaseException as error:
                session.drop()
                if not isinstance(error, Exception):
                    raise
                cause = session.cause(error)
                if kind_of(cause) is not Kind.AWAY or not left:
                    raise self._database.told(cause) from None
            else:
                return

    async def _lock(self, session: Session, deadline: float) -> None:
        self._lost.clear()
        session.raw.add_termination_listener(lambda _: self._lost.set())
        await self._asked(session, _NOTICED)
        while not await self._asked(session, _TRY, self._key):
            if asyncio.get_running_loop().time() >= deadline:
                raise StoreError(f"another process is at {self._name}, in the database at {self._database.name}")
            await asyncio.sleep(_PAUSE * (0.5 + random.random()))  # noqa: S311
        self._session = session

    async def _asked(self, session: Session, question: str, *args: object) -> Any:
        ending = asyncio.get_running_loop().call_later(self._silent, session.drop)
        try:
            return await session.raw.fetchval(question, *args)
        finally:
            ending.cancel()

    async def keep(self) -> None:
        """Take the lock again when it is lost, of which a partition says nothing."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(3 * self._silent):
                    await self._lost.wait()
            if self._lost.is_set():
                await self._take_again()
            elif self._session is not None:
                with suppress(Exception):
                    await self._asked(self._session, "SELECT 1")

    async def _take_again(self) -> None:
        told = False
        while True:
            try:
                return await self.take(0)
            except StoreError as failure:
                if not told:
                    log.warning("the lock of %s was lost, and can't be had again yet: %s", self._name, failure)
                told = True
                await asyncio.sleep(1)

    async def release(self) -> None:
        if self._session is not None:
            with suppress(Exception):
                await self._session.close()
