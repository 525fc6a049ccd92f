"""The handlers of deliveries: parse, call, render."""

from aiohttp import web

from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.keys import DESTINATIONS
from consignee.web.queries import cursor, read_deliveries


async def list_some(request: web.Request) -> web.Response:
    """GET /deliveries"""
    account, dispatch = await account_of(request), request.app[DESTINATIONS].dispatch
    wanted, size, behind = read_deliveries(request)
    jobs = await dispatch.deliveries.list(account, wanted, most=size + 1, behind=behind)
    shown = jobs[:size]
    next_cursor = cursor(shown[-1].data["created_at"], shown[-1].id) if len(jobs) > size else None
    return answers.success({"deliveries": [dispatch.delivery_view(job) for job in shown], "next_cursor": next_cursor})


async def get(request: web.Request) -> web.Response:
    """GET /deliveries/{id}"""
    account, dispatch = await account_of(request), request.app[DESTINATIONS].dispatch
    job = await dispatch.deliveries.get(account, request.match_info["id"])
    return answers.success({"delivery": dispatch.delivery_view(job, uploads=True)})
