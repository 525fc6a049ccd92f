"""Tenure: of all processes that share a store, one at a time does what is to be done once.

A document says which one, and changes as long as that one lives; another takes over when it has not changed for long enough by
its own clock, so that no two clocks need agree. A process that stood still may believe for an instant too long that it holds it:
what is done under it may be done twice.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from consignee.agenda import Agenda
from consignee.errors import Conflict, StoreError
from consignee.store import Document, Store

KIND: Final = "tenures"
SECONDS: Final = 15.0
"""How long a holder may be silent."""
_SURE: Final = 0.8
"""Of that time, what its holder counts on; clocks do not run at quite the same speed."""
_LOOK: Final = 0.25
"""Of that time, what passes from one look to the next."""
_PARTING: Final = 2.0
"""Seconds that an end waits for the store to hear of it."""
_NOBODY: Final = ""


class _Seen(NamedTuple):
    """Another's tenure: at which revision it is, and since when that is known here."""

    revision: int
    since: float


class Tenure:
    """One tenure, as one process sees it. On a store that is not shared, it is always ours. `clock` tells seconds."""

    def __init__(
        self,
        store: Store,
        name: str = "housekeeping",
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._own = random(8).hex()
        self._seen = _Seen(0, math.inf)
        self._until = self._next = -math.inf
        self._left = False
        self._turn = asyncio.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether there may be other processes."""
        return self._store.shared

    def start(self, agenda: Agenda) -> None:
        """Renew it, or look whether its holder lives, again and again; the agenda ends that."""
        if not self._store.shared:
            return

        async def look() -> None:
            try:
                await self.is_ours()
            finally:
                agenda.after(self._seconds * _LOOK, look)

        agenda.after(0, look)

    async def is_ours(self) -> bool:
        """Return whether this process holds it, taking it if nobody does; False if the store can't tell. Cheap."""
        if not self._store.shared:
            return True
        async with self._turn:
            if self._clock() >= self._next and not self._left:
                with suppress(StoreError, Conflict):
                    await self._look(self._clock())
        return self._clock() < self._until

    async def _look(self, began: float) -> None:
        self._next = began + self._seconds * _LOOK
        document = await self._store.get(KIND, "", self._name)
        if not self._may_take(document, began):
            self._until = -math.inf
            return
        replaces = document.revision if document else 0
        await self._store.save(KIND, "", self._name, {"holder": self._own}, replaces=replaces)
        self._until = began + self._seconds * _SURE

    def _may_take(self, document: Document | None, began: float) -> bool:
        if document is None or document.data["holder"] in (_NOBODY, self._own):
            return True
        if document.revision != self._seen.revision:
            self._seen = _Seen(document.revision, self._clock())
        return began - self._seen.since >= self._seconds

    async def leave(self) -> None:
        """Let go of it for good, so that another takes over at once; raises nothing."""
        async with self._turn:
            self._left, was_ours, self._until = True, self._until > -math.inf, -math.inf
            if was_ours:
                with suppress(StoreError, Conflict, TimeoutError):
                    async with asyncio.timeout(_PARTING):
                        await self._let_go()

    async def _let_go(self) -> None:
        document = await self._store.get(KIND, "", self._name)
        if document is not None and document.data["holder"] == self._own:
            await self._store.save(KIND, "", self._name, {"holder": _NOBODY}, replaces=document.revision)
