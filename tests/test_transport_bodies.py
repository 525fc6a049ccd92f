"""Bodies on their way: progress and the lack of it, answers that come early, and bodies that can't be read."""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from consignee.body import CHUNK_BYTES, Body, BytesBody, FileBody
from consignee.errors import EndpointUnreachable, FileDamaged, ProviderFailure, TimedOut
from consignee.outlets import open_outlets
from consignee.providers import s3
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Answer, Transport
from fakes import hostile
from fakes.scripted import Answer as Sent
from fakes.scripted import Server, listening, read_head, scripted
from providers.opening import loopback

MEBIBYTE = 1024 * 1024
# More than the buffers of both ends of a connection hold.
LARGE = BytesBody(bytes(32 * MEBIBYTE))


@asynccontextmanager
async def transport(idle: float) -> AsyncIterator[Transport]:
    """Yield a transport that waits so long for progress."""
    async with open_outlets(loopback()) as outlets:
        sender = outlets.transport(s3.PROVIDER)
        sender._idle = idle
        yield sender


def body_of(path: Path, content: bytes) -> FileBody:
    """Return the body of a new file."""
    path.write_bytes(content)
    return FileBody(path, len(content), hashlib.md5(content).digest(), hashlib.sha256(content).digest())


async def send(sender: Transport, server: Server, body: Body | None = None) -> Answer:
    """Send a body there."""
    return await sender.send("PUT", server.url, headers={}, body=body)


async def test_the_length_of_a_body_is_always_told(tmp_path: Path) -> None:
    """A storage takes no chunked request. A length in the headers stays as it is."""
    async with hostile.accepting() as server, transport(5) as sender:
        for length in (0, 7, CHUNK_BYTES + 1):
            await send(sender, server, body_of(tmp_path / "file", os.urandom(length)))
            await send(sender, server, BytesBody(os.urandom(length)))
        await sender.send("PUT", server.url, headers={"content-length": "7"}, body=BytesBody(b"content"))
        await send(sender, server)
    lengths = [request.headers.get("content-length") for request in server.requests]
    assert lengths == ["0", "0", "7", "7", str(CHUNK_BYTES + 1), str(CHUNK_BYTES + 1), "7", "0"]
    assert not any("transfer-encoding" in request.headers for request in server.requests)


@pytest.mark.parametrize("body", [LARGE, BytesBody(b"small"), None], ids=["large", "small", "none"])
async def test_a_server_that_neither_reads_nor_answers_has_its_time(body: Body | None) -> None:
    async with hostile.hanging() as server, transport(0.3) as sender:
        with pytest.raises(TimedOut):
            await send(sender, server, body)


async def test_a_server_that_reads_all_and_never_answers_has_its_time() -> None:
    read = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        assert head is not None
        await reader.readexactly(int(head.headers["content-length"]))
        read.set()
        await asyncio.Event().wait()

    async with listening(handle) as server, transport(3) as sender:
        with pytest.raises(TimedOut):
            await send(sender, server, LARGE)
    assert read.is_set()


async def test_an_answer_that_drips_has_its_time() -> None:
    async with hostile.dripping(interval=0.05) as server, transport(0.5) as sender:
        with pytest.raises(TimedOut):
            await send(sender, server, BytesBody(b"content"))


