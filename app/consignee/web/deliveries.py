"""The handlers of deliveries: parse, call, render."""

from aiohttp import web

from consignee.queue import Job
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.keys import DESTINATIONS
from consignee.web.queries import cursor, read_deliveries


async def list_some(request: web.Request) -> web.Response:
    """GET /deliveries"""
    account, dispatch = await account_of(request), request.config_dict[DESTINATIONS].dispatch
    wanted, size, behind = read_deliveries(request)
    jobs = sorted(await dispatch.deliveries.list(account, wanted), key=_place, reverse=True)
    if behind is not None:
        jobs = [job for job in jobs if _place(job) < behind]
    shown, rest = jobs[:size], jobs[size:]
    next_cursor = cursor(*_place(shown[-1])) if rest else None
    return answers.success({"deliveries": [dispatch.delivery_view(job) for job in shown], "next_cursor": next_cursor})


async def get(request: web.Request) -> web.Response:
    """GET /deliveries/{id}"""
    account, dispatch = await account_of(request), request.config_dict[DESTINATIONS].dispatch
    job = await dispatch.deliveries.get(account, request.match_info["id"])
    return answers.success({"delivery": dispatch.delivery_view(job, uploads=True)})


def _place(job: Job) -> tuple[str, str]:
    """Where it stands in the list: neither changes, whatever becomes of the delivery."""
    return job.data["created_at"], job.id
