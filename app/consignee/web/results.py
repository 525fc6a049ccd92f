"""The handlers of result sets: parse, call, render."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aiohttp import web

from consignee.collection import MOST_DESTINATIONS, Collection
from consignee.delivery.counters import number_of
from consignee.delivery.dispatch import Dispatch
from consignee.delivery.intake import Intake
from consignee.delivery.result_set import KIND, ResultSet, document_id
from consignee.errors import InvalidRequest, NotFound
from consignee.precedents import Subject
from consignee.service import KIND as DESTINATION
from consignee.service import Destinations
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.bodies import read_fields, read_ids
from consignee.web.idempotency import once
from consignee.web.keys import DESTINATIONS
from consignee.web.queries import read_page
from consignee.web.streams import finish, write
from consignee.web.uploads import receive, require_multipart

_NAMED: Final = 20
"""How many unknown destinations are named in an answer."""


def _dispatch(request: web.Request) -> Dispatch:
    return request.app[DESTINATIONS].dispatch


async def create(request: web.Request) -> web.Response:
    """POST /collections/{id}/results"""
    account, dispatch = await account_of(request), _dispatch(request)
    collection = await dispatch.collections.get(account, request.match_info["id"])
    require_multipart(request)
    with once(request, account, f"{KIND} {collection.id}") as asked:
        async with dispatch.results.intake(collection) as intake:
            fields = await receive(request, intake)
            return await asked.answer(
                {"fields": fields, "files": [one.to_data() for one in intake.files]},
                subject=partial(_next, dispatch, collection, intake),
                make=lambda _: _completed(dispatch, collection, intake, fields),
                recall=lambda made: dispatch.results.get(account, collection.id, number_of(made)),
                render=partial(_one, request),
            )


async def _next(dispatch: Dispatch, collection: Collection, intake: Intake) -> Subject:
    """Its number is not known before it is saved: it is the one behind the newest that has the files which came now."""
    numbers = await dispatch.results.numbers(collection.account, collection.id)
    return Subject(KIND, document_id(collection.id, max(numbers, default=0)), token=intake.token)


async def _completed(
    dispatch: Dispatch, collection: Collection, intake: Intake, fields: Mapping[str, str]
) -> ResultSet:
    # Files may take hours to arrive: they go to where the collection's files go by now, if there still is one.
    latest = await dispatch.collections.get(collection.account, collection.id)
    kept = replace(latest, manifest=collection.manifest)  # that decided which names were good
    return await dispatch.results.complete(kept, intake, fields)


async def list_all(request: web.Request) -> web.StreamResponse:
    """GET /collections/{id}/results"""
    account, dispatch = await account_of(request), _dispatch(request)
    number, size = read_page(request)
    collection = await dispatch.collections.get(account, request.match_info["id"])
    numbers = await dispatch.results.numbers(account, collection.id)
    begin = {"request_info": {"success": True}, "collection_id": collection.id, "results_count": len(numbers)}
    views = _views(dispatch, account, collection.id, numbers[(number - 1) * size : number * size])
    return await _stream(request, begin, views)


async def _views(
    dispatch: Dispatch, account: str, collection_id: str, numbers: Iterable[int]
) -> AsyncIterator[dict[str, Any]]:
    for number in numbers:
        with suppress(NotFound):  # removed meanwhile
            yield await dispatch.view(account, collection_id, number)


async def _stream(
    request: web.Request, begin: Mapping[str, Any], results: AsyncIterator[Mapping[str, Any]]
) -> web.StreamResponse:
    """One result set at a time: each may have thousands of links, and whoever else is served must not wait for all."""
    response = web.StreamResponse()
    response.content_type, response.charset = "application/json", "utf-8"
    before = answers.encode({**begin, "results": []})[:-2]
    async for result in results:
        await write(request, response, before + answers.encode(result))
        await asyncio.sleep(0)
        before = b","
    await write(request, response, b"]}" if response.prepared else before + b"]}")
    return await finish(request, response)


async def get(request: web.Request) -> web.Response:
    """GET /collections/{id}/results/{n}"""
    return await _one(request, await _found(request))


async def resend(request: web.Request) -> web.Response:
    """POST /collections/{id}/results/{n}/resend"""
    result_set = await _found(request)
    ids = read_ids(await read_fields(request, required=False), "destination_ids")
    destinations = request.app[DESTINATIONS]
    chosen = await _all_ids(destinations, result_set) if ids is None else await _known(destinations, result_set, ids)
    await destinations.dispatch.deliveries.resend(result_set, chosen)
    return await _one(request, result_set)


async def resend_webhook(request: web.Request) -> web.Response:
    """POST /collections/{id}/results/{n}/webhook/resend"""
    result_set = await _found(request)
    await read_fields(request, required=False)
    webhooks = _dispatch(request).webhooks
    await webhooks.resend(result_set.account, result_set.collection_id, result_set.number)
    return await _one(request, result_set)


async def _found(request: web.Request) -> ResultSet:
    account = await account_of(request)
    return await _dispatch(request).results.get(account, request.match_info["id"], request.match_info["n"])


async def _one(request: web.Request, result_set: ResultSet) -> web.Response:
    view = await _dispatch(request).view_of(result_set)
    return answers.success({"collection_id": result_set.collection_id, "result": view})


async def _all_ids(destinations: Destinations, result_set: ResultSet) -> list[str]:
    """Where the collection's result sets go now, and where this one was to go; what is no more is left out."""
    account = result_set.account
    collection = await destinations.dispatch.collections.get(account, result_set.collection_id)
    planned = await destinations.dispatch.deliveries.of(account, result_set.id)
    ids = dict.fromkeys([*collection.destination_ids, *planned])
    missing = await _missing(destinations, account, ids)
    return [one for one in ids if one not in missing]


async def _known(destinations: Destinations, result_set: ResultSet, ids: list[str]) -> list[str]:
    if not ids:
        raise InvalidRequest({"destination_ids": ["must name a destination, or be left out for all"]})
    if len(ids) > MOST_DESTINATIONS:
        raise InvalidRequest({"destination_ids": [f"must not be more than {MOST_DESTINATIONS} ids"]})
    if missing := await _missing(destinations, result_set.account, ids):
        told = [f"there is no destination {one[:64]!r}" for one in missing[:_NAMED]]
        raise InvalidRequest({"destination_ids": told})
    return list(dict.fromkeys(ids))


async def _missing(destinations: Destinations, account: str, ids: Iterable[str]) -> list[str]:
    return [one for one in ids if await destinations.store.get(DESTINATION, account, one) is None]
