"""The OpenAPI document, which was made when the package was built, and the page that shows it to people."""

from typing import Final

from aiohttp import web

from consignee.web import static

FOLDER: Final = "web/docs"
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
    return static.page(request, FOLDER, of="reference")
