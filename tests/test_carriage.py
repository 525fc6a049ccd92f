"""Bodies that a thread sends on a connection of the loop's: whole, and with everything else as if the loop had sent them."""

import asyncio
import errno
import gc
import hashlib
import os
import shutil
import socket
import ssl
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from consignee import carriage, egress
from consignee.body import CHUNK_BYTES, BytesBody, FileBody
from consignee.carriage import Blocks, Carriage
from consignee.delivery.tracking import WatchedBody
from consignee.errors import EndpointUnreachable, FileDamaged, TimedOut
from consignee.outlets import open_outlets
from consignee.passage import _held
from consignee.providers import s3
from consignee.receiving import CappedConnector
from consignee.testing.remnants import assert_nothing_stays, open_sockets
from consignee.transport import Transport
from fakes.certificates import Authority
from fakes.scripted import Answer, Request, Server, listening, read_head, scripted
from providers.opening import loopback

MEBIBYTE = 1024 * 1024
CONTENT = os.urandom(5 * MEBIBYTE + 77)
# More than the buffers of both ends of a connection hold.
LARGE = bytes(32 * MEBIBYTE)
OPENSSL = shutil.which("openssl")
REFUSAL = Answer(403, {"Connection": "close"}, b"<Code>AccessDenied</Code>").encode()


class Threaded(BytesBody):
    """Remembers the threads that read it."""

    def __init__(self, data: bytes = CONTENT) -> None:
        super().__init__(data)
        self.threads: list[str] = []

    def blocks(self) -> Blocks:
        for block in super().blocks():
            self.threads.append(threading.current_thread().name)
            yield block


@asynccontextmanager
async def sending(ca: Authority, *, idle: float = 30.0) -> AsyncIterator[Transport]:
    """Yield a transport; when it is left, nothing of what it did has stayed."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    async with open_outlets(loopback(ca=ca.pem)) as outlets:
        sender = outlets.transport(s3.PROVIDER)
        sender._idle = idle
        yield sender
    await assert_nothing_stays(tasks, sockets)
    assert carriage._under_way == set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "carriage"]:
        thread.join(5)  # it has said that it ends, and does
        assert not thread.is_alive()


def kept(request: Request) -> Answer:
    """Answer with the digest of what came."""
    return Answer(200, {"ETag": hashlib.sha256(request.body).hexdigest()})


async def never_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a connection, and no more."""
    await asyncio.Event().wait()


@pytest.fixture(params=[False, True], ids=["http", "https"])
def tls(request: pytest.FixtureRequest, ca: Authority) -> ssl.SSLContext | None:
    """What a server speaks."""
    return ca.server_context() if request.param else None


async def put(sender: Transport, server: Server, body: BytesBody | FileBody | WatchedBody) -> str:
    """Return the digest of what arrived."""
    answer = await sender.send("PUT", server.url, headers={}, body=body)
    assert answer.status == 200
    return answer.headers["ETag"]


async def test_a_thread_sends_what_is_large(ca: Authority, tls: ssl.SSLContext | None) -> None:
    """Again and again on one connection, with what is small in between."""
    body, small = Threaded(), Threaded(CONTENT[:CHUNK_BYTES])
    async with sending(ca) as sender, scripted(kept, tls=tls) as server:
        for _ in range(3):
            assert await put(sender, server, body) == body.sha256.hex()
            assert await put(sender, server, small) == small.sha256.hex()
        assert server.connections == 1
    assert set(body.threads) == {"carriage"}
    assert small.threads == []


