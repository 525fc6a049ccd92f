"""In which order requests begin when there are more than can be handled at once: account by account."""

import asyncio
from collections import OrderedDict, deque
from typing import Final

EACH_ROUND: Final = 1
"""So that a round is as short as one request: what takes many rounds, such as an upload, is not held up by a crowd of others."""


class Rounds:
    """Lets so many requests begin in each round of the event loop; those who wait take turns account by account.

    Without it, whoever asks on two hundred connections gets two hundred times what one gets who asks on one.
    """

    def __init__(self, each_round: int = EACH_ROUND) -> None:
        self._each_round = each_round
        self._left = each_round
        self._planned = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """By account, in the order of their turns."""

    async def turn(self, account: str) -> None:
        """Return when a request of the account may begin."""
        self._plan()
        if self._left and not self._waiting:
            self._left -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(place)
        await place

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._planned = False
        self._left = self._each_round
        while self._left and self._waiting:
            account, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:  # the account goes to the end: the others come first
                self._waiting[account] = places
            if not place.done():
                self._left -= 1
                place.set_result(None)
        if self._left < self._each_round:
            self._plan()
