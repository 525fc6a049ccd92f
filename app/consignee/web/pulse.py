"""Whether a store that is elsewhere answers."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from consignee.errors import StoreError
from consignee.store import Store

PATIENCE: Final = 2.0
"""Seconds that it gets for that."""
EVERY: Final = 1.0
"""Seconds for which what was found is told to all who ask, for anybody may."""


class Pulse:
    """Asks a store, rather than telling what was last known of it, which may be long ago. `clock` returns seconds."""

    def __init__(
        self, store: Store, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._patience = patience
        self._clock = clock
        self._felt = False
        self._felt_at = -math.inf
        self._turn = asyncio.Lock()

    async def beats(self) -> bool:
        """Return whether the store answers, and soon; True for one that is here."""
        if not self._store.shared:
            return True
        async with self._turn:
            if self._clock() - self._felt_at >= EVERY:
                self._felt = await self._feel()
                self._felt_at = self._clock()
            return self._felt

    async def _feel(self) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                await self._store.revision("", "", "")
        except (StoreError, TimeoutError):
            return False
        return True