async def test_many_are_sent_at_once(
    ca: Authority, tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that get no thread any more by the loop."""
    monkeypatch.setattr(carriage, "MOST", 3)
    bodies = [Threaded(CONTENT[number:]) for number in range(8)]
    async with sending(ca) as sender, scripted(kept, tls=tls) as server, asyncio.TaskGroup() as group:
        puts = [group.create_task(put(sender, server, body)) for body in bodies]
    assert [done.result() for done in puts] == [body.sha256.hex() for body in bodies]
    assert any(body.threads for body in bodies)
    assert not all(body.threads for body in bodies)


async def test_a_connection_whose_tls_can_not_be_shared_is_the_loops(
    ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "_tls_context", lambda _: ca.client_context())
    body = Threaded()
    async with sending(ca) as sender, scripted(kept, tls=ca.server_context()) as server:
        assert await put(sender, server, body) == body.sha256.hex()
    assert body.threads == []


async def test_where_no_thread_can_be_had_the_loop_sends(
    ca: Authority, tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    body = Threaded()
    async with sending(ca) as sender, scripted(kept, tls=tls) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert await put(sender, server, body) == body.sha256.hex()
    assert body.threads == []


async def test_where_no_descriptor_can_be_had_the_loop_sends(
    ca: Authority, tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    body = Threaded()
    async with sending(ca) as sender, scripted(kept, tls=tls) as server:
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", refuse)
            assert await put(sender, server, body) == body.sha256.hex()
    assert body.threads == []


async def test_a_connection_that_still_sends_what_was_before_is_the_loops(
    ca: Authority, tls: ssl.SSLContext | None
) -> None:
    """It was answered early; a thread's would come before the rest of that, which waits for the system to take it."""
    answered, arrived = asyncio.Event(), list[str]()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            if answered.is_set():
                arrived.append(hashlib.sha256(await reader.readexactly(len(CONTENT))).hexdigest())
            writer.write(Answer().encode())
            if not answered.is_set():
                await answered.wait()
                await reader.readexactly(int(head.headers["content-length"]))

    body = Threaded()
    async with sending(ca) as sender, listening(converse, tls=tls) as server:
        narrow(sender, server)
        await sender.send("PUT", server.url, headers={}, body=BytesBody(CONTENT[:110_000]))
        asyncio.get_running_loop().call_later(0.1, answered.set)
        await sender.send("PUT", server.url, headers={}, body=body)
        assert server.connections == 1
    assert arrived == [body.sha256.hex()]
    assert body.threads == []


def narrow(sender: Transport, server: Server) -> None:
    """Give both ends small buffers."""
    assert server.listener is not None
    server.listener.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connector = sender._session.connector
    assert isinstance(connector, CappedConnector)
    create = connector._socket_factory
    assert create is not None

    def narrowed(address: aiohttp.AddrInfoType) -> socket.socket:
        made = create(address)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        return made

    connector._socket_factory = narrowed


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_is_closed_leaves_no_thread(ca: Authority) -> None:
    """Though it was asked to read, and never came to do so."""
    asking = threading.Event()

    class Asking(Carriage):
        def _let_read(self) -> None:
            asking.set()
            super()._let_read()

    def endless() -> Blocks:
        while True:
            yield memoryview(CONTENT)[:MEBIBYTE]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(MEBIBYTE)
        writer.write(REFUSAL)

    async def send() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=ca.server_context())
        context = egress._tls_context(str(ca.pem))
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=context)
        assert await Asking.begin(cast(asyncio.Transport, writer.transport), endless()) is not None
        while not asking.is_set():
            await asyncio.sleep(0)
            asking.wait(0.2)  # so that it asks just before the last turn

    loop = asyncio.new_event_loop()
    loop.run_until_complete(send())
    loop.close()
    for thread in [thread for thread in threading.enumerate() if thread.name == "carriage"]:
        thread.join(5)
        assert not thread.is_alive()
    carriage._under_way.clear()
    gc.collect()


async def test_what_can_not_be_sent_does_not_pass_for_sent(ca: Authority, tls: ssl.SSLContext | None) -> None:
    class Odd(BytesBody):
        def blocks(self) -> Blocks:
            yield memoryview(CONTENT[:CHUNK_BYTES])
            yield "text"  # type: ignore[misc]

    async with sending(ca, idle=5.0) as sender, scripted(kept, tls=tls) as server:
        with pytest.raises(TypeError):
            await sender.send("PUT", server.url, headers={}, body=Odd(CONTENT))


async def test_pieces_that_can_not_be_closed_hold_nobody_up(ca: Authority, tls: ssl.SSLContext | None) -> None:
    class Stuck(BytesBody):
        def blocks(self) -> Blocks:
            try:
                yield from super().blocks()
            finally:
                raise OSError("the disk failed")

    async with sending(ca, idle=0.5) as sender, listening(never_reading, tls=tls) as server:
        with pytest.raises(TimedOut):
            await sender.send("PUT", server.url, headers={}, body=Stuck(LARGE))


@pytest.mark.parametrize("reads_on", [True, False])
async def test_an_answer_that_comes_early_counts(ca: Authority, tls: ssl.SSLContext | None, *, reads_on: bool) -> None:
    """Though the thread may be unable to send any more, and have what would tell it so encrypted."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(REFUSAL)
        await writer.drain()
        while not reads_on or await reader.read(65536):
            await asyncio.sleep(0 if reads_on else 3600)

    async with sending(ca) as sender, listening(refuse, tls=tls) as server:
        answer = await sender.send("PUT", server.url, headers={}, body=BytesBody(LARGE))
        assert (answer.status, answer.body) == (403, b"<Code>AccessDenied</Code>")


async def test_a_server_that_does_not_read_has_its_time(ca: Authority, tls: ssl.SSLContext | None) -> None:
    async with sending(ca, idle=0.5) as sender, listening(never_reading, tls=tls) as server:
        with pytest.raises(TimedOut):
            await sender.send("PUT", server.url, headers={}, body=BytesBody(LARGE))


async def test_a_connection_that_breaks_is_told_as_such(ca: Authority, tls: ssl.SSLContext | None) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(MEBIBYTE)
        writer.transport.abort()

    async with sending(ca) as sender, listening(hang_up, tls=tls) as server:
        with pytest.raises(EndpointUnreachable, match="broke"):
            await sender.send("PUT", server.url, headers={}, body=BytesBody(LARGE))


async def test_a_connection_that_was_closed_holds_nothing(ca: Authority, tls: ssl.SSLContext | None) -> None:
    """Whoever looks at it at the next moment is told so: it can't be asked any more."""
    async with scripted(kept, tls=tls) as server:
        trusted = ca.client_context() if tls else None
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusted)
        for _ in range(2):
            writer.transport.abort()
            writer.transport.close()
            assert _held(cast(asyncio.Transport, writer.transport)) == 0


