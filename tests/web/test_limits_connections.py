"""The limits of `consignee serve` alone: on connections, and on the time and the size of what comes before a request."""

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from consignee.log import AccessLogger
from consignee.settings import Settings
from consignee.web import create_app
from consignee.web.connections import Connections, Refusals, allow_files
from consignee.web.protocol import Connection
from consignee.web.server import Runner

SHORT = 1.5
"""Seconds for a head that are short, and still more than this process, in which are client and server, is ever held up."""
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable["Server"]]


class Server:
    """A running server."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lines: list[Line] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._runner.addresses[0][1]
        return port

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        assert self._runner.server is not None
        return [one for one in self._runner.server.connections if isinstance(one, Connection)]

    async def dial(self, *, deaf: bool = False) -> "Line":
        """Return a new connection to it, which is closed with the server; a `deaf` one takes next to nothing until it is read."""
        client = socket.socket()
        if deaf:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        line = Line(*await asyncio.open_connection(sock=client, limit=1024 if deaf else 65536))
        self._lines.append(line)
        return line

    async def close(self) -> None:
        """End it, and all connections."""
        for line in self._lines:
            line.writer.transport.abort()
            with suppress(ConnectionError):
                await line.writer.wait_closed()
        await self._runner.cleanup()


@pytest.fixture
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """Starts the application with our own runner, these limits, and perhaps a handler for /extra."""
    async with AsyncExitStack() as stack:

        async def started(extra: Handler | None = None, **limits: Any) -> Server:
            app = create_app(replace(settings, limits=replace(settings.limits, **limits)))
            if extra is not None:
                app.router.add_get("/extra", extra)
            runner = Runner(app, access_log_class=AccessLogger, auto_decompress=False)
            await runner.setup()
            server = Server(runner)
            stack.push_async_callback(server.close)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return server

        yield started


class Line:
    """The client's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, sent: bytes = HEALTHZ) -> int:
        """Return the status of the answer to a request."""
        self.writer.write(sent)
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        await self.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """Return what comes until the server closes."""
        received = bytearray()
        with suppress(ConnectionError):  # of which what came before it is no worse
            async with asyncio.timeout(20):
                while piece := await self.reader.read(65536):
                    received += piece
        return bytes(received)


def code_of(answer: bytes) -> tuple[int, str]:
    """Return status and code of a failure."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"X-Trace-ID: " in head and b"Connection: close" in head
    return int(head.split()[1]), json.loads(body)["request_info"]["code"]


@pytest.mark.parametrize("sent", [b"G", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: y"])
async def test_half_a_request_is_answered_408_and_closed(serve: Serve, sent: bytes) -> None:
    line = await (await serve(header_timeout=SHORT)).dial()
    line.writer.write(sent)
    assert code_of(await line.rest()) == (408, "request_timeout")


async def test_bytes_that_drip_in_do_not_prolong_it(serve: Serve) -> None:
    line = await (await serve(header_timeout=SHORT)).dial()
    closed = asyncio.create_task(line.rest())
    for byte in HEALTHZ * 100:
        line.writer.write(bytes([byte]))
        await asyncio.sleep(0.05)
        if closed.done():
            break
    assert code_of(await closed) == (408, "request_timeout")


async def test_who_says_nothing_is_closed_without_a_word(serve: Serve) -> None:
    line = await (await serve(header_timeout=0.2)).dial()
    assert await line.rest() == b""


async def test_the_time_runs_anew_for_each_request_and_not_between_them(serve: Serve) -> None:
    """A connection may rest longer than that after an answer, but not in the middle of the next request."""
    line = await (await serve(header_timeout=SHORT)).dial()
    for _ in range(2):
        assert await line.ask() == 200
        await asyncio.sleep(1.2 * SHORT)
    line.writer.write(b"GET")
    assert code_of(await line.rest()) == (408, "request_timeout")


async def test_the_next_request_is_awaited_while_one_is_answered_and_cuts_nothing_off(serve: Serve) -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go_on.wait()
        return web.Response(text="done")

    server = await serve(slow, header_timeout=0.2)
    line = await server.dial()
    line.writer.write(b"GET /extra HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)
    line.writer.write(b"GET")
    await asyncio.sleep(0.5)
    go_on.set()
    answer = await line.rest()
    assert answer.startswith(b"HTTP/1.1 200") and b"done" in answer
    assert b" 408 " in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"x" * 200) for n in range(15)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"x" * 200) for n in range(15)),
        b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(25)) + b"\r\n",
    ],
    ids=["one header", "all headers", "headers without an end", "target", "number"],
)
async def test_a_head_that_is_too_large_is_400_and_closed(serve: Serve, sent: bytes) -> None:
    server = await serve(header_bytes=2048, headers=24)
    line = await server.dial()
    line.writer.write(sent)
    assert code_of(await line.rest()) == (400, "invalid_request")
    small = await server.dial()
    assert await small.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20 + b"\r\n") == 200


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_what_came_with_the_request_before_it_counts_for_a_head(serve: Serve, body: bytes) -> None:
    """Whether that ended with its own head or with its body."""
    line = await (await serve(header_bytes=2048)).dial()
    first = b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    second = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1500 + b"\r\n"
    if body:
        line.writer.write(first + body[:1])
        await line.reader.readuntil(b"\r\n\r\n")
        line.writer.write(body[1:] + second)
    else:
        assert await line.ask(first + second) == 200
    line.writer.write(b"Y: " + b"y" * 1500 + b"\r\n\r\n")
    assert b"invalid_request" in await line.rest()


async def test_one_too_many_takes_the_place_of_the_one_that_waits_the_longest(serve: Serve) -> None:
    """First of those that never asked for anything: half-open connections cost nobody else's."""
    server = await serve(connections=10, connections_per_address=0)
    good = await server.dial()
    assert await good.ask() == 200
    idle = [await server.dial() for _ in range(30)]
    assert [await line.rest() for line in idle[:21]] == [b""] * 21
    assert await good.ask() == 200
    assert await idle[-1].ask() == 200
    assert len(server.connections) <= 12


