"""Answers that go out piece by piece; a client that takes nothing of one any more is cut off."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from aiohttp import web

from consignee.web.keys import BEGUN, PATIENCE

PATIENCE_SECONDS: Final = 60.0
"""What a client gets to take a piece of an answer: it holds a connection, and perhaps a file, open."""

_PIECE: Final = 64 * 1024


async def write(request: web.Request, response: web.StreamResponse, content: bytes) -> None:
    """Send more of an answer, its headers first if they are not out yet; raises ConnectionError."""
    if not response.prepared:
        await response.prepare(request)
    view = memoryview(content)
    for start in range(0, len(view), _PIECE):
        await _in_time(request, response.write(view[start : start + _PIECE]))


async def finish(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Send the end of an answer, its headers too if there was nothing else, and return it; raises ConnectionError."""
    if not response.prepared:
        await response.prepare(request)
    await _in_time(request, response.write_eof())
    return response


async def _in_time(request: web.Request, sent: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(request.app[PATIENCE]):
            await sent
    except TimeoutError:
        cut_off(request)
        raise ConnectionAbortedError("the client takes nothing of the answer") from None


def cut_off(request: web.Request) -> None:
    """End an answer in the middle. Without its end, the client sees that something is missing."""
    if (begun := request.get(BEGUN)) is not None:
        begun.force_close()
    if request.transport is not None:
        request.transport.abort()
