"""What is uploaded: content of a known length that can be read again, from any offset, so that a retry can sign afresh."""

import abc
import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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

    Reading raises OSError, or ValueError if the file is shorter than it was.
    """

    path: Path
    length: int
    md5: bytes
    sha256: bytes
    start: int = 0

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        left = self.length - offset
        file, chunk = await asyncio.to_thread(self._begun, offset, left)
        try:
            while left:
                if not chunk:
                    raise ValueError("the file is shorter than it was")
                left -= len(chunk)
                yield chunk
                if left:
                    chunk = await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))
        finally:
            file.close()

    def _begun(self, offset: int, most: int) -> tuple[io.FileIO, bytes]:
        """The open file and its first piece, in one visit to a thread: most files are no longer."""
        file = io.FileIO(self.path)
        try:
            file.seek(self.start + offset)
            return file, file.read(min(most, CHUNK_BYTES))
        except BaseException:
            file.close()
            raise

    async def part(self, offset: int, length: int) -> Body:
        """Return a section, after reading it once for its digests."""
        start = self.start + offset
        md5, sha256 = await asyncio.to_thread(_digests, self.path, start, length)
        return FileBody(self.path, length, md5, sha256, start)


def _digests(path: Path, start: int, length: int) -> tuple[bytes, bytes]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while length:
            chunk = file.read(min(length, CHUNK_BYTES))
            if not chunk:
                raise ValueError("the file is shorter than it was")
            length -= len(chunk)
            md5.update(chunk)
            sha256.update(chunk)
    return md5.digest(), sha256.digest()