async def test_where_all_are_at_work_a_new_one_is_answered_503_and_closed(serve: Serve) -> None:
    server = await serve(connections=1000, connections_per_address=3, body_timeout=60)
    post = b"POST /destinations?api_key=key-a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    busy = [await server.dial() for _ in range(3)]
    for line in busy:
        line.writer.write(post)
    async with asyncio.timeout(20):
        while True:
            more = await server.dial()
            if (answer := await more.rest()).startswith(b"HTTP/1.1 503"):
                break
    assert code_of(answer) == (503, "unavailable")
    assert b"Retry-After: 1\r\n" in answer
    for line in busy:
        assert await line.ask(b"{}") in (400, 200)
    again = await server.dial()
    assert await again.ask() == 200


ACCOUNT = b"GET /account?api_key=key-a HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_who_comes_on_the_connection_of_one_who_was_refused_is_listened_to(serve: Serve) -> None:
    """Behind a proxy that may be anybody, on a connection that the refused one shared."""
    server = await serve(requests_per_second=0.01, requests_burst=1)
    line = await server.dial()
    assert [await line.ask(ACCOUNT) for _ in range(2)] == [200, 429]
    (connection,) = server.connections
    assert connection.transport is not None and connection.transport.is_reading()
    assert await line.ask(ACCOUNT.replace(b"key-a", b"key-b")) == 200


async def test_a_crowd_that_is_refused_waits_for_it_and_makes_room_for_others(serve: Serve) -> None:
    """Otherwise refusing a flood would take all the time there is; a new connection is no way around."""
    server = await serve(requests_per_second=0.001, requests_burst=1, connections=2)
    line = await server.dial()
    assert await line.ask(ACCOUNT) == 200
    (connection,) = server.connections
    connection._terms = replace(connection._terms, refusals=Refusals(per_second=0.001, at_once=0, longest=3))
    refused = asyncio.create_task(line.ask(ACCOUNT))
    other = await server.dial()
    assert await other.ask() == 200
    assert not refused.done()
    assert await refused == 429
    gone = asyncio.create_task(line.rest())
    line.writer.write(ACCOUNT)
    await asyncio.sleep(0.2)
    assert await (await server.dial()).ask() == 200
    assert await (await server.dial()).ask() == 200
    assert await gone == b""


def test_refusals_are_immediate_until_they_are_many_and_then_one_by_one_but_none_waits_for_ever() -> None:
    now = [0.0]
    refusals = Refusals(per_second=2, at_once=3, longest=1.5, clock=lambda: now[0])
    assert [refusals.wait() for _ in range(8)] == [0, 0, 0, 0.5, 1, 1.5, 1.5, 1.5]
    now[0] = 2
    assert [refusals.wait() for _ in range(3)] == [0, 0.5, 1]
    now[0] = 1000
    assert [refusals.wait() for _ in range(4)] == [0, 0, 0, 0.5]


@pytest.mark.parametrize("others", [False, True], ids=["in time", "for another"])
async def test_a_connection_that_is_to_end_is_freed_though_its_client_takes_nothing(
    serve: Serve, *, others: bool
) -> None:
    """Also where so little lies here that nothing stops for it, and a request that is never answered came behind the last one."""

    async def some(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 40_000)

    server = await serve(some, connections=1)
    line = await server.dial(deaf=True)
    (connection,) = await opened(server)
    connection._terms = replace(connection._terms, answer_seconds=60 if others else 0.2)
    small_buffer(connection)
    line.writer.write(b"GET /extra HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n" + HEALTHZ)
    async with asyncio.timeout(20):
        while not connection._messages or connection._task_handler is not None:
            await asyncio.sleep(0.01)
        assert connection._line is not None
        while others and await answered(server) != 200:
            await asyncio.sleep(0.01)
        while connection in server.connections:
            await asyncio.sleep(0.01)
    assert len(await line.rest()) < 40_000


async def answered(server: Server) -> int:
    """Return the status that a new connection gets."""
    return await (await server.dial()).ask()


def small_buffer(connection: Connection) -> None:
    """Let the system keep next to nothing of what goes out."""
    assert connection._line is not None
    connection._line.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)


