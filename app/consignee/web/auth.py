"""Who is asking: the account that a request's API key belongs to."""

import re
from typing import Final

from aiohttp import web

from consignee.accounts import Accounts
from consignee.errors import InvalidRequest
from consignee.web.bodies import read_query
from consignee.web.errors import BadRequest, Refused
from consignee.web.keys import ADMISSION, AUTHENTICATE, Authenticate

_BEARER: Final = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


async def account_of(request: web.Request) -> str:
    """Return the account's name, as the application's own `authenticate` says.

    Raises BadRequest, RateLimited, Busy, and Refused for a web.HTTPException of `authenticate`.
    """
    admission = request.config_dict[ADMISSION]
    try:
        account: str | None = await request.config_dict[AUTHENTICATE](request)
    except web.HTTPException as error:
        if error.status == web.HTTPUnauthorized.status_code:
            admission.unknown(request)
        raise Refused(error) from error
    if not account:
        admission.unknown(request)
        raise BadRequest("unauthorized", "The API key is missing or unknown.")
    await admission.known(request, account)
    return account


def by_api_key(accounts: Accounts) -> Authenticate:
    """Return the default way: `api_key` on the query string, or a header."""

    async def authenticate(request: web.Request) -> str | None:
        key = _api_key(request)
        return await accounts.authenticate(key) if key else None

    return authenticate


def _api_key(request: web.Request) -> str | None:
    keys = {*read_query(request).get("api_key", ()), *request.headers.getall("X-API-Key", ())}
    for header in request.headers.getall("Authorization", ()):
        if match := _BEARER.fullmatch(header):
            keys.add(match[1])
    if len(keys) > 1:
        raise InvalidRequest({"api_key": ["is given more than once, with different values"]})
    return keys.pop() if keys else None
