"""The files of one result set on their way to this machine's disk."""

import hashlib
from collections.abc import AsyncIterator

from consignee.body import CHUNK_BYTES
from consignee.delivery.file_names import Names
from consignee.delivery.folder import Folder
from consignee.delivery.intake import HELD, SMALL_BYTES, Intake, Limits
from consignee.delivery.keeping import Keeping
from consignee.delivery.writing import Disk, Writing


class SpoolIntake(Intake):
    """Small files wait in memory, a few at a time, to be written together."""

    def __init__(self, disk: Disk, keeping: Keeping, folder: Folder, token: str, limits: Limits, names: Names) -> None:
        super().__init__(token, limits, names)
        self._disk = disk
        self._keeping = keeping
        self._folder = folder
        self._held: dict[int, bytes] = {}

    async def begin(self) -> None:
        """Make the folder; raises StoreError."""
        await self._disk.run(self._folder.make)

    async def _receive(self, chunks: AsyncIterator[bytes]) -> tuple[str, str]:
        writing, buffer = None, bytearray()
        try:
            async for chunk in chunks:
                self._count(len(chunk))
                buffer += chunk
                if len(buffer) >= CHUNK_BYTES:
                    writing = writing or self._folder.writing(len(self.files))
                    await self._disk.run(self._write, writing, bytes(buffer))
                    buffer.clear()
            if writing is None and len(buffer) <= SMALL_BYTES:
                return await self._hold(bytes(buffer))
            writing = writing or self._folder.writing(len(self.files))
            return await self._disk.run(self._finish, writing, bytes(buffer))
        except BaseException:
            if writing is not None:
                await self._disk.run(writing.close)
            raise

    async def _hold(self, content: bytes) -> tuple[str, str]:
        """Keep a small file in memory until there are some to write."""
        self._held[len(self.files)] = content
        if len(self._held) >= HELD:
            await self._disk.run(self._write_held)
        return hashlib.md5(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest()

    def _write_held(self) -> None:
        held, self._held = self._held, {}
        self._folder.write(held)
        self._folder.sync()

    def _write(self, writing: Writing, data: bytes) -> None:
        self._write_held()
        writing.write(data)

    def _finish(self, writing: Writing, data: bytes) -> tuple[str, str]:
        self._write(writing, data)
        return writing.finish()

    async def _keep(self) -> None:
        await self._keeping.keep(self._folder, self._held)

    async def discard(self) -> None:
        """Remove all of it, also what `keep` had moved already when it failed."""
        await self._disk.run(self._folder.discard)
