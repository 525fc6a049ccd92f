"""Whom and what a request concerns, for the log."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from aiohttp import web

from consignee import log
from consignee.subject import SUBJECT
from consignee.web.keys import TRACE_ID

_NOTHING: Final[Mapping[str, str]] = {}
_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,100}")
_NAMED: Final = re.compile(r"/(destination|collection|deliver)(?:s|ies)/\{id\}")


class AccessLogger(log.AccessLogger):
    """The access log of our server: each line has the ids of the request, its account, and what its path names."""

    def ids_of(self, request: web.BaseRequest) -> Mapping[str, str]:
        """Return the ids of whom and what a request concerns; this is called in the task that has answered it."""
        ids, named = SUBJECT.get(), named_by(request)
        return {**ids, **named} if named else ids


def concerns(request: web.BaseRequest) -> dict[str, str]:
    """Return the id of a request, and of what its path names."""
    return {"request": request.get(TRACE_ID, ""), **named_by(request)}


def named_by(request: web.BaseRequest) -> Mapping[str, str]:
    """Return the id that the path of a request holds, by what it is of; nothing if no id can be written like that."""
    match = getattr(request, "_match_info", None)
    if not match or "id" not in match:
        return _NOTHING
    resource = match.route.resource
    kind = _kind(resource.canonical) if resource is not None else ""
    return {kind: match["id"]} if kind and _ID.fullmatch(match["id"]) else _NOTHING


@lru_cache(maxsize=256)
def _kind(template: str) -> str:
    found = _NAMED.search(template)
    return {"deliver": "delivery"}.get(found[1], found[1]) if found is not None else ""
