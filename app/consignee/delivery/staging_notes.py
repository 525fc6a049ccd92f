"""Which sets are arriving in a staging bucket, and in which processes, so that what a dead one left there is found again.

A document says so from before the first piece is written until the result set is saved. Its process saves it anew now and then:
one that stays as it is for long belongs to a process that is gone. Whoever takes it for dead marks it first; a process that was
only slow then finds that out when it says that the set is saved.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from consignee.delivery.result_files import Named
from consignee.errors import Conflict, StoreError
from consignee.store import Document, Store

KIND: Final = "stagings"
BEAT_SECONDS: Final = 60.0
DEAD_SECONDS: Final = 300.0
"""How long a note stays as it is until its process is taken for dead."""
_PIECES: Final = 8
"""How many pieces the first save speaks for; each further one for twice as many."""
_LOST: Final = "the files could not be stored: another process took this one for dead meanwhile"

logger = logging.getLogger(__name__)


@dataclass
class Note:
    """A set that is arriving here: of which collection, and for how many pieces its document speaks."""

    account: str
    collection_id: str
    pieces: int = 0
    revision: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def data(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"account": self.account, "collection_id": self.collection_id, "pieces": self.pieces}


class Notes:
    """The notes of this process, by token, and a look at all. `clock` returns seconds, and never jumps."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.monotonic, dead: float = DEAD_SECONDS
    ) -> None:
        self._store = store
        self._clock = clock
        self._dead = dead
        self._own: dict[str, Note] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = clock()

    def of(self, token: str) -> Note | None:
        """Return the note of a set that is arriving here."""
        return self._own.get(token)

    def begin(self, token: str, note: Note) -> None:
        """Take a set over; nothing is saved yet."""
        if token in self._own:
            raise StoreError("the files could not be stored: their token was given before")
        self._own[token] = note

    async def cover(self, token: str, pieces: int) -> None:
        """Return when the document speaks for so many pieces; raises StoreError."""
        note = self._own[token]
        async with note.turn:
            if pieces > note.pieces:
                note.pieces = max(pieces, 2 * note.pieces, _PIECES)
                await self._save(token, note)

    async def settle(self, token: str) -> None:
        """Remove the document of a set that is saved; raises StoreError, also if the set was given up."""
        note = self._own[token]
        async with note.turn:
            if note.revision:
                try:
                    await self._store.remove(KIND, "", token, replaces=note.revision)
                except Conflict:
                    raise StoreError(_LOST) from None
            self.forget(token)

    async def drop(self, token: str) -> None:
        """Remove the document of a set of which nothing is left; raises StoreError, and then `tidy` has still to look."""
        note = self._own[token]
        async with note.turn:
            self.forget(token)
            if note.revision:
                with suppress(Conflict):  # whoever took it for dead removes it
                    await self._store.remove(KIND, "", token, replaces=note.revision)

    async def disown(self, token: str, note: Note) -> None:
        """Leave a set to `tidy` of which there may be no document any more; raises StoreError."""
        self.forget(token)
        while True:
            noted = await self._store.get(KIND, "", token)
            with suppress(Conflict):  # who judges it does that now
                await self._store.save(KIND, "", token, note.data(), replaces=noted.revision if noted else 0)
                return

    def forget(self, token: str) -> None:
        """Leave what there is of a set to `tidy`."""
        self._own.pop(token, None)

    async def renew(self) -> None:
        """Save the documents of what is still arriving here anew; raises nothing."""
        for token, note in list(self._own.items()):
            async with note.turn:
                if note.revision and token in self._own:
                    try:
                        await self._save(token, note)
                    except StoreError as error:
                        logger.warning("a set of files that is arriving could not be noted again: %s", error)

    async def _save(self, token: str, note: Note) -> None:
        try:
            saved = await self._store.save(KIND, "", token, note.data(), replaces=note.revision)
        except Conflict:
            raise StoreError(_LOST) from None
        note.revision = saved.revision

    async def tidy(self, named: Named, delete: Callable[[str, Iterable[int]], Awaitable[None]]) -> None:
        """Remove the pieces and the documents of sets whose processes are gone; raises StoreError."""
        documents = [one for one in await self._store.list(KIND, "") if one.id not in self._own]
        now = self._clock()
        # While the store was away nobody could renew a note, and nobody was looking.
        before = self._seen if now - self._looked < self._dead / 2 else {}
        self._looked = now
        self._seen = {one.id: _first_seen(one, before.get(one.id), now) for one in documents}
        for document in documents:
            if now - self._seen[document.id][1] >= self._dead:
                await self._bury(document, named, delete)

    async def _bury(
        self, document: Document, named: Named, delete: Callable[[str, Iterable[int]], Awaitable[None]]
    ) -> None:
        data = {**document.data, "dead": True}
        try:
            doomed = await self._store.save(KIND, "", document.id, data, replaces=document.revision)
        except Conflict:  # it lives
            return
        if not await named(data["account"], data["collection_id"], document.id):
            await delete(document.id, range(data["pieces"]))
        try:
            await self._store.remove(KIND, "", document.id, replaces=doomed.revision)
        except Conflict:
            logger.warning("two processes tidied the staging bucket at once")


def _first_seen(document: Document, before: tuple[int, float] | None, now: float) -> tuple[int, float]:
    """Return the revision, and since when it has been that one."""
    return before if before is not None and before[0] == document.revision else (document.revision, now)
