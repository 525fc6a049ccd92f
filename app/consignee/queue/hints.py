"""News of a queue: at once for who waits in this process, and as hints for those that wait in others."""

import asyncio
import time
from contextlib import suppress
from typing import Final
from uuid import UUID

from consignee.errors import StoreError
from consignee.postgres import jobs as sql
from consignee.postgres.database import Database

CHANNEL: Final = "consignee_jobs"
APART: Final = 0.05
"""Seconds between two hints: who is told of many jobs one by one would only be kept from working on them."""


class Hints:
    """What a process tells others, and is told by them: never more than a reason to look earlier."""

    def __init__(self, database: Database, kind: str, worker: UUID) -> None:
        self.news = asyncio.Event()
        self._database = database
        self._kind = kind
        self._worker = worker
        self._untold = False
        self._telling: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Have others' hints be news from now on."""
        self._database.listen(CHANNEL, self._hear)

    def tell(self) -> None:
        """Have others know soon that there is something new, and who waits here at once."""
        self.news.set()
        self._untold = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    def _hear(self, text: str) -> None:
        kind, _, worker = text.rpartition(" ")
        if not text or (kind == self._kind and worker != str(self._worker)):
            self.news.set()

    async def _tell(self) -> None:
        # A statement of its own: a transaction that notifies commits behind all others that do.
        while self._untold:
            self._untold = False
            with suppress(StoreError):
                await self._database.fetch(sql.TELL, CHANNEL, f"{self._kind} {self._worker}")
            await asyncio.sleep(APART)


class Presence:
    """Lets others know that this process claims jobs: an account's share grows with the number of those that do."""

    def __init__(self, database: Database, kind: str, worker: UUID, *, lease: float) -> None:
        self._database = database
        self._place = (kind, worker)
        self._lease = lease
        self._shown: float | None = None

    async def show(self, at: float | None) -> None:
        """Say so, unless that was said within the third of a lease; raises StoreError."""
        now = time.monotonic() if at is None else at
        if self._shown is None or not 0 <= now - self._shown < self._lease / 3:
            await self._database.write(sql.SHOW, *self._place, at, self._lease, idempotent=True)
            self._shown = now