@pytest.mark.parametrize("size", [40_000, 4_000_000], ids=["little", "much"])
async def test_a_stop_waits_for_answers_to_be_taken_and_not_only_begun(serve: Serve, size: int) -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    server = await serve(large)
    line = await server.dial(deaf=True)
    (connection,) = await opened(server)
    small_buffer(connection)
    line.writer.write(b"GET /extra HTTP/1.1\r\nHost: a\r\n\r\n")
    await line.reader.readexactly(12)
    stopping = asyncio.create_task(server._runner.drain(60))
    await asyncio.sleep(0.3)
    assert not stopping.done()
    rest = asyncio.create_task(line.rest())
    await stopping
    await server._runner.cleanup()
    assert (await rest).count(b"x") >= size


async def test_an_answer_that_nobody_takes_is_cut_off(serve: Serve) -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 50_000_000)

    server = await serve(large)
    line = await server.dial()
    (connection,) = await opened(server)
    connection._terms = replace(connection._terms, answer_seconds=0.2)
    line.writer.write(b"GET /extra HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(20):
        while server.connections:
            await asyncio.sleep(0.01)
    assert len(await line.rest()) < 50_000_000


async def test_an_answer_that_is_taken_slowly_arrives(serve: Serve) -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 20_000_000)

    line = await (await serve(large)).dial()
    line.writer.write(b"GET /extra HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await asyncio.sleep(0.2)
    assert len(await line.rest()) > 20_000_000


async def opened(server: Server) -> list[Connection]:
    """Return the connections when there is one."""
    async with asyncio.timeout(20):
        while not server.connections:
            await asyncio.sleep(0.01)
    return server.connections


async def test_what_a_handler_does_wrong_below_the_application_is_500_or_ends_an_answer_that_has_begun(
    serve: Serve,
) -> None:
    """As when a signal of the host's application fails: nothing above catches that."""

    server = await serve()

    async def fails(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/begun":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"begun")
        raise RuntimeError("canary")

    server._runner._front._handle = fails
    line = await server.dial()
    line.writer.write(HEALTHZ)
    answer = await line.rest()
    assert answer.startswith(b"HTTP/1.1 500") and b'"internal_error"' in answer and b"canary" not in answer
    line = await server.dial()
    line.writer.write(HEALTHZ.replace(b"healthz", b"begun"))
    answer = await line.rest()
    assert b"begun" in answer and answer.count(b"HTTP/1.1") == 1 and not answer.endswith(b"0\r\n\r\n")


async def test_a_body_that_turns_out_malformed_late_is_answered_once(serve: Serve) -> None:
    """Whether its handler still reads it, or has answered long ago."""
    server = await serve()
    head = b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n"
    for first, status in ((b"POST /destinations?api_key=key-a", b" 400 "), (b"GET /healthz", b" 200 ")):
        line = await server.dial()
        line.writer.write(first + head)
        await asyncio.sleep(0.2)
        line.writer.write(b"{}XX")
        answer = await line.rest()
        assert answer.count(b"HTTP/1.1 ") == 1 and status in answer


class Peer:
    """A connection that only notes that it had to go."""

    def __init__(self) -> None:
        self.gone = False

    def make_room(self) -> None:
        """Note it."""
        self.gone = True


def test_those_who_never_asked_go_first_then_those_who_wait_the_longest() -> None:
    connections = Connections(3, per_address=0)
    first, second, third, fourth, fifth, sixth = (Peer() for _ in range(6))
    for peer in (first, second, third):
        assert connections.open(peer, "a")
        connections.works(peer)
    connections.waits(second)
    connections.waits(first)
    for peer, goes in ((fourth, second), (fifth, fourth), (sixth, fifth)):
        assert connections.open(peer, "b")
        assert goes.gone
    connections.works(sixth)
    connections.works(first)
    assert not connections.open(Peer(), "c")
    assert len(connections) == 3
    assert not third.gone and not first.gone and not sixth.gone


def test_one_address_has_only_its_own_places() -> None:
    connections = Connections(100, per_address=2)
    others, own = Peer(), [Peer() for _ in range(3)]
    connections.open(others, "b")
    assert all(connections.open(peer, "a") for peer in own)
    assert [peer.gone for peer in (others, *own)] == [False, True, False, False]
    for peer in own:
        connections.closed(peer)
    connections.closed(own[0])
    connections.waits(own[0])
    assert len(connections) == 1
    assert list(connections._of_address) == ["b"]


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "room"),
    [
        (1024, 1_000_000, [(3024, 1_000_000)], 2000),
        (1024, resource.RLIM_INFINITY, [(3024, resource.RLIM_INFINITY)], 2000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, [], 2000),
        (100_000, 100_000, [], 2000),
        (1024, 2048, [(2048, 2048)], 1024),
        (256, 256, [(256, 256)], 128),
    ],
)
def test_there_are_never_more_connections_than_files_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, asked: list[tuple[int, int]], room: int
) -> None:
    """Beyond the system's limit no connection is taken up at all, not even that of a health check."""
    requests: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: requests.append(limits))
    assert allow_files(2000) == room
    assert requests == asked
