"""Every route, once."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from consignee.web import collections, destinations, service

ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("POST", "/destinations", destinations.create),
    ("POST", "/destination", destinations.create),
    ("GET", "/destinations", destinations.list_all),
    ("POST", "/destinations/test", destinations.test),
    ("POST", "/destinations/verify", destinations.verify),
    ("GET", "/destinations/{id}", destinations.get),
    ("PUT", "/destinations/{id}", destinations.update),
    ("DELETE", "/destinations/{id}", destinations.delete),
    ("POST", "/destinations/{id}/test", destinations.test_saved),
    ("GET", "/destinations/{id}/policy", destinations.policy),
    ("POST", "/collections", collections.create),
    ("GET", "/collections", collections.list_all),
    ("GET", "/collections/{id}", collections.get),
    ("PUT", "/collections/{id}", collections.update),
    ("DELETE", "/collections/{id}", collections.delete),
    ("GET", "/destination-types", service.destination_types),
    ("GET", "/account", service.account),
    ("GET", "/healthz", service.healthz),
    ("GET", "/readyz", service.readyz),
)


async def _expect(request: web.Request) -> None:
    """Answer `Expect: 100-continue`; other expectations are ignored, as RFC 9110 allows."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def add_routes(app: web.Application) -> None:
    """Add every route to an application."""
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, handler, expect_handler=_expect)
