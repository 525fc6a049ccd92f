"""Who is asking: the account that a request's API key belongs to."""

import re
from typing import Final

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION
from multidict import istr

from consignee.accounts import Accounts
from consignee.errors import InvalidRequest
from consignee.subject import about
from consignee.web.bodies import read_query
from consignee.web.errors import BadRequest, Refused
from consignee.web.keys import ADMISSION, AUTHENTICATE, Authenticate
from consignee.web.sessions import Sessions

X_API_KEY: Final = istr("X-API-Key")
BEARER: Final = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


async def account_of(request: web.Request) -> str:
    """Return the account's name, as the application's own `authenticate` says.

    Raises BadRequest, RateLimited, Busy, and Refused for a web.HTTPException of `authenticate`.
    """
    app = request.app
    admission = app[ADMISSION]
    try:
        account: str | None = await app[AUTHENTICATE](request)
    except web.HTTPException as error:
        if error.status == web.HTTPUnauthorized.status_code:
            admission.unknown(request)
        raise Refused(error) from error
    if not account:
        admission.unknown(request)
        raise BadRequest("unauthorized", "The API key is missing or unknown.")
    about(account=account)
    await admission.known(request, account)
    return account


def by_api_key(accounts: Accounts, sessions: Sessions) -> Authenticate:
    """Return the default way: `api_key` on the query string, or a header. A key of the console's sessions is one too."""

    async def authenticate(request: web.Request) -> str | None:
        key = _api_key(request)
        return (sessions.account_of(key) or await accounts.authenticate(key)) if key else None

    return authenticate


def _api_key(request: web.Request) -> str | None:
    headers = request.headers
    keys = {*read_query(request).get("api_key", ())}
    if X_API_KEY in headers:
        keys.update(headers.getall(X_API_KEY))
    for header in headers.getall(AUTHORIZATION) if AUTHORIZATION in headers else ():
        if match := BEARER.fullmatch(header):
            keys.add(match[1])
    if len(keys) > 1:
        raise InvalidRequest({"api_key": ["is given more than once, with different values"]})
    return keys.pop() if keys else None
