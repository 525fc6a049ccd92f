"""Intake: the files of one result set while they arrive. All of them are kept, or none."""

import abc
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consignee.delivery.file_names import Names
from consignee.errors import InvalidRequest

SMALL_BYTES: Final = 16 * 1024
"""Up to which size a file is small: several are written, and read, together."""
HELD: Final = 16
"""How many of them are."""


@dataclass(frozen=True)
class SpooledFile:
    """One file that is kept: its name as the customer wrote it, its size in bytes, its digests in hex."""

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


class Intake(abc.ABC):
    """The files of one result set while they arrive, one at a time; `files` are those that have arrived whole.

    `token` is what the result set that they become will have.
    """

    def __init__(self, token: str, limits: Limits, names: Names) -> None:
        self.files: list[SpooledFile] = []
        self.kept = False
        self.token = token
        self._limits = limits
        self._names = names
        self._bytes = 0
        self._whole = True

    @abc.abstractmethod
    async def begin(self) -> None:
        """Find out, before anything arrives, whether it can be kept at all; raises StoreError."""

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> SpooledFile:
        """Take in one more file, in bounded memory; it is durable when the set is kept.

        Raises InvalidRequest for a bad name or over a limit, StoreError if it can't be kept, and whatever `chunks` raises;
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

    async def keep(self) -> str:
        """Make all files durable, in one step, and return their token. Raises InvalidRequest if there is none, StoreError."""
        if not self.files and self._whole:
            raise InvalidRequest({"files": ["is required"]})
        self._claim()
        await self._keep()
        self.kept = True
        return self.token

    @abc.abstractmethod
    async def discard(self) -> None:
        """Remove all of it, also what `keep` had kept already when it failed."""

    @abc.abstractmethod
    async def _receive(self, chunks: AsyncIterator[bytes]) -> tuple[str, str]:
        """Take in the content of the next file, with `_count` for each piece; return its MD5 and SHA-256 in hex."""

    @abc.abstractmethod
    async def _keep(self) -> None:
        """Make what was received durable."""

    def _claim(self) -> None:
        if not self._whole or self.kept:
            raise RuntimeError("an intake takes one file at a time, and none after a failure or when it is kept")
        self._whole = False

    def _check_count(self) -> None:
        if len(self.files) >= self._limits.files:
            raise InvalidRequest({"files": [f"must not be more than {self._limits.files}"]})

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._limits.bytes is not None and self._bytes > self._limits.bytes:
            raise InvalidRequest({"files": [f"must not be larger than {self._limits.bytes} bytes in all"]})
