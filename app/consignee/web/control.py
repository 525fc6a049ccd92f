"""What a running server does for commands, on its control socket."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from consignee.control import is_served, socket_path
from consignee.web import answers
from consignee.web.bodies import read_fields
from consignee.web.errors import envelope
from consignee.web.keys import ACCOUNTS, SETTINGS


async def create_key(request: web.Request) -> web.Response:
    """POST /keys"""
    account = (await read_fields(request)).get("account")
    return answers.success({"api_key": await request.app[ACCOUNTS].create_key(str(account))})


async def list_keys(request: web.Request) -> web.Response:
    """GET /keys"""
    return answers.success({"keys": [vars(key) for key in await request.app[ACCOUNTS].list_keys()]})


async def revoke_key(request: web.Request) -> web.Response:
    """DELETE /keys/{id}"""
    await request.app[ACCOUNTS].revoke_key(request.match_info["id"])
    return answers.success()


@contextlib.asynccontextmanager
async def control(main: web.Application) -> AsyncIterator[None]:
    """Serve commands for as long as the block lasts; the socket can be used by the operator's own user alone."""
    app = web.Application(middlewares=[envelope])
    app[SETTINGS] = main[SETTINGS]
    app[ACCOUNTS] = main[ACCOUNTS]
    app.add_routes([web.post("/keys", create_key), web.get("/keys", list_keys), web.delete("/keys/{id}", revoke_key)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        with socket_path(main[SETTINGS].store.path) as path:
            await _listen(runner, path)
            yield
            await runner.cleanup()
            Path(path).unlink(missing_ok=True)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, path: str) -> None:
    if not is_served(path):
        Path(path).unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        await web.UnixSite(runner, path).start()
    finally:
        os.umask(before)
