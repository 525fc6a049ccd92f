"""Downloads: a file of a result set, or a range of it (RFC 9110, section 14)."""

import re
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote

from aiohttp import web

from consignee.body import Body
from consignee.errors import FileDamaged, StoreError
from consignee.web import answers
from consignee.web.auth import account_of
from consignee.web.keys import DESTINATIONS
from consignee.web.streams import finish, write

_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)
_NOT_QUOTABLE: Final = re.compile(r'[^ !#-$&-\[\]-~]|"')
"""In a filename as old clients read it: what is not ASCII, and what they may take for an escape."""


async def download(request: web.Request) -> web.StreamResponse:
    """GET and HEAD /collections/{id}/results/{n}/files/{name}"""
    account = await account_of(request)
    results = request.app[DESTINATIONS].dispatch.results
    result_set = await results.get(account, request.match_info["id"], request.match_info["n"])
    name = request.match_info["name"]
    body = results.file(result_set, name)
    etag = f'"{body.sha256.hex()}"'
    asked = _asked(request, etag, body.length)
    if asked is not None and not asked:
        return _not_satisfiable(body.length)
    response = web.StreamResponse(headers={"ETag": etag, "Accept-Ranges": "bytes", **_told(name)})
    if asked is not None:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{body.length}"
        return await _send(request, response, body.section(asked.start, len(asked)))
    return await _send(request, response, body)


def _asked(request: web.Request, etag: str, length: int) -> range | None:
    """A range counts for GET alone, and only while the file is the one that the client has a part of."""
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    return section(request.headers.get("Range", ""), length)


def section(header: str, length: int) -> range | None:
    """Return which bytes of so many a Range asks for: an empty range if there are none of these.

    None if it asks for all, or in a way that is not understood, such as for several ranges: then all are sent.
    """
    match = _RANGE.fullmatch(header)
    if match is None or match[0].strip().endswith("=-"):
        return None
    first, last = match[1], match[2]
    if not first:
        return range(max(0, length - int(last)), length)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, length) if last else length)


def _not_satisfiable(length: int) -> web.Response:
    response = answers.failure(416, "invalid_request", f"There is no such range: the file has {length} bytes.")
    response.headers["Content-Range"] = f"bytes */{length}"
    return response


def _told(name: str) -> dict[str, str]:
    """It is saved, never shown: a customer's file must not run as a page of this site (RFC 6266, RFC 8187)."""
    plain, exact = _NOT_QUOTABLE.sub("_", name), quote(name, safe="")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
    return {"Content-Type": "application/octet-stream", "Content-Disposition": disposition}


async def _send(request: web.Request, response: web.StreamResponse, body: Body) -> web.StreamResponse:
    response.content_length, chunks = body.length, body.chunks()
    try:
        if request.method == "GET":
            # The first piece is read before the headers go out, so that a file that can't be read is still an ordinary 503.
            async for chunk in chunks:
                await write(request, response, chunk)
        return await finish(request, response)
    except ConnectionError:
        raise
    except (OSError, FileDamaged) as error:
        raise StoreError("a file of the spool can't be read") from error
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
