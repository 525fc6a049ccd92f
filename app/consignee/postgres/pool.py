"""The connections of one process: a few, made when they are needed, and forgotten when they break."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from consignee.errors import MissingExtra, StoreError
from consignee.postgres.failures import Lost
from consignee.postgres.place import each_host
from consignee.postgres.session import Session, connect
from consignee.secret import Secret

_LEAST: Final = 0.1
"""Seconds that a try to connect gets, however late it is."""


class Pool:
    """At most `most` connections at once; the one that was last used is used first.

    `heard` is told of each try to connect whether it worked; `ended` of each connection that ended by itself. Deadlines are by
    the clock of the event loop.
    """

    def __init__(
        self, url: Secret, *, most: int, waits: float, heard: Callable[[bool], None], ended: Callable[[], None]
    ) -> None:
        self._urls = each_host(url)
        self._waits = waits
        self._heard = heard
        self._ended = ended
        self._slots = asyncio.Semaphore(most)
        self._idle: list[Session] = []
        self._closed = False
        self.in_use = 0

    @asynccontextmanager
    async def lent(self, deadline: float, *, until: float | None = None) -> AsyncIterator[Session]:
        """Yield a connection, which is dropped if it is in use then, or `until` then. Raises what the driver raises."""
        async with asyncio.timeout_at(deadline) if self._slots.locked() else nullcontext():
            await self._slots.acquire()
        self.in_use += 1
        try:
            session = self._rested() or await self.connected(deadline)
            ending = asyncio.get_running_loop().call_at(until or deadline, self._give_up, session)
            try:
                yield session
            finally:
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
        """Connect, and keep that connection for whoever comes next; raises what the driver raises."""
        async with asyncio.timeout_at(deadline):
            await self._slots.acquire()
        try:
            self._take_back(await self.connected(deadline))
        finally:
            self._slots.release()

    async def connected(self, deadline: float) -> Session:
        """Return a new connection to the first host that will do, the one that did last before the others.

        Raises what the driver raises.
        """
        error: Exception = Lost()
        for url in tuple(self._urls):
            if self._closed:
                raise StoreError("the store is not open")
            try:
                within = max(_LEAST, deadline - asyncio.get_running_loop().time())
                session = await connect(url, within=within, waits=self._waits, ended=self._ended)
            except MissingExtra:
                raise
            except Exception as failure:  # noqa: BLE001 - the last one is raised
                error = failure
            else:
                self._urls.sort(key=lambda one, good=url: one is not good)  # type: ignore[misc]
                self._heard(True)
                return session
        self._heard(False)
        raise error

    async def close(self) -> None:
        """End all connections that nobody uses, and each of the others when it is given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()