async def test_what_the_system_holds_of_an_earlier_body_costs_no_time(
    ca: Authority, tls: ssl.SSLContext | None
) -> None:
    """Answered early, it is not read yet; the next one is not late for it."""
    early = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            await asyncio.sleep(0.3)  # until the system has taken it
            writer.write(Answer().encode())
            await early.wait()
            await reader.readexactly(int(head.headers["content-length"]))

    async with sending(ca, idle=2.0) as sender, listening(converse, tls=tls) as server:
        await sender.send("PUT", server.url, headers={}, body=BytesBody(CONTENT[:700_000]))
        asyncio.get_running_loop().call_later(0.5, early.set)
        await sender.send("PUT", server.url, headers={}, body=BytesBody(CONTENT[: CHUNK_BYTES + 1]))
        assert server.connections == 1


@pytest.mark.skipif(OPENSSL is None, reason="needs openssl, for no server of Python's can ask for other keys")
async def test_who_asks_for_other_keys_gets_the_rest(ca: Authority) -> None:
    """Again and again while it is sent."""
    assert OPENSSL is not None
    arrived = 0
    chain = ["-cert", str(ca.cert), "-cert_chain", str(ca.cert), "-key", str(ca.key)]
    server = await asyncio.create_subprocess_exec(
        OPENSSL,
        "s_server",
        "-accept",
        "127.0.0.1:0",
        *chain,
        "-tls1_3",
        "-crlf",
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    assert server.stdin is not None and server.stdout is not None
    port = (await server.stdout.readuntil(b"ACCEPT 127.0.0.1:") and await server.stdout.readline()).decode().strip()

    async def converse(to: asyncio.StreamWriter, of: asyncio.StreamReader) -> None:
        nonlocal arrived
        while arrived < len(LARGE):
            arrived += (await of.read(MEBIBYTE)).count(0)
            if 0 < arrived < len(LARGE) / 2:
                to.write(b"K\n")
        to.write(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n")

    try:
        async with sending(ca) as sender, asyncio.TaskGroup() as group:
            conversing = group.create_task(converse(server.stdin, server.stdout))
            body = Threaded(LARGE)
            answer = await sender.send("PUT", f"https://127.0.0.1:{port}", headers={}, body=body)
            await conversing
        assert (answer.status, arrived) == (200, len(LARGE))
        assert set(body.threads) == {"carriage"}
    finally:
        server.kill()
        await server.communicate()


async def test_who_is_cancelled_waits_for_the_thread(ca: Authority, tls: ssl.SSLContext | None) -> None:
    """However often."""
    async with sending(ca) as sender, listening(never_reading, tls=tls) as server:
        body = Threaded(LARGE)
        putting = asyncio.create_task(sender.send("PUT", server.url, headers={}, body=body))
        async with asyncio.timeout(20):
            while not body.threads:
                await asyncio.sleep(0.01)
        while not putting.done():
            putting.cancel()
            await asyncio.sleep(0)
        assert putting.cancelled()


async def test_a_file_that_was_damaged_is_not_sent_to_its_end(
    ca: Authority, tls: ssl.SSLContext | None, tmp_path: Path
) -> None:
    """And the next body has a connection of its own."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    damaged = FileBody(path, len(CONTENT), hashlib.md5(CONTENT).digest(), hashlib.sha256(CONTENT).digest())
    async with sending(ca) as sender, scripted(kept, tls=tls) as server:
        with pytest.raises(FileDamaged):
            await put(sender, server, damaged)
        assert await put(sender, server, Threaded()) == hashlib.sha256(CONTENT).hexdigest()
        assert server.connections == 2
        assert [len(request.body) for request in server.requests] == [len(CONTENT)]


async def test_what_a_thread_sends_is_told_to_who_watches(ca: Authority, tls: ssl.SSLContext | None) -> None:
    """On the loop's own thread; what went out in vain is taken back."""
    told: list[tuple[int, bool]] = []
    loops = threading.current_thread()

    def tell(count: int) -> None:
        told.append((count, threading.current_thread() is loops))

    async with sending(ca, idle=0.5) as sender:
        async with scripted(kept, tls=tls) as server:
            await put(sender, server, WatchedBody(BytesBody(CONTENT), tell))
        assert sum(count for count, _ in told) == len(CONTENT)
        assert len([count for count, _ in told if count > 0]) > 3
        async with listening(never_reading, tls=tls) as server:
            with pytest.raises(TimedOut):
                await sender.send("PUT", server.url, headers={}, body=WatchedBody(BytesBody(LARGE), tell))
    assert sum(count for count, _ in told) == len(CONTENT)
    assert all(on_the_loop for _, on_the_loop in told)
