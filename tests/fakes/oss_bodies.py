"""How the fake OSS reads what is sent to it: in pieces, so that a body of any size needs little memory if it isn't kept."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from oss2.utils import Crc64

from fakes.scripted import Answer, Request, read_head

PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Content:
    """What a body was. Without `data` only its length and its MD5 are known, and no CRC-64."""

    length: int
    md5: bytes
    data: bytes | None = None

    @property
    def etag(self) -> str:
        """The ETag of what came with one request."""
        return f'"{self.md5.hex().upper()}"'

    @property
    def crc(self) -> int | None:
        """The CRC-64 as OSS has it."""
        return None if self.data is None else crc64(self.data)


def crc64(data: bytes) -> int:
    """Return the CRC-64 by the library that the vendor's SDK uses."""
    checksum = Crc64()
    checksum.update(data)
    return int(checksum.crc)


Respond = Callable[[Request, Content], Answer]


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond, keeps: Callable[[Request], bool]
) -> None:
    """Answer the requests of a connection; the bodies of those that `keeps` says are kept."""
    while head := await read_head(reader):
        if head.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = await _content(_pieces(reader, head), keep=keeps(head))
        answer = respond(replace(head, body=content.data or b""), content)
        if not await _answered(answer, writer):
            return


async def _answered(answer: Answer, writer: asyncio.StreamWriter) -> bool:
    """Send the answer; return whether the connection goes on."""
    if answer.raw is None:
        writer.write(answer.encode())
        await writer.drain()
        return True
    async with aclosing(answer.raw):
        async for piece in answer.raw:
            writer.write(piece)
            await writer.drain()
    return False


async def _content(pieces: AsyncIterator[bytes], *, keep: bool) -> Content:
    md5, length, kept = hashlib.md5(), 0, bytearray()
    async for piece in pieces:
        md5.update(piece)
        length += len(piece)
        if keep:
            kept += piece
    return Content(length, md5.digest(), bytes(kept) if keep else None)


async def _pieces(reader: asyncio.StreamReader, head: Request) -> AsyncIterator[bytes]:
    if head.headers.get("transfer-encoding", "").lower() != "chunked":
        async for piece in _exactly(reader, int(head.headers.get("content-length", "0"))):
            yield piece
        return
    while size := int((await reader.readline()).split(b";")[0], 16):
        async for piece in _exactly(reader, size):
            yield piece
        await reader.readline()
    await reader.readline()


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        piece = await reader.read(min(length, PIECE_BYTES))
        if not piece:
            raise asyncio.IncompleteReadError(b"", length)
        length -= len(piece)
        yield piece
