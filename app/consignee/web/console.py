"""The web console: its files, which are in the package, and the exchange of a link of the operator's for a key."""

from typing import Final

from aiohttp import web

from consignee.web import answers, static
from consignee.web.bodies import read_fields
from consignee.web.errors import BadRequest
from consignee.web.keys import ADMISSION, SESSIONS
from consignee.web.sessions import LOGGED_IN

FOLDER: Final = "console"
_USED: Final = "This link has been used, or is too old: each one logs in once. Ask for a new one, or use an API key."


async def front(request: web.Request) -> web.Response:
    """GET /console: on to the folder, wherever this application is mounted"""
    return web.Response(status=302, headers={"Location": f"{FOLDER}/"})


async def file(request: web.Request) -> web.Response:
    """GET /console/{page}"""
    return static.page(request, FOLDER, of="console")


async def login(request: web.Request) -> web.Response:
    """POST /console/login"""
    # Nobody says who they are before: those who never send what they began must not take the places of all others.
    request.app[ADMISSION].unknown(request)
    sessions = request.app[SESSIONS]
    token = (await read_fields(request)).get("token") if sessions.expects_somebody() else None
    key = sessions.redeem(token) if isinstance(token, str) else None
    if key is None:
        raise BadRequest("unauthorized", _USED)
    return answers.success({"key": key.reveal(), "expires_in": int(LOGGED_IN)})
