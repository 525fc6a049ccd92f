"""What is uploaded: content of a known length that can be read again, from any offset, so that a retry can sign afresh."""

import abc
import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consignee.ending import to_its_end
from consignee.errors import FileDamaged

CHUNK_BYTES: Final = 256 * 1024
"""How much of a file is in memory at once, and of what is in memory is sent at once."""


class Body(abc.ABC):
    """Content with its length in bytes and its digests."""

    length: int
    md5: bytes
    sha256: bytes

    @abc.abstractmethod
    def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`, as often as it is asked for."""

    @abc.abstractmethod
    async def part(self, offset: int, length: int) -> "Body":
        """Return a section of the content as a body of its own, with its own digests."""

    async def verify(self) -> None:  # noqa: B027 - what is in memory is what it was
        """Return if the content is still what its digests say; raises FileDamaged."""

    def payload(self) -> bytes | AsyncIterator[bytes]:
        """Return the whole content in the form that costs least to send."""
        return self.chunks()


class BytesBody(Body):
    """A small body that is in memory already."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)
        self.md5 = hashlib.md5(data, usedforsecurity=False).digest()
        self.sha256 = hashlib.sha256(data).digest()

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        for start in range(offset, max(self.length, offset + 1), CHUNK_BYTES):
            yield self._data[start : start + CHUNK_BYTES]

    async def part(self, offset: int, length: int) -> Body:
        """Return a section."""
        return BytesBody(self._data[offset : offset + length])

    def payload(self) -> bytes | AsyncIterator[bytes]:
        """Return the content if it is small; what is not goes out in pieces, so that its progress is seen."""
        return self._data if self.length <= CHUNK_BYTES else self.chunks()


@dataclass(frozen=True)
class FileBody(Body):
    """A file on disk, or the section of it that begins at `start`; never whole in memory.

    Reading raises OSError, or FileDamaged: if the file is shorter than it was, and, before the last piece is given out, if
    what was read from the beginning is not what `sha256` says. If not `checked`, `sha256` is of something else.
    """

    path: Path
    length: int
    md5: bytes
    sha256: bytes
    start: int = 0
    checked: bool = True

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        left = self.length - offset
        digest = self.sha256 if self.checked and not offset else None
        with _Reading(self.path, self.start + offset, left, digest) as reading:
            chunk = await reading.next()
            while left:
                left -= len(chunk)
                yield chunk
                if left:
                    chunk = await reading.next()

    async def verify(self) -> None:
        """Return if the whole file, read once more, is what its digest says; raises FileDamaged, OSError."""
        async for _ in self.chunks():
            pass

    async def part(self, offset: int, length: int) -> Body:
        """Return a section, after reading it once for its digests."""
        start = self.start + offset
        md5, sha256 = await asyncio.to_thread(_digests, self.path, start, length)
        return FileBody(self.path, length, md5, sha256, start)


class _Reading:
    """A section of a file that is read piece by piece, and must have that digest if there is one; opened by the first piece."""

    def __init__(self, path: Path, start: int, length: int, digest: bytes | None = None) -> None:
        self._path = path
        self._start = start
        self._left = length
        self._digest = digest
        self._sha256 = hashlib.sha256()
        self._file: io.FileIO | None = None

    def __enter__(self) -> "_Reading":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    async def next(self) -> bytes:
        """Return what `read` does, from a thread; cancelled, it waits for that, or the file would be left open."""
        return await to_its_end(asyncio.to_thread(self.read))

    def read(self) -> bytes:
        """Return the next piece, empty after the last one; raises FileDamaged, OSError."""
        if self._file is None:
            self._file = io.FileIO(self._path)
            self._file.seek(self._start)
        chunk = self._file.read(min(self._left, CHUNK_BYTES))
        self._left -= len(chunk)
        if self._left and not chunk:
            raise FileDamaged("The file became shorter on this service's disk.")
        if self._digest is not None:
            self._sha256.update(chunk)
            if not self._left and self._sha256.digest() != self._digest:
                raise FileDamaged("The file was damaged on this service's disk: it is not what was taken in.")
        return chunk


def _digests(path: Path, start: int, length: int) -> tuple[bytes, bytes]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with _Reading(path, start, length) as reading:
        while chunk := reading.read():
            md5.update(chunk)
            sha256.update(chunk)
    return md5.digest(), sha256.digest()
