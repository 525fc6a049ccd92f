"""What a running server does for commands, on its control socket."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import web

from consignee.control import is_served, socket_path
from consignee.errors import Conflict, SettingsError, StoreError
from consignee.rotation import Making
from consignee.web import answers
from consignee.web.backup import send_backup
from consignee.web.bodies import read_fields
from consignee.web.errors import envelope
from consignee.web.keys import ACCOUNTS, DESTINATIONS, PATIENCE, ROTATION, SETTINGS

_CUT_SECONDS = 2.0
"""What a command gets that is still under way when the server stops; a backup would hold it up for minutes."""


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


async def count_documents(request: web.Request) -> web.Response:
    """GET /secrets"""
    return answers.success({"keys": [vars(use) for use in await request.app[ROTATION].status()]})


async def rotate(request: web.Request) -> web.Response:
    """POST /secrets/rotate"""
    making = Making(str((await read_fields(request)).get("making")))
    with _told():
        uses = await request.app[ROTATION].rotate(making)
    return answers.success({"keys": [vars(use) for use in uses]})


async def forget_key(request: web.Request) -> web.Response:
    """DELETE /secrets/{id}"""
    with _told():
        await request.app[ROTATION].forget(request.match_info["id"])
    return answers.success()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What stands in the way is the operator's to know, who alone gets here."""
    try:
        yield
    except (SettingsError, StoreError) as error:
        raise Conflict(str(error)) from None


async def _stop_rotation(app: web.Application) -> None:
    app[ROTATION].stop()


@contextlib.asynccontextmanager
async def control(main: web.Application) -> AsyncIterator[None]:
    """Serve commands for as long as the block lasts; the socket can be used by the operator's own user alone."""
    app = web.Application(middlewares=[envelope])
    app[SETTINGS] = main[SETTINGS]
    app[ACCOUNTS] = main[ACCOUNTS]
    app[ROTATION] = main[ROTATION]
    app.add_routes([web.post("/keys", create_key), web.get("/keys", list_keys), web.delete("/keys/{id}", revoke_key)])
    app.add_routes([web.get("/secrets", count_documents), web.post("/secrets/rotate", rotate)])
    app.add_routes([web.delete("/secrets/{id}", forget_key)])
    app.add_routes([web.get("/backup", send_backup)])
    app[DESTINATIONS] = main[DESTINATIONS]
    app[PATIENCE] = main[PATIENCE]
    app.on_response_prepare.append(answers.dress_response)
    app.on_shutdown.append(_stop_rotation)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CUT_SECONDS)
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
