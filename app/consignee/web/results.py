"""The handlers of result sets: parse, call, render."""

from collections.abc import Iterable
from dataclasses import replace

from aiohttp import web

from consignee.delivery.dispatch import Dispatch
from consignee.delivery.result_set import ResultSet
from consignee.errors import InvalidRequest
from consignee.service import KIND, Destinations
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.bodies import read_fields, read_ids
from consignee.web.keys import DESTINATIONS
from consignee.web.queries import read_page
from consignee.web.uploads import receive, require_multipart


def _dispatch(request: web.Request) -> Dispatch:
    return request.config_dict[DESTINATIONS].dispatch


async def create(request: web.Request) -> web.Response:
    """POST /collections/{id}/results"""
    account, dispatch = await account_of(request), _dispatch(request)
    collection = await dispatch.collections.get(account, request.match_info["id"])
    require_multipart(request)
    async with dispatch.results.intake(collection) as intake:
        fields = await receive(request, intake)
        # Files may take hours to arrive: they go to where the collection's files go by now, if there still is one.
        latest = await dispatch.collections.get(account, collection.id)
        kept = replace(latest, manifest=collection.manifest)  # that decided which names were good
        result_set = await dispatch.results.complete(kept, intake, fields)
    return await _one(request, result_set)


async def list_all(request: web.Request) -> web.Response:
    """GET /collections/{id}/results"""
    account, dispatch = await account_of(request), _dispatch(request)
    number, size = read_page(request)
    collection = await dispatch.collections.get(account, request.match_info["id"])
    kept = await dispatch.results.kept(account, collection.id)
    shown = [await dispatch.view_of(one) for one in kept[(number - 1) * size : number * size]]
    return answers.success({"collection_id": collection.id, "results_count": len(kept), "results": shown})


async def get(request: web.Request) -> web.Response:
    """GET /collections/{id}/results/{n}"""
    return await _one(request, await _found(request))


async def resend(request: web.Request) -> web.Response:
    """POST /collections/{id}/results/{n}/resend"""
    result_set = await _found(request)
    ids = read_ids(await read_fields(request, required=False), "destination_ids")
    destinations = request.config_dict[DESTINATIONS]
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
    if missing := await _missing(destinations, result_set.account, ids):
        raise InvalidRequest({"destination_ids": [f"there is no destination {one[:64]!r}" for one in missing]})
    return list(dict.fromkeys(ids))


async def _missing(destinations: Destinations, account: str, ids: Iterable[str]) -> list[str]:
    return [one for one in ids if await destinations.store.get(KIND, account, one) is None]
