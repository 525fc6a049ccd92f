"""The handlers of destinations: parse, call, render."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from aiohttp import web

from consignee.destination import Destination
from consignee.service import KIND
from consignee.verification import Report
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.bodies import read_fields, read_ids, read_time
from consignee.web.idempotency import once
from consignee.web.keys import ANSWERS, DESTINATIONS
from consignee.web.queries import read_listing
from consignee.web.steps import NDJSON, answer_test, wants_lines
from consignee.web.streams import finish, write


async def create(request: web.Request) -> web.Response:
    """POST /destinations"""
    account, destinations = await account_of(request), request.app[DESTINATIONS]
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
    return answers.Ready(await request.app[ANSWERS].page(account, read_listing(request)))


async def get(request: web.Request) -> web.Response:
    """GET /destinations/{id}"""
    account = await account_of(request)
    return answers.Ready(await request.app[ANSWERS].one(account, request.match_info["id"]))


async def update(request: web.Request) -> web.Response:
    """PUT /destinations/{id}"""
    account = await account_of(request)
    destinations = request.app[DESTINATIONS]
    destination = await destinations.update(account, request.match_info["id"], await read_fields(request))
    return await _one(request, destination)


async def delete(request: web.Request) -> web.Response:
    """DELETE /destinations/{id}"""
    account = await account_of(request)
    await request.app[DESTINATIONS].delete(account, request.match_info["id"])
    return answers.success(message="1 Destination deleted")


async def test(request: web.Request) -> web.StreamResponse:
    """POST /destinations/test"""
    account = await account_of(request)
    fields = await read_fields(request)
    return await answer_test(request, partial(request.app[DESTINATIONS].test, account, fields))


async def test_saved(request: web.Request) -> web.StreamResponse:
    """POST /destinations/{id}/test"""
    account, destinations = await account_of(request), request.app[DESTINATIONS]
    fields = await read_fields(request, required=False)
    return await answer_test(request, partial(destinations.test_changed, account, request.match_info["id"], fields))


async def resend(request: web.Request) -> web.Response:
    """POST /destinations/{id}/resend"""
    account = await account_of(request)
    destinations = request.app[DESTINATIONS]
    destination = await destinations.get(account, request.match_info["id"])
    since = read_time(await read_fields(request, required=False), "since")
    resent = await destinations.dispatch.deliveries.resend_failed(account, destination.id, since=since)
    return answers.success({"resent": resent})


async def policy(request: web.Request) -> web.Response:
    """GET /destinations/{id}/policy"""
    account = await account_of(request)
    destinations = request.app[DESTINATIONS]
    destination = await destinations.get(account, request.match_info["id"])
    return answers.success({"policy": destinations.catalog.policy(destination)})


async def policy_for(request: web.Request) -> web.Response:
    """POST /destinations/policy"""
    await account_of(request)
    fields = await read_fields(request)
    return answers.success({"policy": request.app[DESTINATIONS].catalog.policy_for(fields)})


async def verify(request: web.Request) -> web.StreamResponse:
    """POST /destinations/verify"""
    account = await account_of(request)
    ids = read_ids(await read_fields(request, required=False), "ids")
    outcomes = request.app[DESTINATIONS].verify(account, ids)
    async with aclosing(outcomes):
        if wants_lines(request):
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
    return answers.Ready(await request.app[ANSWERS].about(destination))
