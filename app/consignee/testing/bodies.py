"""Bodies that show how a bucket reads them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from consignee.body import Body


class StreamedBody(Body):
    """A body that is never in memory as a whole; remembers from where it was read."""

    def __init__(self, *parts: bytes) -> None:
        whole = b"".join(parts)
        self._parts = parts
        self.length = len(whole)
        self.md5 = hashlib.md5(whole).digest()
        self.sha256 = hashlib.sha256(whole).digest()
        self.offsets: list[int] = []

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        self.offsets.append(offset)
        for part in self._parts:
            yield part[offset:]
            offset = max(0, offset - len(part))

    async def part(self, offset: int, length: int) -> Body:
        return StreamedBody(b"".join(self._parts)[offset : offset + length])


class StalledBody(Body):
    """A body that stops after its first bytes; `begun` is set when they were asked for."""

    length = 1000
    md5 = bytes(16)
    sha256 = bytes(32)

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        self.begun.set()
        yield b"x" * 10
        await asyncio.Event().wait()

    async def part(self, offset: int, length: int) -> Body:
        return self
