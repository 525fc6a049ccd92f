"""The handlers of collections: parse, call, render."""

from functools import partial
from typing import Any

from aiohttp import web

from consignee.collection import WEBHOOK_SECRET, Collection
from consignee.collections import KIND
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.bodies import read_fields
from consignee.web.idempotency import once
from consignee.web.keys import COLLECTIONS, DESTINATIONS
from consignee.web.queries import read_page


async def create(request: web.Request) -> web.Response:
    """POST /collections"""
    account, collections = await account_of(request), request.app[COLLECTIONS]
    with once(request, account, KIND) as asked:
        fields = await read_fields(request)
        return await asked.answer(
            fields,
            subject=partial(asked.unused, KIND),
            make=lambda unused: collections.create(account, fields, id=unused),
            recall=lambda made: collections.recall(account, made, fields),
            render=partial(_one, request),
        )


async def list_all(request: web.Request) -> web.Response:
    """GET /collections"""
    account = await account_of(request)
    number, size = read_page(request)
    every = await request.app[COLLECTIONS].list(account)
    shown = every[(number - 1) * size : number * size]
    counts = {"total_count": len(every), "total_pages": -(-len(every) // size), "current_page": number}
    content = {**counts, "count_this_page": len(shown), "collections": [await view(request, one) for one in shown]}
    return answers.success(content)


async def get(request: web.Request) -> web.Response:
    """GET /collections/{id}"""
    account = await account_of(request)
    return await _one(request, await request.app[COLLECTIONS].get(account, request.match_info["id"]))


async def update(request: web.Request) -> web.Response:
    """PUT /collections/{id}"""
    account = await account_of(request)
    collections = request.app[COLLECTIONS]
    collection = await collections.update(account, request.match_info["id"], await read_fields(request))
    return await _one(request, collection)


async def delete(request: web.Request) -> web.Response:
    """DELETE /collections/{id}"""
    account = await account_of(request)
    await request.app[COLLECTIONS].delete(account, request.match_info["id"])
    return answers.success(message="1 Collection deleted")


async def _one(request: web.Request, collection: Collection) -> web.Response:
    shown = await view(request, collection)
    if collection.generated:  # its owner learns it now or never
        shown[WEBHOOK_SECRET] = collection.secrets[WEBHOOK_SECRET].reveal()
    return answers.success({"collection": shown})


async def view(request: web.Request, collection: Collection) -> dict[str, Any]:
    """Return a collection as it is answered, with the names of its secrets, and how many result sets it ever had."""
    count = await request.app[DESTINATIONS].dispatch.results.count(collection.account, collection.id)
    return {
        "id": collection.id,
        "name": collection.name,
        "destination_ids": list(collection.destination_ids),
        "notification_webhook": collection.notification_webhook,
        "manifest": collection.manifest,
        "secrets_set": sorted(collection.secrets),
        "created_at": collection.created_at,
        "updated_at": collection.updated_at,
        "results_count": count,
        "next_result_set_id": count + 1,
    }
