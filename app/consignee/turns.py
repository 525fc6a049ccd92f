"""Places that several accounts share: who has had none the longest is next, and nobody may take them all."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many places at once, at most `each` of them for one account; those who wait get them account by account."""

    def __init__(self, places: int, *, each: int) -> None:
        self.most = self._free = places
        self._each = each
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By account, in the order of their turns."""

    @property
    def in_use(self) -> int:
        """How many places are taken."""
        return self.most - self._free

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """Hold a place for the account, after waiting for it as long as it takes."""
        await self.take(account)
        try:
            yield
        finally:
            self.give_back(account)

    async def take(self, account: str, *, within: float | None = None) -> None:
        """Return when the account has a place, which it must give back; raises TimeoutError after so many seconds."""
        if self._free and not self._waiting and self._taken[account] < self._each:
            self._seat(account)
            return
        async with asyncio.timeout(within):
            await self._wait(account)

    def _seat(self, account: str) -> None:
        self._free -= 1
        self._taken[account] += 1

    async def _wait(self, account: str) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(place)
        self._serve()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was served in the same moment
                self.give_back(account)
            raise

    def give_back(self, account: str) -> None:
        """Let somebody else have the place."""
        self._free += 1
        self._taken[account] -= 1
        if not self._taken[account]:
            del self._taken[account]
        self._serve()

    def _serve(self) -> None:
        while self._free and (account := self._next()) is not None:
            queue = self._waiting.pop(account)
            place = queue.popleft()
            if queue:  # the account goes to the end: the others come first
                self._waiting[account] = queue
            if not place.done():
                self._seat(account)
                place.set_result(None)

    def _next(self) -> str | None:
        return next((account for account in self._waiting if self._taken[account] < self._each), None)
