"""The files of one result set on their way to a staging bucket: of each set, the piece that is being filled is in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from consignee.body import CHUNK_BYTES
from consignee.delivery.file_names import Names
from consignee.delivery.intake import SMALL_BYTES, Intake, Limits
from consignee.delivery.sending import share_of
from consignee.delivery.staging_layout import SECTION_BYTES
from consignee.delivery.staging_notes import Notes
from consignee.delivery.staging_pieces import Pieces
from consignee.digests import Sectioning
from consignee.ending import in_thread

FREE_BYTES: Final = 256 * 1024
"""How much of a set may be in memory before it needs a place there."""


class Room:
    """Places for pieces in memory: so many in all, and three quarters of them for one account."""

    def __init__(self, places: int) -> None:
        self._total = asyncio.Semaphore(places)
        self._share = share_of(places)
        self._accounts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, account: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        own = self._accounts.get(account) or asyncio.Semaphore(self._share)
        self._accounts[account] = own
        async with own, self._total:
            yield


class Stream:
    """The stream of one set as it is cut into pieces; `count` of them are written, and perhaps one more if it is `unsure`."""

    def __init__(self, pieces: Pieces, notes: Notes, room: Room, token: str, account: str) -> None:
        self.count = 0
        self.unsure = False
        self._pieces = pieces
        self._notes = notes
        self._room = room
        self._token = token
        self._account = account
        self._buffer = bytearray()
        self._held = False
        self._place = AsyncExitStack()

    async def write(self, data: bytes) -> None:
        """Append; raises StoreError."""
        rest = memoryview(data)
        while rest:
            if not self._held and len(self._buffer) + len(rest) > FREE_BYTES:
                await self._place.enter_async_context(self._room.place(self._account))
                self._held = True
            taken = rest[: self._pieces.size - len(self._buffer)]
            self._buffer += taken
            rest = rest[len(taken) :]
            if len(self._buffer) == self._pieces.size:
                await self._cut()

    async def end(self) -> None:
        """Write what is left; raises StoreError."""
        if self._buffer:
            await self._cut()

    async def let_go(self) -> None:
        """Forget what is in memory."""
        self._buffer, self._held = bytearray(), False
        await self._place.aclose()

    async def _cut(self) -> None:
        await self._notes.cover(self._token, self.count + 1)
        content, self._buffer = bytes(self._buffer), bytearray()
        self.unsure = True
        await self._pieces.put(self._token, self.count, content)
        self.unsure = False
        self.count += 1
        await self.let_go()


class StagingIntake(Intake):
    """The files of one result set while they arrive."""

    def __init__(self, stream: Stream, token: str, limits: Limits, names: Names) -> None:
        super().__init__(token, limits, names)
        self.stream = stream

    async def begin(self) -> None:
        """Do nothing: what a bucket answers is only known when something is written."""

    async def _receive(self, chunks: AsyncIterator[bytes]) -> tuple[str, str]:
        digests, pending = Sectioning(SECTION_BYTES), bytearray()
        async for chunk in chunks:
            self._count(len(chunk))
            pending += chunk
            if len(pending) >= CHUNK_BYTES:
                await self._take(digests, bytes(pending))
                pending.clear()
        await self._take(digests, bytes(pending))
        whole, sections = digests.whole, digests.sections()
        if sections is not None:
            await self.stream.write(sections.encoded(whole.sha256.digest()))
        return whole.md5.hexdigest(), whole.sha256.hexdigest()

    async def _take(self, digests: Sectioning, data: bytes) -> None:
        if len(data) > SMALL_BYTES:
            await in_thread(digests.update, data)
        else:
            digests.update(data)
        await self.stream.write(data)

    async def _keep(self) -> None:
        await self.stream.end()

    async def discard(self) -> None:
        """Forget what is in memory; what is in the bucket is removed by whoever opened the intake."""
        await self.stream.let_go()
