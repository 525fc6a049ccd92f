"""Renewal: as long as something is being made under an idempotency key, its precedent is saved again and again.

So the other processes on a store know that somebody is at it, and find out when that process is no more, though their clocks
need not agree: by then the precedent has not changed for long by their own.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from consignee.errors import Conflict, StoreError
from consignee.precedents import Precedent, Precedents

EVERY: Final = 4.0
"""Seconds from one renewal to the next."""
SILENCE: Final = 15.0
"""Seconds without one after which nobody is at it any more."""
LOOK: Final = 0.5
"""Seconds from one look to the next of somebody who waits for that."""
UNDER_WAY: Final = "A request with this Idempotency-Key is under way: repeat it when that has ended."

Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger(__name__)


class Renewals:
    """Those of one process; none are needed if the store is not shared. `clock` measures seconds."""

    def __init__(
        self, precedents: Precedents, *, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._precedents = precedents
        self._sleep = sleep
        self._clock = clock

    async def settled(self, before: Precedent | None) -> Precedent | None:
        """Return a precedent when nobody is at it: as it was, if its process is gone; as it is known by then, if it came to an
        end; or None. Raises Conflict if somebody is at it."""
        if before is None or before.made or not self._precedents.store.shared:
            return before
        since = self._clock()
        while self._clock() - since < SILENCE:
            await self._sleep(LOOK)
            latest = await self._precedents.get(before.account, before.id)
            if latest is None or latest.made:
                return latest
            if latest.revision != before.revision:
                raise Conflict(UNDER_WAY)
        return before

    @asynccontextmanager
    async def going_on(self, begun: Precedent) -> AsyncIterator[None]:
        """Renew a precedent of ours as long as the context lasts."""
        if not self._precedents.store.shared:
            yield
            return
        renewing = asyncio.create_task(self._renew(begun))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _renew(self, begun: Precedent) -> None:
        latest: Precedent | None = begun
        while latest is not None and latest.is_same(begun):
            await self._sleep(EVERY)
            try:
                latest = await self._renewed(latest)
            except StoreError as error:
                log.warning("a request with an idempotency key could not be renewed: %s", error)

    async def _renewed(self, precedent: Precedent) -> Precedent | None:
        try:
            return await self._precedents.save(precedent)
        except Conflict:  # sealed anew, or taken over
            return await self._precedents.get(precedent.account, precedent.id)


def as_now(precedent: Precedent, latest: Precedent | None) -> Precedent:
    """Return a precedent to be saved in place of the latest; raises Conflict if that is another request's, or there is none."""
    if latest is None or not latest.is_same(precedent):
        raise Conflict("The idempotency key was given up, or taken over, meanwhile.")
    return replace(precedent, revision=latest.revision)
