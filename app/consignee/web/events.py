"""Server-sent events: how the deliveries of a result set go, as it happens.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiohttp import web

from consignee.delivery import delivery as states
from consignee.errors import NotFound
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.keys import DESTINATIONS, DRAINING

log = logging.getLogger(__name__)

EVERY: Final = 0.25
KEEP_ALIVE: Final = 15.0
LONGEST: Final = 3600.0
_UNFINISHED: Final = (states.PENDING, states.UPLOADING, states.RETRYING)
_SHOWN: Final = ("destination_status", "webhook_status")

View = Mapping[str, Any]


async def events(request: web.Request) -> web.StreamResponse:
    """GET /collections/{id}/results/{n}/events"""
    account = await account_of(request)
    look = partial(
        request.config_dict[DESTINATIONS].dispatch.view, account, request.match_info["id"], request.match_info["n"]
    )
    await look()  # so that an unknown one is an ordinary 404
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    try:
        async for text in follow(look, stop=request.config_dict[DRAINING]):
            if request.transport is None or request.transport.is_closing():
                break
            if text:
                await response.write(text)
        await response.write_eof()
    except ConnectionError:
        log.debug("a client went away while it followed a result set")
    return response


async def follow(
    look: Callable[[], Awaitable[View]],
    *,
    stop: asyncio.Event,
    every: float = EVERY,
    keep_alive: float = KEEP_ALIVE,
    longest: float = LONGEST,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[bytes]:
    """Yield what is to be sent: the status at once and when it changed, and `end` when no delivery is unfinished.

    It looks `every` so many seconds, and yields nothing, if nothing is to be sent, to let the caller see whether it is still
    wanted. When `stop` is set or after `longest` seconds it ends without `end`: a client that asks again misses nothing.
    """
    began = sent_at = clock()
    before: View | None = None
    while not stop.is_set() and clock() - began < longest:
        view = await _view(look)
        if view is not None and view != before:
            before, sent_at = view, clock()
            yield _event("status", view)
        if view is None or _is_finished(view):
            yield _event("end", {})
            return
        if clock() - sent_at >= keep_alive:
            sent_at = clock()
            yield b": still here\n\n"
        yield b""
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await stop.wait()


async def _view(look: Callable[[], Awaitable[View]]) -> View | None:
    """None when the result set is gone."""
    try:
        view = await look()
    except NotFound:
        return None
    return {name: view[name] for name in _SHOWN}


def _is_finished(view: View) -> bool:
    return not any(one["status"] in _UNFINISHED for one in view["destination_status"].values())


def _event(name: str, content: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + answers.encode(content) + b"\n\n"
