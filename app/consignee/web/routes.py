"""Every route, once."""

from collections.abc import Container
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from consignee.web import collections, console, deliveries, destinations, metrics, reference, results, service
from consignee.web.bodies import ask_for_body
from consignee.web.downloads import download
from consignee.web.events import events
from consignee.web.uploads import no_expectation

ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("POST", "/destinations", destinations.create),
    ("POST", "/destination", destinations.create),
    ("GET", "/destinations", destinations.list_all),
    ("POST", "/destinations/test", destinations.test),
    ("POST", "/destinations/verify", destinations.verify),
    ("POST", "/destinations/policy", destinations.policy_for),
    ("GET", "/destinations/{id}", destinations.get),
    ("PUT", "/destinations/{id}", destinations.update),
    ("DELETE", "/destinations/{id}", destinations.delete),
    ("POST", "/destinations/{id}/test", destinations.test_saved),
    ("POST", "/destinations/{id}/resend", destinations.resend),
    ("GET", "/destinations/{id}/policy", destinations.policy),
    ("POST", "/collections", collections.create),
    ("GET", "/collections", collections.list_all),
    ("GET", "/collections/{id}", collections.get),
    ("PUT", "/collections/{id}", collections.update),
    ("DELETE", "/collections/{id}", collections.delete),
    ("POST", "/collections/{id}/results", results.create),
    ("GET", "/collections/{id}/results", results.list_all),
    ("GET", "/collections/{id}/results/{n}", results.get),
    ("POST", "/collections/{id}/results/{n}/resend", results.resend),
    ("POST", "/collections/{id}/results/{n}/webhook/resend", results.resend_webhook),
    ("GET", "/collections/{id}/results/{n}/events", events),
    ("GET", "/collections/{id}/results/{n}/files/{name}", download),
    ("HEAD", "/collections/{id}/results/{n}/files/{name}", download),
    ("GET", "/deliveries", deliveries.list_some),
    ("GET", "/deliveries/{id}", deliveries.get),
    ("GET", "/destination-types", service.destination_types),
    ("GET", "/account", service.account),
    ("GET", "/openapi.json", reference.openapi),
    ("GET", "/healthz", service.healthz),
    ("HEAD", "/healthz", service.healthz),
    ("GET", "/readyz", service.readyz),
    ("HEAD", "/readyz", service.readyz),
    ("GET", "/metrics", metrics.scrape),
    ("POST", "/console/login", console.login),
)
PAGES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/console", console.front),
    ("GET", "/console/{page}", console.file),
    ("GET", "/docs", reference.front),
    ("GET", "/docs/{page}", reference.file),
)
"""What is for browsers, and no part of the API. A page may be nameless: the first one of its folder."""


EXEMPT: Final = (service.healthz, service.readyz, metrics.scrape)
"""What is answered however much there is to do."""
LONG: Final = (results.create, download, events, destinations.verify)
"""What takes long by nature."""


def add_routes(app: web.Application, *, only: Container[Handler] | None = None) -> None:
    """Add every route to an application, or those of some handlers."""
    for method, path, handler in (*ROUTES, *PAGES):
        if only is not None and handler not in only:
            continue
        expect = no_expectation if handler is results.create else ask_for_body
        # By default a parameter holds no braces, but the name of a file may.
        pattern = path.replace("{name}", "{name:[^/]+}").replace("{page}", "{page:[^/]*}")
        app.router.add_route(method, pattern, handler, expect_handler=expect)
