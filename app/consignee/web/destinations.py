"""The handlers of destinations: parse, call, render."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from aiohttp import web

from consignee.delivery import conditions
from consignee.destination import Destination
from consignee.service import KIND
from consignee.verification import Report
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.bodies import read_fields, read_ids, read_time
from consignee.web.idempotency import once
from consignee.web.keys import COLLECTIONS, DESTINATIONS
from consignee.web.queries import read_listing
from consignee.web.streams import finish, write

NDJSON: Final = "application/x-ndjson"


async def create(request: web.Request) -> web.Response:
    """POST /destinations"""
    account, destinations = await account_of(request), request.config_dict[DESTINATIONS]
    with once(request, account, KIND) as asked:
        fields = await read_fields(request)
        return await asked.answer(
            fields,
            subject=partial(asked.unused, KIND),
            make=lambda unused: destinations.create(account, fields, id=unused),
            recall=partial(destinations.get, account),
            render=partial(_one, request),
        )


async def list_all(request: web.Request) -> web.Response:
    """GET /destinations"""
    account = await account_of(request)
    page = await request.config_dict[DESTINATIONS].list(account, read_listing(request))
    uses = await request.config_dict[COLLECTIONS].uses(account)
    shown = [view(request, one, used_by=uses[one.id]) for one in page.destinations]
    usage = await _usage(request, account)
    return answers.success({"usage": usage, "destinations": shown, "pagination": page.to_json()})


async def get(request: web.Request) -> web.Response:
    """GET /destinations/{id}"""
    account = await account_of(request)
    destination = await request.config_dict[DESTINATIONS].get(account, request.match_info["id"])
    return await _one(request, destination)


async def update(request: web.Request) -> web.Response:
    """PUT /destinations/{id}"""
    account = await account_of(request)
    destinations = request.config_dict[DESTINATIONS]
    destination = await destinations.update(account, request.match_info["id"], await read_fields(request))
    return await _one(request, destination)


async def delete(request: web.Request) -> web.Response:
    """DELETE /destinations/{id}"""
    account = await account_of(request)
    await request.config_dict[DESTINATIONS].delete(account, request.match_info["id"])
    return answers.success(message="1 Destination deleted")


async def test(request: web.Request) -> web.Response:
    """POST /destinations/test"""
    account = await account_of(request)
    report = await request.config_dict[DESTINATIONS].test(account, await read_fields(request))
    return answers.success({"connectivity": report.to_json()})


async def test_saved(request: web.Request) -> web.Response:
    """POST /destinations/{id}/test"""
    account = await account_of(request)
    await read_fields(request, required=False)
    report = await request.config_dict[DESTINATIONS].test_saved(account, request.match_info["id"])
    report.require_ok()
    return answers.success({"connectivity": report.to_json()})


async def resend(request: web.Request) -> web.Response:
    """POST /destinations/{id}/resend"""
    account = await account_of(request)
    destinations = request.config_dict[DESTINATIONS]
    destination = await destinations.get(account, request.match_info["id"])
    since = read_time(await read_fields(request, required=False), "since")
    resent = await destinations.dispatch.deliveries.resend_failed(account, destination.id, since=since)
    return answers.success({"resent": resent})


async def policy(request: web.Request) -> web.Response:
    """GET /destinations/{id}/policy"""
    account = await account_of(request)
    destinations = request.config_dict[DESTINATIONS]
    destination = await destinations.get(account, request.match_info["id"])
    return answers.success({"policy": destinations.catalog.policy(destination)})


async def verify(request: web.Request) -> web.StreamResponse:
    """POST /destinations/verify"""
    account = await account_of(request)
    ids = read_ids(await read_fields(request, required=False), "ids")
    outcomes = request.config_dict[DESTINATIONS].verify(account, ids)
    async with aclosing(outcomes):
        if NDJSON in request.headers.get("Accept", ""):
            return await _stream(request, outcomes)
        return answers.success({"results": [_result(*outcome) async for outcome in outcomes]})


async def _stream(request: web.Request, outcomes: AsyncIterator[tuple[str, Report]]) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = NDJSON
    # The first outcome is awaited before the headers go out, so that an unknown id is still an ordinary 404.
    async for outcome in outcomes:
        await write(request, response, answers.encode(_result(*outcome)) + b"\n")
    return await finish(request, response)


def _result(id: str, report: Report) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "ok": report.ok, "connectivity": report.to_json()}


async def _one(request: web.Request, destination: Destination) -> web.Response:
    usage = await _usage(request, destination.account)
    uses = await request.config_dict[COLLECTIONS].uses(destination.account)
    shown = view(request, destination, used_by=uses[destination.id])
    return answers.success({"usage": usage, "destination": shown})


async def _usage(request: web.Request, account: str) -> dict[str, int]:
    return (await request.config_dict[DESTINATIONS].usage(account)).to_json()


def view(request: web.Request, destination: Destination, *, used_by: int) -> dict[str, Any]:
    """Return a destination as it is answered: no key and no secret, nor any part of one. So many collections name it."""
    destinations = request.config_dict[DESTINATIONS]
    return {
        "id": destination.id,
        "name": destination.name,
        "type": destination.type,
        "enabled": destination.enabled,
        "used_by": used_by,
        **destinations.catalog.view(destination),
        "created_at": destination.created_at,
        "updated_at": destination.updated_at,
        "last_test": destination.last_test,
        "deliveries": conditions.view(destinations.dispatch.conditions.of(destination.account, destination.id)),
    }
