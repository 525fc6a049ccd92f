"""In which order requests begin when there are more than can be handled at once: account by account."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

EACH_ROUND: Final = 1
ROUND: Final = 0.0005
"""Seconds: so that what takes many rounds, such as an upload, is not held up by a crowd of others."""


class Rounds:
    """Lets so many requests begin in each round of the event loop; those who wait take turns account by account.

    Without it, whoever asks on two hundred connections gets two hundred times what one gets who asks on one. Of requests that
    take next to no time, more begin in a round: as many as can until it is that many `seconds` old.
    """

    def __init__(
        self, each_round: int = EACH_ROUND, *, seconds: float = 0.0, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._each_round = each_round
        self._seconds = seconds
        self._clock = clock
        self._until = 0.0
        self._left = each_round
        self._begun = 0
        self._planned = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """By account, in the order of their turns."""

    async def turn(self, account: str) -> None:
        """Return when a request of the account may begin."""
        if not self._may_begin():
            place = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(account, deque()).append(place)
            await place

    def _may_begin(self) -> bool:
        if not self._planned:
            self._plan()
        if self._waiting or (self._left <= 0 and self._clock() >= self._until):
            return False
        self._left -= 1
        self._begun += 1
        return True

    def _plan(self) -> None:
        self._planned = True
        self._until = self._clock() + self._seconds
        asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._planned = False
        self._left, self._begun = max(self._each_round, self._fitting()), 0
        while self._left > 0 and self._waiting:
            account, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:  # the account goes to the end: the others come first
                self._waiting[account] = places
            if not place.done():
                self._left -= 1
                self._begun += 1
                place.set_result(None)
        if self._begun:
            self._plan()

    def _fitting(self) -> int:
        """Return how many began in a round that was about as long as it should be; 0 if it was far longer."""
        return self._begun if self._seconds and self._clock() < self._until + self._seconds else 0
