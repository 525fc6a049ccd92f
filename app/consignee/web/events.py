"""Server-sent events: how the deliveries of a result set go, as it happens.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from aiohttp import web

from consignee.delivery import delivery as states
from consignee.errors import NotFound
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.followed import EVERY, Glance, Look
from consignee.web.keys import DESTINATIONS, DRAINING, FOLLOWED
from consignee.web.streams import finish, write

KEEP_ALIVE: Final = 15.0
LONGEST: Final = 3600.0
_UNFINISHED: Final = (states.PENDING, states.UPLOADING, states.RETRYING)


async def events(request: web.Request) -> web.StreamResponse:
    """GET /collections/{id}/results/{n}/events"""
    account, dispatch = await account_of(request), request.app[DESTINATIONS].dispatch
    collection_id, number = request.match_info["id"], request.match_info["n"]
    id_ = await dispatch.results.find(account, collection_id, number)

    async def look() -> Glance | None:
        try:
            return glance(await dispatch.status(account, collection_id, number))
        except NotFound:
            return None

    with request.app[FOLLOWED].follow(account, id_, look) as shared:
        return await _send(request, shared)


async def _send(request: web.Request, look: Look) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    async with aclosing(follow(look, stop=request.app[DRAINING])) as texts:
        async for text in texts:
            if request.transport is None or request.transport.is_closing():
                break
            if text:
                await write(request, response, text)
    return await finish(request, response)


async def follow(
    look: Look,
    *,
    stop: asyncio.Event,
    every: float = EVERY,
    keep_alive: float = KEEP_ALIVE,
    longest: float = LONGEST,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[bytes, None]:
    """Yield what is to be sent: the status at once and when it changed, and `end` when no delivery is unfinished.

    It looks `every` so many seconds, and yields nothing, if nothing is to be sent, to let the caller see whether it is still
    wanted. When `stop` is set or after `longest` seconds it ends without `end`: a client that asks again misses nothing.
    """
    began = sent_at = clock()
    before: Glance | None = None
    while not stop.is_set() and clock() - began < longest:
        seen = await look()
        if seen is not None and seen != before:
            before, sent_at = seen, clock()
            yield seen.event
        if seen is None or seen.finished:
            yield _event("end", {})
            return
        if clock() - sent_at >= keep_alive:
            sent_at = clock()
            yield b": still here\n\n"
        yield b""
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await stop.wait()


def glance(status: Mapping[str, Any]) -> Glance:
    """Return what is told of a result set with that status."""
    unfinished = any(one["status"] in _UNFINISHED for one in status["destination_status"].values())
    return Glance(_event("status", status), finished=not unfinished)


def _event(name: str, content: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + answers.encode(content) + b"\n\n"
