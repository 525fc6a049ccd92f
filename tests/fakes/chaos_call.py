"""One request to the S3 server of the chaos tests: its head, and its body as it streams in."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fakes.chaos_answers import Refusal
from fakes.chaos_signature import UNSIGNED
from fakes.scripted import Request

CHUNK_BYTES = 1024 * 1024
_WORTH_A_THREAD = 32 * 1024


@dataclass(frozen=True)
class Digests:
    """What was received: the digests in hexadecimal digits, and the length in bytes."""

    md5: str
    sha256: str
    length: int


class _Sink:
    """Hashes what it takes, and writes it to a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._length = 0
        self._file = path.open("wb", buffering=0) if path else None

    def take(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        self._sha256.update(chunk)
        self._length += len(chunk)
        if self._file:
            self._file.write(chunk)

    def close(self) -> Digests:
        if self._file:
            self._file.close()
        return Digests(self._md5.hexdigest(), self._sha256.hexdigest(), self._length)


class Call:
    """A request in path style, whose body is read once, by whoever needs it."""

    def __init__(self, head: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self._reader = reader
        self._writer = writer
        path, _, query = head.path.partition("?")
        self.bucket, _, self.key = unquote(path[1:]).partition("/")
        pairs = (part.partition("=") for part in query.split("&") if part)
        self.query = {unquote(name): unquote(value) for name, _, value in pairs}
        self.length = int(head.headers.get("content-length", "0"))
        self._left = self.length

    @property
    def name(self) -> str:
        """The object, `bucket/key`."""
        return f"{self.bucket}/{self.key}"

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what has not been read yet of the body; raises IncompleteReadError if the client goes away."""
        if self._left and self.head.headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self._left:
            if not (chunk := await self._reader.read(min(self._left, CHUNK_BYTES))):
                raise asyncio.IncompleteReadError(b"", self._left)
            self._left -= len(chunk)
            yield chunk

    async def drain(self) -> None:
        """Read and forget the rest of the body, so that the client hears the answer."""
        async for _ in self.chunks():
            pass

    async def read(self, most: int, payload: str) -> bytes:
        """Return a body of at most so many bytes, as it was signed; raises Refusal."""
        if self.length > most:
            raise Refusal(400, "MaxMessageLengthExceeded", "Your request was too big.")
        body = b"".join([chunk async for chunk in self.chunks()])
        if payload not in (UNSIGNED, hashlib.sha256(body).hexdigest()):
            raise _another_payload()
        return body

    async def receive(self, payload: str, into: Path | None = None) -> Digests:
        """Return the digests of the body; raises Refusal if it is not the one that was promised. A file of it is removed then."""
        try:
            digests = await self._received(into)
            self._compare(digests, payload)
        except BaseException:
            if into:
                into.unlink(missing_ok=True)  # also when the upload was aborted meanwhile, and its directory removed
            raise
        return digests

    async def _received(self, into: Path | None) -> Digests:
        sink = _Sink(into)
        try:
            async for chunk in self.chunks():
                if len(chunk) > _WORTH_A_THREAD:
                    await asyncio.to_thread(sink.take, chunk)
                else:
                    sink.take(chunk)
        finally:
            digests = sink.close()
        return digests

    def _compare(self, digests: Digests, payload: str) -> None:
        if payload not in (UNSIGNED, digests.sha256):
            raise _another_payload()
        promised = self.head.headers.get("content-md5")
        if promised is not None and promised != base64.b64encode(bytes.fromhex(digests.md5)).decode():
            raise Refusal(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")

    async def stall(self, seconds: float) -> None:
        """Say nothing for so long, or until the client goes away; reads what it sends meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._reader.read(CHUNK_BYTES):
                    pass


def _another_payload() -> Refusal:
    return Refusal(
        400, "XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 does not match what was computed."
    )
