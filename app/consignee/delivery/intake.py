"""Intake: the files of one result set while they arrive. All of them are kept, or none."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consignee.body import CHUNK_BYTES
from consignee.delivery.file_names import Names
from consignee.delivery.folder import Folder
from consignee.delivery.keeping import Keeping
from consignee.delivery.writing import Disk, Writing
from consignee.errors import InvalidRequest

SMALL_BYTES: Final = 16 * 1024
"""Up to which size a file is held in memory, to be written together with others."""
HELD: Final = 16
"""How many of them are."""


@dataclass(frozen=True)
class SpooledFile:
    """One file that is on the disk: its name as the customer wrote it, its size in bytes, its digests in hex."""

    name: str
    size: int
    md5: str
    sha256: str

    def to_data(self) -> dict[str, Any]:
        """Return the stored form."""
        return dict(vars(self))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "SpooledFile":
        """Return the file of a stored form."""
        return cls(name=data["name"], size=data["size"], md5=data["md5"], sha256=data["sha256"])


@dataclass(frozen=True)
class Limits:
    """What one result set may hold."""

    files: int
    bytes: int | None


class Intake:
    """The files of one result set while they arrive, one at a time; `files` are those that have arrived whole.

    Small ones wait in memory, a few at a time, to be written together. `token` is what the result set that they become will have.
    """

    def __init__(self, disk: Disk, keeping: Keeping, folder: Folder, token: str, limits: Limits, names: Names) -> None:
        self.files: list[SpooledFile] = []
        self.kept = False
        self.token = token
        self._disk = disk
        self._keeping = keeping
        self._folder = folder
        self._limits = limits
        self._names = names
        self._bytes = 0
        self._whole = True
        self._held: dict[int, bytes] = {}

    async def begin(self) -> None:
        """Make the folder, so that a disk that fails is found out before anything arrives; raises StoreError."""
        await self._disk.run(self._folder.make)

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> SpooledFile:
        """Take in one more file, in bounded memory; it is durable when the set is kept.

        Raises InvalidRequest for a bad name or over a limit, StoreError if the disk failed, and whatever `chunks` raises;
        after any of them the intake takes nothing more and can't be kept.
        """
        self._claim()
        self._check_count()
        self._names.add(name)
        before = self._bytes
        md5, sha256 = await self._receive(chunks)
        file = SpooledFile(name, self._bytes - before, md5, sha256)
        self.files.append(file)
        self._whole = True
        return file

    def _claim(self) -> None:
        if not self._whole or self.kept:
            raise RuntimeError("an intake takes one file at a time, and none after a failure or when it is kept")
        self._whole = False

    def _check_count(self) -> None:
        if len(self.files) >= self._limits.files:
            raise InvalidRequest({"files": [f"must not be more than {self._limits.files}"]})

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

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._limits.bytes is not None and self._bytes > self._limits.bytes:
            raise InvalidRequest({"files": [f"must not be larger than {self._limits.bytes} bytes in all"]})

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

    async def keep(self) -> str:
        """Make all files durable, in one step, and return their token. Raises InvalidRequest if there is none, StoreError."""
        if not self.files and self._whole:
            raise InvalidRequest({"files": ["is required"]})
        self._claim()
        await self._keeping.keep(self._folder, self._held)
        self.kept = True
        return self.token

    async def discard(self) -> None:
        """Remove all of it, also what `keep` had moved already when it failed."""
        await self._disk.run(self._folder.discard)
