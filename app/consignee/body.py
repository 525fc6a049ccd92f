"""What is uploaded: content of a known length that can be read again, from any offset, so that a retry can sign afresh."""

import abc
import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from consignee.carriage import Blocks
from consignee.digests import Checksum, Digests, Sections
from consignee.ending import in_thread
from consignee.errors import FileDamaged

CHUNK_BYTES: Final = 256 * 1024
"""How much of a file is in memory at once, and of what is in memory is sent at once."""
BLOCK_BYTES: Final = 64 * 1024
"""The same where a thread reads and sends: it waits for nobody between two pieces, and small ones stay in the core's cache."""


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

    async def is_sectioned(self, size: int) -> bool:
        """Return whether the digests of its parts of that size are those that it had when it was taken in."""
        return False

    def payload(self) -> bytes | AsyncIterator[bytes]:
        """Return the whole content in the form that costs least to send."""
        return self.chunks()

    def blocks(self) -> Blocks | None:
        """Return the whole content for a thread that sends it, or None if only a loop can read it; raises as `chunks` does."""
        return None


class BytesBody(Body):
    """A small body that is in memory already."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)
        self.md5 = hashlib.md5(data, usedforsecurity=False).digest()

    @cached_property
    def sha256(self) -> bytes:  # type: ignore[override]
        """The digest, which only S3 over http asks for."""
        return hashlib.sha256(self._data).digest()

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

    def blocks(self) -> Blocks:
        """Return the content in pieces."""
        whole = memoryview(self._data)
        return (whole[start : start + BLOCK_BYTES] for start in range(0, self.length, BLOCK_BYTES))


class KeptBody(Body):
    """A file of a result set, where those are kept."""

    @abc.abstractmethod
    def section(self, start: int, length: int) -> Body:
        """Return that section, to be read and not to be sent: its digests are the whole file's, and are not looked at."""


@dataclass(frozen=True)
class FileBody(KeptBody):
    """A file on disk, or the section of it that begins at `start`; never whole in memory.

    Reading raises OSError, or FileDamaged: if the file is shorter than it was, and, before the last piece is given out, if
    what was read from the beginning is not what `sha256` says, or the `checksum`, where there is one. If not `checked`,
    `sha256` is of something else.
    """

    path: Path
    length: int
    md5: bytes
    sha256: bytes
    start: int = 0
    checked: bool = True
    checksum: bytes | None = None

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        left = self.length - offset
        with _Reading(self.path, self.start + offset, left, None if offset else self._proof()) as reading:
            chunk = await reading.next()
            while left:
                left -= len(chunk)
                yield chunk
                if left:
                    chunk = await reading.next()

    def blocks(self) -> Blocks:
        """Return the content in pieces, all of them in the same memory."""
        buffer = memoryview(bytearray(BLOCK_BYTES))
        with _Reading(self.path, self.start, self.length, self._proof()) as reading:
            while size := reading.read_into(buffer):
                yield buffer[:size]

    async def verify(self) -> None:
        """Return if the whole file, read once more, is what its digest says; raises FileDamaged, OSError."""
        async for _ in self.chunks():
            pass

    async def is_sectioned(self, size: int) -> bool:
        """Return whether they are kept beside the file."""
        sections = await asyncio.to_thread(lambda: self._sections)
        return sections is not None and sections.size == size

    def section(self, start: int, length: int) -> Body:
        """Return that section, to be read."""
        return replace(self, start=self.start + start, length=length, checked=False, checksum=None)

    async def part(self, offset: int, length: int) -> Body:
        """Return a section, after reading it once for its digests if they are not kept beside the file; raises OSError."""
        return await asyncio.to_thread(self._part, offset, length)

    def _part(self, offset: int, length: int) -> "FileBody":
        start = self.start + offset
        if self._sections is not None and (known := self._sections.known(offset, length)):
            return FileBody(self.path, length, known.md5, known.sha256, start, checksum=known.checksum)
        made, buffer = Digests(), memoryview(bytearray(CHUNK_BYTES))
        with _Reading(self.path, start, length) as reading:
            while size := reading.read_into(buffer):
                made.update(buffer[:size])
        return FileBody(self.path, length, made.md5.digest(), made.sha256.digest(), start)

    def _proof(self) -> "_Proof | None":
        if self.checksum is not None:
            return _Proof(Checksum(), self.checksum)
        return _Proof(hashlib.sha256(), self.sha256) if self.checked else None

    @cached_property
    def _sections(self) -> Sections | None:
        return None if self.start else Sections.read(self.path, self.length, self.sha256)


class _Sum(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


@dataclass(frozen=True)
class _Proof:
    """What is summed up while it is read, and what the sum must be at the end."""

    sum: _Sum
    wanted: bytes


class _Reading:
    """A section of a file that is read piece by piece, and must stand the proof if there is one; opened by the first piece."""

    def __init__(self, path: Path, start: int, length: int, proof: _Proof | None = None) -> None:
        self._path = path
        self._start = start
        self._left = length
        self._proof = proof
        self._file: io.FileIO | None = None

    def __enter__(self) -> "_Reading":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    async def next(self) -> bytes:
        """Return what `read` does, from a thread; cancelled, it waits for that, or the file would be left open."""
        return await in_thread(self.read)

    def read(self) -> bytes:
        """Return the next piece, empty after the last one; raises FileDamaged, OSError."""
        chunk = self._opened().read(min(self._left, CHUNK_BYTES))
        self._check(chunk)
        return chunk

    def read_into(self, buffer: memoryview) -> int:
        """Return how many bytes of the buffer are the next piece, 0 after the last one; raises FileDamaged, OSError."""
        size = self._opened().readinto(buffer[: self._left]) or 0
        self._check(buffer[:size])
        return size

    def _opened(self) -> io.FileIO:
        if self._file is None:
            self._file = io.FileIO(self._path)
            self._file.seek(self._start)
        return self._file

    def _check(self, chunk: bytes | memoryview) -> None:
        self._left -= len(chunk)
        if self._left and not chunk:
            raise FileDamaged("The file became shorter on this service's disk.")
        if self._proof is not None:
            self._proof.sum.update(chunk)
            if not self._left:
                proof, self._proof = self._proof, None
                if proof.sum.digest() != proof.wanted:
                    raise FileDamaged("The file was damaged on this service's disk: it is not what was taken in.")
