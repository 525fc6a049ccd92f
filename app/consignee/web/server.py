"""The server of `consignee serve`: also what aiohttp answers by itself, such as to a malformed request, comes in our envelope."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from consignee.errors import SettingsError
from consignee.settings import LimitsSettings, Settings
from consignee.web import answers, create_app
from consignee.web.concerns import AccessLogger
from consignee.web.connections import Connections, allow_files
from consignee.web.control import control
from consignee.web.dispatch import Dispatch
from consignee.web.errors import from_http
from consignee.web.keys import DESTINATIONS, DRAINING, METER, SETTINGS
from consignee.web.protocol import Connection, Terms
from consignee.web.streams import PATIENCE_SECONDS

KEEPALIVE_SECONDS = 75.0
CUT_SECONDS = 1.0
"""What a request gets that is still under way when the time for that is over."""
LOOK_SECONDS = 0.05
"""How often a stop looks whether all requests are answered."""
BACKLOG = 512
"""Connections that the system keeps until they are taken up."""
_Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs the application with connections of ours, and knows when all that was asked is answered."""

    _front: "_Front"

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        self._front = _Front(Dispatch(self.app, otherwise=server.request_handler))
        given = {**server._kwargs, **_limits(self.app[SETTINGS].limits)}
        if METER in self.app:
            self.app[METER].connections = given["terms"].connections
        return _Server(self._front, request_factory=server.request_factory, **given)

    async def drain(self, seconds: float) -> None:
        """Take no new connection, and wait until the requests under way are answered, at most so long."""
        for site in list(self.sites):
            await site.stop()
        self._front.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._at_work():  # noqa: ASYNC110 - nobody tells when an answer has been taken
                    await asyncio.sleep(LOOK_SECONDS)

    def _at_work(self) -> bool:
        assert self.server is not None
        return any(isinstance(one, Connection) and one.at_work for one in self.server.connections)


class _Front:
    """The application's handler; while it is `draining`, every answer closes its connection."""

    def __init__(self, handle: _Handle) -> None:
        self._handle = handle
        self.draining = False

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._answer(request)
        # Whoever asks for another protocol, as some clients always do, is answered in this one, and not a second time.
        if self.draining or "Upgrade" in request.headers:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._handle(request)
        except web.HTTPException as error:
            response = from_http(error)
            answers.dress(response, answers.new_trace_id())
            return response


def _limits(limits: LimitsSettings) -> dict[str, Any]:
    terms = Terms(
        connections=Connections(allow_files(limits.connections), per_address=limits.connections_per_address),
        head_seconds=limits.header_timeout,
        head_bytes=limits.header_bytes,
        answer_seconds=PATIENCE_SECONDS,
    )
    most = limits.header_bytes
    return {"terms": terms, "max_line_size": most, "max_field_size": most, "max_headers": limits.headers}


def require_c_parser() -> None:
    """Raise SettingsError if aiohttp runs on its parser in pure Python, in which most of its past holes were."""
    if HttpRequestParser is HttpRequestParserPy:
        raise SettingsError("aiohttp's C parser is missing: install a binary wheel of aiohttp")


async def serve(
    settings: Settings,
    *,
    ready: Callable[[str], None],
    app: web.Application | None = None,
    listens: bool = True,
) -> None:
    """Serve until SIGTERM or SIGINT, then let what is under way end.

    `ready` gets the URL once it answers, or an empty one when it is at work, if it never `listens`.
    """
    require_c_parser()
    app = create_app(settings) if app is None else app
    runner = Runner(
        app,
        access_log_class=AccessLogger,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=CUT_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    stopped = _stopped_by_signal()
    try:
        async with _reached(runner, settings, listens=listens) as url:
            ready(url)
            await stopped.wait()
        app[DRAINING].set()
        grace = _grace(settings.server.shutdown_timeout)
        await asyncio.gather(runner.drain(grace), app[DESTINATIONS].dispatch.stop(grace))
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _reached(runner: Runner, settings: Settings, *, listens: bool) -> AsyncIterator[str]:
    """Yield the URL, if there is one. Commands reach a shared store themselves, and need no socket for that."""
    url = ""
    if listens:
        await web.TCPSite(runner, settings.server.host, settings.server.port, backlog=BACKLOG).start()
        url = _url(settings.server.host, runner.addresses[0][1])
    if runner.app[DESTINATIONS].store.shared:
        yield url
        return
    async with control(runner.app):
        yield url


def _grace(seconds: float) -> float:
    """Return what is left to requests of the time for a stop: then what is still under way is cut off, and all is closed."""
    return max(seconds - 2 * CUT_SECONDS, seconds * 0.9)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stopped_by_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
