"""The handlers around destinations: the account, the types, and whether the service is well."""

from aiohttp import web

from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.errors import unavailable
from consignee.web.keys import COLLECTIONS, DESTINATIONS, DRAINING, PULSE


async def account(request: web.Request) -> web.Response:
    """GET /account"""
    name = await account_of(request)
    usages = {
        "destinations": await request.app[DESTINATIONS].usage(name),
        "collections": await request.app[COLLECTIONS].usage(name),
    }
    info = {f"{kind}_{what}": count for kind, usage in usages.items() for what, count in usage.to_json().items()}
    return answers.success({"account_info": info})


async def destination_types(request: web.Request) -> web.Response:
    """GET /destination-types"""
    await account_of(request)
    return answers.success({"destination_types": request.app[DESTINATIONS].catalog.describe()})


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the process is alive"""
    return answers.success()


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: the store can be written, and the service is not stopping"""
    if request.app[DRAINING].is_set():
        return unavailable("The service is stopping.")
    if not await request.app[PULSE].beats():
        return unavailable("The database does not answer.")
    if not request.app[DESTINATIONS].store.writable:
        return unavailable("The store can't be written.")
    return answers.success()
