"""A storage service of your own making, for as long as a test runs."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    from aiohttp import web

_PATIENCE: Final = 30.0
"""Seconds, of which a server needs next to none to begin and to end."""
_TURNS: Final = 100
_MOST_BYTES: Final = 64 * 1024 * 1024
_Started = tuple[str, Callable[[], object]]


@contextmanager
def serving(app: "web.Application") -> Iterator[str]:
    """Serve the application on 127.0.0.1 and yield its URL, without a slash at its end.

    It has a thread and an event loop of its own: what is left behind in a test's own loop is what the test is about.
    """
    started: Future[_Started] = Future()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(asyncio.run, _serve(app, started))
        running.add_done_callback(partial(_fail, started))
        url, stop = started.result(_PATIENCE)
        try:
            yield url
        finally:
            stop()
            running.result(_PATIENCE)


async def _serve(app: "web.Application", started: Future[_Started]) -> None:
    stopped = asyncio.Event()
    stop = partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set)
    server = TestServer(app)
    try:
        await server.start_server(access_log=None)  # the line of a request may hold a signature
        started.set_result((str(server.make_url("")).rstrip("/"), stop))
        await stopped.wait()
    finally:
        await _turn()
        await server.close()
        await _turn()


async def _turn() -> None:
    """Let the loop go on for a while: a connection that came just now, or was closed just now, takes a few turns for that."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _fail(started: Future[_Started], running: Future[None]) -> None:
    """Whoever waits for the start need not wait for what has ended."""
    if not started.done() and (error := running.exception()) is not None:
        started.set_exception(error)


@contextmanager
def answering(status: int, headers: Mapping[str, str] | None = None, body: str = "") -> Iterator["Answering"]:
    """Serve the same answer to every request, whatever it asks for."""
    from aiohttp import web

    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        await request.read()
        return web.Response(status=status, headers=headers, text=body, content_type="text/html")

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_route("*", "/{tail:.*}", answer)
    with serving(app) as url:
        yield Answering(url, asked)


@dataclass(frozen=True)
class Answering:
    """A server that always answers the same, and the methods of what it was asked."""

    url: str
    asked: Sequence[str]
