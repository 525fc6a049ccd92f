"""A backup on its way through the control socket."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime

from aiohttp import web

from consignee import __version__
from consignee.backups.snapshot import backed_up
from consignee.ending import in_thread
from consignee.web.keys import DESTINATIONS
from consignee.web.streams import finish, write


async def send_backup(request: web.Request) -> web.StreamResponse:
    """GET /backup, with `files=0` without the spool; what can't be sent whole is cut off."""
    destinations = request.app[DESTINATIONS]
    async with AsyncExitStack() as stack:
        spool = await stack.enter_async_context(destinations.dispatch.results.spool.held())
        with_files = request.query.get("files") != "0"
        pieces = await stack.enter_async_context(
            backed_up(
                destinations.store, spool=spool if with_files else None, version=__version__, now=datetime.now(UTC)
            )
        )
        response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
        while piece := await in_thread(next, pieces, b""):
            await write(request, response, piece)
        return await finish(request, response)
