"""The OpenAPI document, which was made when the package was built, and the page that shows it to people."""

from typing import Final

from aiohttp import web

from consignee.errors import NotFound
from consignee.web import static

FOLDER: Final = "web/docs"
INDEX: Final = "index.html"
DOCUMENT: Final = "openapi.json"
WHERE: Final = "web/openapi"
"""The folder of the document, beside the modules that make it; none of them is needed here."""


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json"""
    return static.send(request, static.folder(WHERE)[DOCUMENT])


async def front(request: web.Request) -> web.Response:
    """GET /docs: on to the folder, wherever this application is mounted"""
    return web.Response(status=302, headers={"Location": "docs/"})


async def file(request: web.Request) -> web.Response:
    """GET /docs/ and GET /docs/{page}"""
    found = static.folder(FOLDER).get(request.match_info["page"] or INDEX)
    if found is None:
        raise NotFound("The reference has no such file.")
    return static.send(request, found)
