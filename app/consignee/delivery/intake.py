"""Intake: the files of one result set while they arrive. All of them are kept, or none."""

import errno
import logging
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from consignee.body import CHUNK_BYTES
from consignee.delivery.file_names import Names
from consignee.delivery.writing import Disk, Writing
from consignee.errors import InvalidRequest
from consignee.store.disk import fsync_directory, new_directory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpooledFile:
    """One file that is on the disk: its name as the customer wrote it, its size in bytes, its digests in hex."""

    name: str
    size: int
    md5: str
    sha256: str

    def to_data(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)

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
    """The files of one result set while they arrive, one at a time; `files` are those that are on the disk whole.

    `token` is what the result set that they become will have.
    """

    def __init__(self, disk: Disk, token: str, place: Path, kept_at: Path, limits: Limits, names: Names) -> None:
        self.files: list[SpooledFile] = []
        self.kept = False
        self._disk = disk
        self.token = token
        self._place = place
        self._kept_at = kept_at
        self._limits = limits
        self._names = names
        self._bytes = 0
        self._whole = True
        self._ours: list[Path] = []

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> SpooledFile:
        """Write one more file, in bounded memory, and sync it.

        Raises InvalidRequest for a bad name or over a limit, StoreError if the disk failed, and whatever `chunks` raises;
        after any of them the intake takes nothing more and can't be kept.
        """
        self._claim()
        self._check_count()
        self._names.add(name)
        file = await self._receive(Writing(self._place / str(len(self.files))), name, chunks)
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

    async def _receive(self, writing: Writing, name: str, chunks: AsyncIterator[bytes]) -> SpooledFile:
        before, buffer = self._bytes, bytearray()
        try:
            async for chunk in chunks:
                self._count(len(chunk))
                buffer += chunk
                if len(buffer) >= CHUNK_BYTES:
                    await self._disk.run(writing.write, bytes(buffer))
                    buffer.clear()
            md5, sha256 = await self._disk.run(writing.finish, bytes(buffer))
        except BaseException:
            await self._disk.run(writing.close)
            raise
        return SpooledFile(name, self._bytes - before, md5, sha256)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._limits.bytes is not None and self._bytes > self._limits.bytes:
            raise InvalidRequest({"files": [f"must not be larger than {self._limits.bytes} bytes in all"]})

    async def keep(self) -> str:
        """Make all files durable, in one step, and return their token. Raises InvalidRequest if there is none, StoreError."""
        if not self.files and self._whole:
            raise InvalidRequest({"files": ["is required"]})
        self._claim()
        await self._disk.run(self._move)
        self.kept = True
        return self.token

    def begin(self) -> None:
        """Make the folder; blocks. Raises OSError, also if the token was given before: what is there is not ours to remove."""
        if self._kept_at.exists():
            raise FileExistsError(errno.EEXIST, "the token was given before")
        new_directory(self._place)
        self._ours.append(self._place)

    def _move(self) -> None:
        fsync_directory(self._place)
        self._place.rename(self._kept_at)
        self._ours.append(self._kept_at)
        fsync_directory(self._kept_at.parent)
        fsync_directory(self._place.parent)

    def discard(self) -> None:
        """Remove all of it, also what `keep` had moved already when it failed; blocks."""
        for path in self._ours:
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.error("an unfinished intake could not be removed: %s", error)
