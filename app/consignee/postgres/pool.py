"""The connections of one process: a few, made when they are needed, and forgotten when they break."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from consignee.errors import MissingExtra, StoreError
from consignee.postgres.failures import Lost, is_full_up
from consignee.postgres.place import each_host
from consignee.postgres.session import Session, connect
from consignee.secret import Secret

_LEAST: Final = 0.1
"""Seconds that a try to connect gets, however late it is."""
_SOONEST: Final = 0.25
"""Seconds after which a connection may be taken to be silent that was asked for something short."""


class Pool:
    """At most `most` connections at once; the one that was last used is used first.

    `heard` is told of each try to connect whether it worked, unless it says nothing: where the server has no room for more than
    those that there are. `ended` is told of each connection that ended by itself. Deadlines are by the clock of the event loop.
    """

    def __init__(
        self, url: Secret, *, most: int, waits: float, heard: Callable[[bool], None], ended: Callable[[], None]
    ) -> None:
        self._urls = each_host(url)
        self._waits = waits
        self._heard = heard
        self._ended = ended
        self._most = most
        self._slots = asyncio.Semaphore(most)
        self._idle: list[Session] = []
        self._lent: list[Session] = []
        self._closed = False
        self.in_use = 0

    @asynccontextmanager
    async def lent(self, deadline: float, *, halves: bool = False) -> AsyncIterator[Session]:
        """Yield a connection, which is dropped if it is in use then, or after half of the time. Raises what the driver raises."""
        async with asyncio.timeout_at(deadline) if self._slots.locked() else nullcontext():
            await self._slots.acquire()
        self.in_use += 1
        try:
            session = self._rested() or await self.connected(deadline)
            loop = asyncio.get_running_loop()
            # Half of what is left now: who waited long for a connection has not found out that it is silent.
            until = max((loop.time() + deadline) / 2, loop.time() + _SOONEST) if halves else deadline
            ending = loop.call_at(until, self._give_up, session)
            self._lent.append(session)
            try:
                yield session
            finally:
                self._lent.remove(session)
                ending.cancel()
                self._take_back(session)
        finally:
            self.in_use -= 1
            self._slots.release()

    def _rested(self) -> Session | None:
        while self._idle:
            if not (session := self._idle.pop()).closed:
                return session
        return None

    def _give_up(self, session: Session) -> None:
        """It is silent, and so may be those that rest."""
        for one in (session, *self._idle):
            one.drop()

    def _take_back(self, session: Session) -> None:
        if self._closed or session.in_transaction:
            session.drop()
        elif not session.closed:
            self._idle.append(session)

    async def revive(self, deadline: float) -> None:
        """Connect, and keep that connection for whoever comes next, if there is none too many; raises what the driver raises."""
        async with asyncio.timeout_at(deadline):
            await self._slots.acquire()
        try:
            session = await self.connected(deadline)
            self._idle = [one for one in self._idle if not one.closed]
            if len(self._idle) + self.in_use < self._most:
                self._take_back(session)
            else:
                await session.close()
        finally:
            self._slots.release()

    async def connected(self, deadline: float) -> Session:
        """Return a new connection to the first host that will do, the one that did last before the others.

        Raises what the driver raises.
        """
        error: Exception = Lost()
        full = False
        for url in tuple(self._urls):
            if self._closed:
                raise StoreError("the store is not open")
            try:
                within = max(_LEAST, deadline - asyncio.get_running_loop().time())
                session = await connect(url, within=within, waits=self._waits, ended=self._ended)
            except MissingExtra:
                raise
            except Exception as failure:  # noqa: BLE001 - the last one is raised
                error, full = failure, full or is_full_up(failure)
            else:
                self._urls.sort(key=lambda one, good=url: one is not good)  # type: ignore[misc]
                self._heard(True)
                return session
        if not (full and any(not one.closed for one in (*self._idle, *self._lent))):
            self._heard(False)
        raise error

    async def close(self) -> None:
        """End all connections that nobody uses, and each of the others when it is given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(one.close() for one in idle))
