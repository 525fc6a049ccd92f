"""The handlers of collections: parse, call, render."""

from typing import Any

from aiohttp import web

from consignee.collection import Collection
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.bodies import read_fields
from consignee.web.keys import COLLECTIONS
from consignee.web.queries import read_page


async def create(request: web.Request) -> web.Response:
    """POST /collections"""
    account = await account_of(request)
    return _one(await request.config_dict[COLLECTIONS].create(account, await read_fields(request)))


async def list_all(request: web.Request) -> web.Response:
    """GET /collections"""
    account = await account_of(request)
    number, size = read_page(request)
    every = await request.config_dict[COLLECTIONS].list(account)
    shown = every[(number - 1) * size : number * size]
    counts = {"total_count": len(every), "total_pages": -(-len(every) // size), "current_page": number}
    content = {**counts, "count_this_page": len(shown), "collections": [view(one) for one in shown]}
    return answers.success(content)


async def get(request: web.Request) -> web.Response:
    """GET /collections/{id}"""
    account = await account_of(request)
    return _one(await request.config_dict[COLLECTIONS].get(account, request.match_info["id"]))


async def update(request: web.Request) -> web.Response:
    """PUT /collections/{id}"""
    account = await account_of(request)
    collections = request.config_dict[COLLECTIONS]
    return _one(await collections.update(account, request.match_info["id"], await read_fields(request)))


async def delete(request: web.Request) -> web.Response:
    """DELETE /collections/{id}"""
    account = await account_of(request)
    await request.config_dict[COLLECTIONS].delete(account, request.match_info["id"])
    return answers.success(message="1 Collection deleted")


def _one(collection: Collection) -> web.Response:
    return answers.success({"collection": view(collection)})


def view(collection: Collection) -> dict[str, Any]:
    """Return a collection as it is answered."""
    return {
        "id": collection.id,
        "name": collection.name,
        "destination_ids": list(collection.destination_ids),
        "created_at": collection.created_at,
        "updated_at": collection.updated_at,
        "results_count": collection.results_count,
        "next_result_set_id": collection.next_result_set_id,
    }