@pytest.mark.parametrize("in_memory", [True, False])
async def test_a_slow_but_steady_upload_may_take_longer(tmp_path: Path, in_memory: bool) -> None:
    """Longer than what may pass without progress, that is."""
    idle = 3.0
    content = os.urandom(32 * MEBIBYTE)
    arrived = hashlib.sha256()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = await read_head(reader)
        assert head is not None
        for _ in range(int(head.headers["content-length"]) // MEBIBYTE):
            arrived.update(await reader.readexactly(MEBIBYTE))
            await asyncio.sleep(0.1)
        writer.write(Sent(200, {"ETag": '"x"'}).encode())
        await writer.drain()

    body = BytesBody(content) if in_memory else body_of(tmp_path / "file", content)
    loop = asyncio.get_running_loop()
    async with listening(handle) as server, transport(idle) as sender:
        begun = loop.time()
        answer = await send(sender, server, body)
        assert loop.time() - begun > idle
    assert (answer.status, arrived.digest()) == (200, body.sha256)


def early(end: Callable[[asyncio.StreamReader], AsyncIterator[None]]) -> hostile.Servers:
    """A server that refuses when it has read the head, and then does so with the rest."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(Sent(403, {"Connection": "close"}, b"<Code>AccessDenied</Code>").encode())
        await writer.drain()
        async for _ in end(reader):
            pass

    return listening(handle)


async def never_reading(_: asyncio.StreamReader) -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


async def reading_on(reader: asyncio.StreamReader) -> AsyncIterator[None]:
    while await reader.read(65536):
        yield


@pytest.mark.parametrize("end", [never_reading, reading_on])
async def test_an_answer_that_comes_before_the_body_was_sent_counts(
    tmp_path: Path, end: Callable[[asyncio.StreamReader], AsyncIterator[None]]
) -> None:
    """And nothing of the body stays behind: no task, no socket, no open file."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    body = body_of(tmp_path / "file", bytes(32 * MEBIBYTE))
    async with early(end) as server, transport(10) as sender:
        answer = await send(sender, server, body)
        assert (answer.status, answer.body) == (403, b"<Code>AccessDenied</Code>")
        assert not [fd for fd in Path("/dev/fd").iterdir() if fd.resolve() == body.path]
    await assert_nothing_stays(tasks, sockets)


async def test_the_answer_of_a_server_that_closes_before_the_body_was_sent_is_found() -> None:
    """Where the system has not thrown it away with the connection, which it may."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(Sent(403, {"Connection": "close"}).encode())

    answered = 0
    async with listening(handle) as server, transport(10) as sender:
        for _ in range(10):
            with suppress(EndpointUnreachable):
                answered += (await send(sender, server, LARGE)).status == 403
    assert answered > 0


class ShorterBody(Body):
    """A body that ends with an error, after some of it."""

    def __init__(self, error: Exception) -> None:
        self.length, self.md5, self.sha256 = 1000, b"", b""
        self._error = error

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        yield b"some"
        raise self._error

    async def part(self, offset: int, length: int) -> Body:
        return self


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("the file is shorter than it was"), FileNotFoundError(2, "No such file"), OSError(5, "EIO")),
        *(TimeoutError("of the disk"), RuntimeError("a bug")),
    ],
)
async def test_what_reading_the_body_raises_is_not_the_storages_fault(error: Exception) -> None:
    async with hostile.accepting() as server, transport(10) as sender:
        with pytest.raises(type(error)) as raised:
            await send(sender, server, ShorterBody(error))
    assert raised.value is error
    assert not isinstance(raised.value, ProviderFailure)


async def test_a_file_that_is_gone_or_shorter_is_told_as_such(tmp_path: Path) -> None:
    async with hostile.accepting() as server, transport(10) as sender:
        body = body_of(tmp_path / "file", bytes(MEBIBYTE))
        os.truncate(body.path, CHUNK_BYTES)
        with pytest.raises(FileDamaged, match="shorter"):
            await send(sender, server, body)
        body.path.unlink()
        with pytest.raises(FileNotFoundError):
            await send(sender, server, body)
        assert (await send(sender, server, BytesBody(b"content"))).status == 200
    assert [request.body for request in server.requests] == [b"content"]


async def test_a_cancelled_upload_closes_its_file(tmp_path: Path) -> None:
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    body = body_of(tmp_path / "file", bytes(32 * MEBIBYTE))
    async with hostile.hanging() as server, transport(10) as sender:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await send(sender, server, body)
        async with asyncio.timeout(20):
            while [fd for fd in Path("/dev/fd").iterdir() if fd.resolve() == body.path]:
                await asyncio.sleep(0.01)  # a thread may just be opening it
    await assert_nothing_stays(tasks, sockets)


async def test_what_failed_does_not_quote_the_address() -> None:
    """It may be one that lets whoever knows it write."""
    async with hostile.closing(after="accept") as server, transport(10) as sender:
        for body in (None, LARGE):
            with pytest.raises(ProviderFailure) as failed:
                await sender.send("PUT", f"{server.url}/?upload_id=hunter2", headers={}, body=body)
            assert failed.value.__cause__ is None and failed.value.__suppress_context__
            assert "hunter2" not in f"{failed.value!r} {failed.value.hint}"


async def test_what_is_kept_for_a_service_is_made_once_for_each() -> None:
    """Also by transports of other destinations, but not by another service."""
    async with open_outlets(loopback()) as first, open_outlets(loopback()) as second:
        kept: list[list[int]] = [outlets.transport(s3.PROVIDER).lasting(list) for outlets in (first, first, second)]
    assert kept[0] is kept[1]
    assert kept[0] is not kept[2]


async def test_the_answer_to_a_large_body_is_read_and_its_connection_used_again() -> None:
    async with scripted(lambda _: Sent(200)) as server, transport(10) as sender:
        for _ in range(3):
            assert (await send(sender, server, BytesBody(bytes(3 * CHUNK_BYTES)))).status == 200
    assert server.connections == 1
